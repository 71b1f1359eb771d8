"""The scores of each class over all cases."""

from collections.abc import Mapping, Sequence
from typing import Any

from gracile.evaluation.outcome import summarize
from gracile.evaluation.protocols import Protocol
from gracile.evaluation.segmentation import meant
from gracile.evaluation.structures import Absent

_SHORT = {"mean_surface_distance": "surface", "normalized_surface_distance": "nsd", "false_alarms": "alarms"}
"""Names that are too long for a table of classes."""

_UNITS = ("mm", "px", "ml", "mm2", "voxels", "percent")


def summarize_classes(
    class_rows: Sequence[dict[str, Any]], rules: Protocol, absent: Absent, groups: Mapping[str, str] | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Of each class, by name, the summary of its scores over the cases.

    Args:
        class_rows: One row per case (and run) and class.
        rules: The protocol that gave them.
        absent: Whether a class that neither truth nor prediction has counts in its means.
        groups: Group (subject) of each case, to resample whole groups.
    """
    by_class: dict[str, list[dict[str, Any]]] = {}
    for row in meant(class_rows, absent):
        rest = {name: value for name, value in row.items() if name not in ("class", "pixels", "voxels")}
        by_class.setdefault(row["class"], []).append(rest)
    return {
        name: summarize(rows, rules.counts, intervals=rules.intervals, groups=groups) for name, rows in by_class.items()
    }


def class_table(by_class: Mapping[str, Mapping[str, Mapping[str, Any]]], rules: Protocol) -> list[dict[str, Any]]:
    """A row for each class: the mean of each score, the total of what is counted, and how many cases are behind them.

    ``cases`` stands behind the first score; ``both`` says in how many both sides have the class, as distances need.
    """
    rows = []
    for name, entries in by_class.items():
        row: dict[str, Any] = {"class": name, "cases": entries[rules.by_class[0]]["cases"]}
        for score, entry in entries.items():
            if not any(score == wanted or score.startswith(_beginning(wanted)) for wanted in rules.by_class):
                continue
            if score.startswith("hd95_"):
                row["both"] = entry["cases"]
            row[_short(score)] = round(entry["total"]) if score in rules.counts else entry["mean"]
        rows.append(row)
    return [{name: row.get(name) for name in dict.fromkeys(n for one in rows for n in one)} for row in rows]


def _beginning(wanted: str) -> str | tuple[str, ...]:
    return wanted if wanted.endswith("_") else ()


def _short(score: str) -> str:
    for long, short in _SHORT.items():
        if score.startswith(long):
            score = short + score.removeprefix(long)
    name, _, unit = score.rpartition("_")
    if unit in _UNITS:
        return f"{name.replace('_', ' ')} {'%' if unit == 'percent' else unit}"
    return score.replace("_", " ")
