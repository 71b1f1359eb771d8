"""Signs of how good an answer is, on scales on which they can be added up: of each structure, landmark or slice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gracile.recipe import Recipe
from gracile.result import Result
from gracile.trust.figures import FIGURES, INPUT, Figures

Scale = Literal["logit", "log", "plain"]

UNSURE_LINE = "the maps are uncertain along the outline"
"""Said of signs that mean the same."""


@dataclass(frozen=True)
class Sign:
    """One sign.

    Args:
        up: 1 where more of it is better, -1 where it is worse, 0 where that is left to the data.
        scale: On which it is compared and added up.
        floor: Smallest value (and for shares also the distance from 1) that is told apart from 0.
        folded: Whether what counts is how far it lies from the middle of all cases, in either direction.
        low: What is said where it is lower than usual and that is worse. ``{share}`` stands for the share of cases that
            are less so.
        high: The same of a higher one.
    """

    up: int
    scale: Scale = "plain"
    floor: float = 1e-3
    folded: bool = False
    low: str = ""
    high: str = ""

    def scaled(self, value: float) -> float:
        """A value on the sign's scale."""
        if self.scale == "plain":
            return value
        if self.scale == "log":
            return math.log(max(value, self.floor))
        share = min(max(value, self.floor), 1.0 - self.floor)
        return math.log(share / (1.0 - share))


_SMALL = "smaller than {share} of the cases it was learned from"
_LARGE = "larger than {share} of the cases it was learned from"
_PLACE = "it lies where it seldom does"

SIGNS: dict[str, Sign] = {
    "agreement": Sign(1, "logit", 1e-2, low="the answers of mirrored copies disagree"),
    "members": Sign(1, "logit", 1e-2, low="the members of the ensemble disagree"),
    "confidence": Sign(1, "logit", 1e-2, low=UNSURE_LINE),
    "doubt": Sign(-1, "logit", 1e-2, high=UNSURE_LINE),
    "width": Sign(-1, "log", 1e-2, high=UNSURE_LINE),
    "inside": Sign(1, "logit", 1e-2, low="the maps are uncertain within it"),
    "outside": Sign(-1, "log", 1e-2, high="the maps see it beside its outline too"),
    "rivals": Sign(-1, "log", 1e-2, high="the maps see another structure in its place"),
    "peak": Sign(1, "logit", 1e-2, low="the maps are nowhere sure of it"),
    "edge": Sign(1, "log", 1e-2, low="the image hardly changes at its outline"),
    "share": Sign(0, "log", 1e-6, low=_SMALL, high=_LARGE),
    "size": Sign(-1, "log", 1e-6, folded=True, low=_SMALL, high=_LARGE),
    "depth": Sign(0, low=_PLACE, high=_PLACE),
    "down": Sign(-1, folded=True, low=_PLACE, high=_PLACE),
    "across": Sign(-1, folded=True, low=_PLACE, high=_PLACE),
    "deep": Sign(-1, folded=True, low=_PLACE, high=_PLACE),
    "apart": Sign(-1, "log", 5e-3, high="it is broken in pieces"),
    "border": Sign(-1, "log", 1e-2, high="it lies at the border"),
    "step": Sign(-1, "log", 1e-2, high="its area jumps from slice to slice"),
    "gate": Sign(1, "logit", 1e-2, low="the gate is not sure that it is there"),
    "unlike": Sign(-1, "log", 1e-2, high="the input is unlike the training images"),
    "heat": Sign(1, "logit", 1e-2, low="the heat that it was found by is faint"),
    "low heat": Sign(1, "logit", 1e-2, low="the line is faint in parts"),
    "cost": Sign(-1, "log", 1e-4, high="the line bends sharply"),
    "length": Sign(0, "log", 1.0, low="the line is short", high="the line is long"),
    "probability": Sign(1, "logit", 1e-2, low="it is found with little certainty"),
    "uncertainty": Sign(-1, "log", 1e-2, high="its place is uncertain"),
    "off": Sign(-1, "log", 0.1, high="it lies off where the others place it"),
    "moved": Sign(-1, "log", 1e-2, high="looking closely moved it far"),
    "mirrored": Sign(-1, "log", 1e-2, high="the mirrored volume has it elsewhere"),
}
"""All signs by name, besides those of the input, which are figures of `gracile.trust.figures`, folded."""


def sign_of(name: str) -> Sign:
    """The sign of a name; of an ``input brightness`` and the like what the figure says."""
    if name in SIGNS:
        return SIGNS[name]
    figure = FIGURES[name.removeprefix(f"{INPUT} ")]
    scale: Scale = "log" if figure.scale == "log" else "logit"
    return Sign(-1, scale, figure.floor, True, figure.low or figure.high, figure.high or figure.low)


def is_sign(name: str) -> bool:
    """Whether a name is that of a sign."""
    return name in SIGNS or (name.startswith(f"{INPUT} ") and name.removeprefix(f"{INPUT} ") in FIGURES)


@dataclass(frozen=True)
class Unit:
    """What is scored by itself: a structure, a landmark, or a structure in a slice.

    Args:
        part: Name of the structure or the landmark.
        signs: On their scales, by name.
        weight: Of its score in the case's.
        place: Where copies of the case disagree about it, in words.
        slice: Of a structure that was followed along a line: which of the prepared volume's.
    """

    part: str
    signs: dict[str, float]
    weight: float = 1.0
    place: str = ""
    slice: int | None = None


