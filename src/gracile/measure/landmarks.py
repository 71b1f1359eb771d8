"""Distances and angles between landmarks, and what a recipe's formulas make of them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from gracile.case import Case
from gracile.formulas import Formula
from gracile.measure.base import Measure
from gracile.recipe import Recipe, Spec
from gracile.result import Landmark, Measurement, Result


class FormulaSpec(Spec):
    """A published formula over measurements."""

    formula: str = Field(description="arithmetic such as 4.16 * A - 4, see `gracile.formulas`")
    of: dict[str, str] = Field(min_length=1, description="the measurement that each name in the formula stands for")
    unit: str = "mm"
    source: str = Field(min_length=1, description="who published it")

    @model_validator(mode="after")
    def _names_are_explained(self) -> "FormulaSpec":
        if Formula(self.formula).names != set(self.of):
            raise ValueError(f"`of` explains {', '.join(self.of)}, the formula {self.formula!r} needs others")
        return self


class Landmarks(Measure):
    """What is measured between landmarks; each name stands for one measurement."""

    of: ClassVar[Literal["mask", "landmarks"]] = "landmarks"

    distances: dict[str, tuple[str, str]] = Field(default_factory=dict, description="between two landmarks, in mm")
    angles: dict[str, tuple[str, str, str]] = Field(
        default_factory=dict, description="at the second of three landmarks, in degrees"
    )
    formulas: dict[str, FormulaSpec] = Field(default_factory=dict, description="over those that are named before")

    @model_validator(mode="after")
    def _parts_are_known(self) -> "Landmarks":
        known = [*self.distances, *self.angles]
        for name, formula in self.formulas.items():
            unknown = sorted(set(formula.of.values()) - set(known))
            if unknown:
                raise ValueError(f"formula {name!r} is over {unknown[0]!r}, which is not measured before it")
            known.append(name)
        if len(set(known)) != len(known):
            raise ValueError("each measurement has a name of its own")
        return self

    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        result.measurements += landmark_measurements(result.landmarks, self)


def landmark_measurements(landmarks: Sequence[Landmark], spec: Landmarks) -> list[Measurement]:
    """Every distance (mm), angle (degrees) and formula that a recipe names, in its order.

    One whose points are missing has no value, and its note says which.

    Args:
        landmarks: What was looked for, found or not.
        spec: What to measure.
    """
    points = {part.name: part.point_mm for part in landmarks}
    done: dict[str, Measurement] = {}
    for name, (a, b) in spec.distances.items():
        found = _places(points, (a, b))
        done[name] = (
            Measurement(name, None, "mm", note=found)
            if isinstance(found, str)
            else Measurement(name, float(np.linalg.norm(found[0] - found[1])), "mm", note=f"from {a} to {b}")
        )
    for name, (a, vertex, b) in spec.angles.items():
        found = _places(points, (a, vertex, b))
        done[name] = (
            Measurement(name, None, "deg", note=found)
            if isinstance(found, str)
            else Measurement(name, _angle(*found), "deg", note=f"at {vertex}, between {a} and {b}")
        )
    for name, formula in spec.formulas.items():
        values = {letter: done[of].value for letter, of in formula.of.items()}
        missing = [of for letter, of in formula.of.items() if values[letter] is None]
        if missing:
            why = "; ".join(dict.fromkeys(f"{of} ({done[of].note})" for of in missing))
            done[name] = Measurement(name, None, formula.unit, note=f"needs {why}")
            continue
        value = Formula(formula.formula)({letter: number for letter, number in values.items() if number is not None})
        where = ", ".join(f"{letter} = {of}" for letter, of in formula.of.items())
        done[name] = Measurement(
            name, value, formula.unit, note=f"{formula.formula} with {where}; {formula.source}"
        )  # fmt: skip
    return list(done.values())


def _places(points: Mapping[str, np.ndarray | None], names: Sequence[str]) -> list[np.ndarray] | str:
    """The places of some landmarks, or why they are not all known."""
    unknown = [name for name in names if name not in points]
    missed = [name for name in names if name in points and points[name] is None]
    reasons = [f"{' and '.join(unknown)} not among the recipe's landmarks"] if unknown else []
    reasons += [f"{' and '.join(missed)} not found"] if missed else []
    if reasons:
        return f"needs {' and '.join(names)}: {'; '.join(reasons)}"
    return [place for name in names if (place := points[name]) is not None]


def _angle(a: np.ndarray, vertex: np.ndarray, b: np.ndarray) -> float | None:
    """Degrees between the ways from a vertex to two points; None where one of them is the vertex."""
    ways = np.stack([a - vertex, b - vertex])
    lengths = np.linalg.norm(ways, axis=1)
    if not lengths.all():
        return None
    first, second = ways / lengths[:, None]
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))
