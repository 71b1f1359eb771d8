"""Distances and angles between landmarks, and what a recipe's formulas make of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from gracile.formulas import Formula
from gracile.recipe import LandmarkMeasuresSpec
from gracile.result import Landmark, Measurement


def landmark_measurements(landmarks: Sequence[Landmark], spec: LandmarkMeasuresSpec) -> list[Measurement]:
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
