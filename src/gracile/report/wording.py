"""Names, units and numbers as a reader wants them."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gracile.result import Quality

_SPELLED = {
    "ap": "AP", "auc": "AUC", "av": "A/V", "b": "B", "avr": "AVR", "cldice": "clDice",
    "crae": "CRAE", "crve": "CRVE", "csa": "CSA", "f1": "F1", "hd95": "HD95", "iou": "IoU", "mse": "MSE", "nbr": "NBR",
    "ml": "(ml)", "nsd": "NSD", "percent": "(%)",
    "pr": "PR", "rl": "RL", "roc": "ROC", "sd": "SD", "px": "(px)", "mm": "(mm)", "mm2": "(mm²)", "mm3": "(mm³)",
}  # fmt: skip
_LEVEL = re.compile(r"^[ctls]\d{1,2}$")
NOTICE = "Not a medical device. Check every result in its picture before it is used."
NOTHING = "–"
"""Stands for an undefined value."""


def label(name: str) -> str:
    """``caliber_mean`` as "Caliber mean", ``auc_roc`` as "AUC ROC"."""
    words = " ".join(
        _SPELLED.get(word, word.upper() if _LEVEL.match(word) else word) for word in name.replace("_", " ").split()
    )
    return words if words.startswith("clDice") else words[:1].upper() + words[1:]


def unit_text(unit: str) -> str:
    """``um`` as "µm", ``mm2`` as "mm²", nothing for a ratio or a count."""
    if unit == "1":
        return ""
    return re.sub(r"(?<=[mx])[23]\b", lambda power: "²³"[int(power[0]) - 2], re.sub(r"\bum", "µm", unit))


def decimals(values: Iterable[float | None]) -> int:
    """Digits after the point that give the largest of some numbers four figures; 0 for counts."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(known, default=0.0)
    if not largest or all(value == int(value) for value in known):
        return 0
    return min(6, max(0, 4 - math.ceil(math.log10(largest))))


def number(value: float | None, digits: int | None = None) -> str:
    """A number with some digits after the point (four figures when None) and thin gaps between thousands."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:,.{decimals([value]) if digits is None else digits}f}"
    return text.replace(",", "\u202f").replace("-", "\u2212")


def quality_words(quality: Quality) -> str:
    """``predicted Dice 0.83, 0.71 to 0.92``; errors in mm."""
    name, unit, digits = ("error", "\u2009mm", 2) if quality.score == "mm" else (label(quality.score), "", 2)
    low, high = (number(value, digits) for value in (quality.low, quality.high))
    return f"predicted {name} {number(quality.predicted, digits)}{unit}, {low} to {high}{unit}"


def band_words(quality: Quality) -> str:
    """What the band around the outline says; empty without one."""
    if quality.band is None:
        return ""
    width = number(quality.band, decimals([quality.band]) if quality.band < 10 else 0)
    return f"the true outline is expected within {width}\u2009{quality.band_unit} of the one shown"


def run_notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the records note that is true of the whole run, each once; with its number of cases if it is not of all."""
    counts: dict[str, int] = {}
    for record in records:
        for note in dict.fromkeys(record.get("notes", [])):
            counts[note] = counts.get(note, 0) + 1
    answered = sum(record["status"] != "failed" for record in records)
    return [note if count >= answered else f"{note} ({count} of {answered} cases)" for note, count in counts.items()]
