"""Words for what says most that an answer is worse than usual."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gracile.trust.quality_card import SIZES, QualityEntry
from gracile.trust.signs import SignedAnswer, sign_of

if TYPE_CHECKING:
    from gracile.trust.quality import Judged

UNUSUAL = 1.0
"""Deviations from which on a sign is spoken of."""

SPOKEN = 0.3
"""Deviations of the score that it must stand for: its own deviations, by how much it tells."""

FARTHEST = 8.0
"""Deviations beyond which a sign is no worse."""

MOST = 2
"""Reasons that are given."""

_SLICES = 9
"""Slices from which on it is told where along a line a sign is worst."""


def reasons_of(entry: QualityEntry, judged: "Sequence[Judged]", answer: SignedAnswer) -> list[str]:
    """What says most that an answer is worse than usual, at most `MOST` sentences.

    How much a sign stands for is its deviation from the usual times its correlation with the score in held-back
    answers, whether or not it has a weight of its own beside the others.

    Args:
        entry: What was learned.
        judged: What signs say of each unit.
        answer: The answer.
    """
    worth: dict[str, float] = {}
    several = len(entry.map.parts) > 1
    for part in dict.fromkeys(one.unit.part for one in judged):
        own = [one for one in judged if one.unit.part == part]
        for words, value in _said(entry, own).items():
            worth[f"{part}: {words}" if several else words] = value
    for part in answer.absent:
        known = entry.map.parts.get(part)
        if entry.score == "dice" and known is not None and 2 * known.missed > known.absent:
            words = f"{part}: not found; it was there in {known.missed} of {known.absent} such answers"
            worth[words] = 2.0 * known.missed / known.absent
    return sorted(worth, key=lambda words: -worth[words])[:MOST]


def _said(entry: QualityEntry, own: "Sequence[Judged]") -> dict[str, float]:
    """What is to be said of one part, by how much it stands for."""
    said: dict[str, float] = {}
    total = sum(one.unit.weight for one in own)
    for name, known in entry.map.signs.items():
        if abs(known.tells) * FARTHEST < SPOKEN:
            continue
        sign = sign_of(name)
        values = [(one.deviations.get(name, 0.0), one.unit.weight / total) for one in own]
        mean = sum(value * weight for value, weight in values)
        if sign.folded:
            distance = sum(abs(value) * weight for value, weight in values)
        else:
            distance = -mean if known.tells > 0 else mean
        words = sign.high if mean > 0 else sign.low
        stands_for = distance * abs(known.tells)
        if not words or distance < UNUSUAL or stands_for < SPOKEN:
            continue
        if "{share}" in words:
            words = words.format(share=_share(entry, own, larger=mean > 0))
        else:
            place = _where(own, name) or (own[0].unit.place if name == "agreement" else "")
            words = f"{words} {place}".rstrip()
        said[words] = max(said.get(words, 0.0), stands_for)
    return said


def _share(entry: QualityEntry, own: "Sequence[Judged]", larger: bool) -> str:
    """The share of cases that a structure is larger, or smaller, than, as ``99 %``."""
    sizes = entry.map.parts[own[0].unit.part].sizes
    if len(sizes) != len(SIZES):
        return "most"
    below = float(np.interp(own[0].unit.signs["share"], sizes, SIZES))
    return f"{round(below if larger else 100 - below)} %"


def _where(own: "Sequence[Judged]", name: str) -> str:
    """Where along a line a sign is worst, if that can be told; slices are numbered from below."""
    if len(own) < _SLICES or own[0].unit.slice is None:
        return ""
    values = np.abs([one.deviations.get(name, 0.0) for one in sorted(own, key=lambda one: one.unit.slice or 0)])
    third = len(values) // 3
    parts = {
        "at its lower end": float(values[:third].mean()), "in its middle": float(values[third:-third].mean()),
        "at its upper end": float(values[-third:].mean()),
    }  # fmt: skip
    worst = max(parts, key=lambda place: parts[place])
    return worst if parts[worst] > 1.5 * float(values.mean()) else ""
