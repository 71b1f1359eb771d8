"""Markups of 3D Slicer: ``.mrk.json``, points and curves.

Format: Slicer's developer guide, "Markups json file format", schema 1.0.0 to 1.0.3.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.geometry.point_list import Kind
from gracile.io.atomic import write_json
from gracile.io.coordinate_systems import System, coordinate_system, exchanged, exchanged_axes
from gracile.plain_data import read_json

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_KINDS: dict[str, Kind] = {
    "Fiducial": "points",
    "Line": "points",
    "Angle": "points",
    "Curve": "curve",
    "ClosedCurve": "closed curve",
}
_TYPES = {"points": "Fiducial", "curve": "Curve", "closed curve": "ClosedCurve"}
_UNITS = {"mm": 1.0, "um": 1e-3}
_REMEDY = "Save it again in 3D Slicer as Markups JSON."


def read_slicer_markups(path: Path | str) -> list[PointList]:
    """Read all lists of points of a ``.mrk.json`` file, in RAS+ mm.

    A point whose ``positionStatus`` is not ``defined`` keeps its name and has no place. Fields that are not known here
    are passed over.

    Raises:
        DataError: No such file, no Slicer markups, no coordinate system, an unknown unit, or a place that is none.
    """
    path = Path(path)
    content = read_points_json(path)
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not markups:
        raise DataError(f"{path} holds no Slicer markups.", _REMEDY)
    return [_markup(path, markup) for markup in markups]


def write_slicer_markups(path: Path | str, points: PointList, *, system: System = "LPS") -> None:
    """Write points as a ``.mrk.json`` file, whole or not at all; probabilities go into the descriptions.

    Raises:
        DataError: It cannot be written.
    """
    places = exchanged(points.points_mm, system)
    axes = None if points.orientations is None else exchanged_axes(points.orientations, system)
    controls = []
    for index, label in enumerate(points.labels):
        defined = bool(points.defined[index])
        control: dict[str, Any] = {"id": str(index + 1), "label": label}
        if points.probabilities is not None:
            control["description"] = f"probability {points.probabilities[index]:.4f}"
        control["position"] = [float(value) for value in places[index]] if defined else [0.0, 0.0, 0.0]
        if axes is not None:
            control["orientation"] = [float(value) for value in axes[index].ravel()]
        control["positionStatus"] = "defined" if defined else "undefined"
        controls.append(control)
    markup: dict[str, Any] = {"type": _TYPES[points.kind]}
    if points.name:
        markup["name"] = points.name
    markup |= {"coordinateSystem": system, "coordinateUnits": "mm", "controlPoints": controls}
    write_json(path, {"@schema": _SCHEMA, "markups": [markup]})


def read_points_json(path: Path) -> Any:
    """The content of a JSON file of points. Raises DataError."""
    return read_json(path, "It may be empty or cut off: save or copy it again.", any_number=True)


def _markup(path: Path, markup: Any) -> PointList:
    if not isinstance(markup, dict) or not isinstance(markup.get("controlPoints"), list):
        raise DataError(f"{path} holds a markup without control points.", _REMEDY)
    kind = _KINDS.get(str(markup.get("type")))
    if kind is None:
        raise DataError(f"{path} holds a markup of type {markup.get('type')!r}.", f"Taken are {', '.join(_KINDS)}.")
    system = coordinate_system(markup.get("coordinateSystem"), path)
    controls = markup["controlPoints"]
    if not controls:
        raise DataError(f"{path} holds a list without points.", "Place the points in Slicer and save it again.")
    if not all(isinstance(control, dict) for control in controls):
        raise DataError(f"{path} holds a control point that is none.", _REMEDY)
    places = np.array([_place(path, index, control) for index, control in enumerate(controls)]) * _unit(path, markup)
    axes = None
    if any("orientation" in control for control in controls):
        axes = exchanged_axes(np.array([_axes(path, control, system) for control in controls]), system)
    labels = [str(control.get("label", "")) for control in controls]
    return PointList(exchanged(places, system), labels, kind, str(markup.get("name", "")), axes)


def _place(path: Path, index: int, control: dict[str, Any]) -> np.ndarray:
    """Place of a control point as the file gives it; NaN when it has none."""
    if control.get("positionStatus", "defined") != "defined":
        return np.full(3, np.nan)
    place = _numbers(control.get("position"), 3)
    if place is None:
        named = f"{control['label']!r}" if control.get("label") else f"number {index + 1}"
        raise DataError(f"{path}: point {named} has no place of three numbers.", "Place it in Slicer, or delete it.")
    return place


def _axes(path: Path, control: dict[str, Any], system: System) -> np.ndarray:
    """``(3, 3)`` axes of a control point as the file gives them; those of the patient where it gives none."""
    if "orientation" not in control:
        return exchanged_axes(np.eye(3), system)
    axes = _numbers(control["orientation"], 9)
    if axes is None:
        raise DataError(f"{path} holds an orientation that is not nine numbers.", _REMEDY)
    return axes.reshape(3, 3)


def _numbers(values: Any, count: int) -> np.ndarray | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    numbers = np.array(values, dtype=np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _unit(path: Path, markup: dict[str, Any]) -> float:
    """Millimeters in a unit of the file; the unit is mm when it says none, as the schema has it."""
    unit = markup.get("coordinateUnits", "mm")
    unit = unit[0] if isinstance(unit, list) and unit else unit
    if not isinstance(unit, str) or unit not in _UNITS:
        raise DataError(f"{path} counts in {unit!r}.", f"Known units are {', '.join(_UNITS)}.")
    return _UNITS[unit]