@dataclass(frozen=True)
class SignedAnswer:
    """The units of an answer, and the parts of which nothing was found.

    Args:
        units: Of what was found.
        absent: Names of structures that are not in the mask, and of landmarks that were not found.
        gate: Where a gate closed all of it, the probability that it gave to its being there; else None.
    """

    units: list[Unit] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    gate: float | None = None


def signed_answer(result: Result, recipe: Recipe, figures: Figures) -> SignedAnswer:
    """The signs of an answer.

    Args:
        result: Of a pipeline that was asked for signs.
        recipe: Names structures and landmarks.
        figures: Of the case, see `gracile.trust.case_flags.case_figures`.
    """
    common = _common(result, recipe, figures)
    if recipe.deciding is None:
        return _landmarks(result, common)
    if result.slices:
        return _slices(result, recipe, common)
    units, absent = [], []
    for name in recipe.structures:
        if (name, "share") not in figures or f"{name}: confidence" not in result.signs:
            absent.append(name)
            continue
        own = _named(result.signs, name) | {what: figures[name, what] for what in ("share", "apart", "border")}
        units.append(Unit(name, {**common, **_scaled(own)}, place=result.places.get(f"{name}: agreement", "")))
    return SignedAnswer(units, absent, None if units else _closed_by(result, recipe))


def _landmarks(result: Result, common: Mapping[str, float]) -> SignedAnswer:
    units, absent = [], []
    for landmark in result.landmarks:
        if landmark.point_mm is None:
            absent.append(landmark.name)
            continue
        own = _named(result.signs, landmark.name) | {"probability": landmark.probability}
        if landmark.uncertainty_mm is not None:
            own["uncertainty"] = landmark.uncertainty_mm
        units.append(Unit(landmark.name, {**common, **_scaled(own)}))
    return SignedAnswer(units, absent)


def _slices(result: Result, recipe: Recipe, common: Mapping[str, float]) -> SignedAnswer:
    """A unit for each slice that a structure is on; its weight is its area there, as the whole's Dice has it."""
    units, absent = [], []
    for name in recipe.structures:
        signs = _named(result.slices, name)
        count = signs.pop("count", np.zeros(0))
        there = np.flatnonzero(count)
        if not there.size:
            absent.append(name)
            continue
        place = result.places.get(f"{name}: agreement", "")
        jumps = _jumps(count)
        for at in there:
            own = {what: float(values[at]) for what, values in signs.items()} | {"step": float(jumps[at])}
            own["share"] = float(count[at] / np.median(count[there]))
            number = result.first_slice + int(at)
            units.append(Unit(name, {**common, **_scaled(own)}, float(count[at]), place, number))
    return SignedAnswer(units, absent)


def _jumps(count: np.ndarray) -> np.ndarray:
    """By how much of itself an area differs from the mean of its neighbors, slice by slice."""
    padded = np.pad(count, 1, mode="edge")
    return np.asarray(np.abs(count - (padded[:-2] + padded[2:]) / 2) / np.maximum(count, 1.0))


def _common(result: Result, recipe: Recipe, figures: Figures) -> dict[str, float]:
    """Signs of the whole case, which each of its units has."""
    signs: dict[str, float] = {}
    enabled = [spec for spec in recipe.gates if spec.enabled]
    open_gates = [_presence(spec.label, spec.classes, spec.present, result.gates) for spec in enabled]
    told = [value for value in open_gates if value is not None]
    if told:
        signs["gate"] = min(told)
    if result.agreement is not None:
        signs["members"] = result.agreement
    if result.unlike is not None:
        signs["unlike"] = result.unlike
    for spec in recipe.stages:
        if spec.gives == "line":
            signs |= _named(result.signs, spec.name)
    found = _scaled(signs)
    for (of, name), value in figures.items():
        if of == INPUT:
            found[f"{INPUT} {name}"] = sign_of(f"{INPUT} {name}").scaled(value)
    return found


def _closed_by(result: Result, recipe: Recipe) -> float | None:
    """What the gate that closed everything gave to its being there."""
    told = [
        _presence(spec.label, spec.classes, spec.present, result.gates)
        for spec in recipe.gates
        if f"the gate {spec.name} found it absent" in result.reason
    ]
    known = [value for value in told if value is not None]
    return min(known) if known else None


def _presence(label: str, classes: Sequence[str], present: Sequence[str], gates: Mapping[str, float]) -> float | None:
    """What a gate said of the structures being there."""
    known = [gates[name] for name in (present if classes else [label]) if name in gates]
    return sum(known) if known else None


def _named(signs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Those of a structure, a landmark or a stage, by their own names."""
    begin = f"{name}: "
    return {key.removeprefix(begin): value for key, value in signs.items() if key.startswith(begin)}


def _scaled(signs: Mapping[str, float]) -> dict[str, float]:
    """Signs on their scales; size and place stand for themselves and for their distances from the usual."""
    known = {name: SIGNS[name].scaled(value) for name, value in signs.items() if name in SIGNS and math.isfinite(value)}
    known |= {"size": known["share"]} if "share" in known else {}
    return known | ({"depth": known["down"]} if "down" in known else {})
