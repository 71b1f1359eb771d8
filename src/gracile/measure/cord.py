"""The spinal cord, or any slender structure in a volume: its section slice by slice, its length and volume."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from pydantic import Field
from scipy import ndimage

from gracile.case import Case
from gracile.errors import GeometryError
from gracile.geometry import Centerline, Grid, Slices, axial_slices, centerline_from_mask
from gracile.geometry.centerline import SMOOTHING_MM
from gracile.io.level_volumes import read_levels
from gracile.measure.base import Measure, mask_of, structure_members
from gracile.measure.cross_sections import CrossSection, Plane, cross_sections
from gracile.measure.vertebral_levels import level_name, slice_levels
from gracile.measure.vertebral_levels import level_range as read_range
from gracile.recipe import Recipe
from gracile.result import Measurement, Result

Row = dict[str, Any]

LARGEST_JUMP = 0.3
"""Change of the area from slice to slice, over the mean of both, above which a person should look."""

_C2_C3 = (2, 3)
_TIP = 0.25  # of the median area: below, a structure tapers off
_OF_LEVELS = (
    ("csa", "area_mm2", "mm2"), ("diameter_ap", "diameter_ap_mm", "mm"), ("diameter_rl", "diameter_rl_mm", "mm"),
)  # fmt: skip
"""What is measured of levels: name, column of the slices, unit."""

_SHAPE = "of the ellipse with the same second moments"


class Cord(Measure):
    """A slender structure along its own course; see `measure_cord`."""

    structure: str = Field("", description="the one that is measured; empty: the first")
    plane: Plane = Field("projected", description="how sections at a right angle are made")
    smoothing_mm: float = Field(SMOOTHING_MM, ge=0, description="bandwidth of the smoothing of the centerline")
    largest_jump: float = Field(LARGEST_JUMP, gt=0, description="change of area, over the mean, that is flagged")
    partial_volume: bool = Field(False, description="count probabilities, where they were kept, not whole voxels")
    levels: str | None = Field(None, description="vertebral levels: a label volume or a folder; given at prediction")
    level_range: str | None = Field(None, description="levels measured as one, such as C2:C3; given at prediction")

    def require_fit(self, recipe: Recipe) -> None:
        structure_members(recipe, self.structure or next(iter(recipe.structures)))

    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        name = self.structure or next(iter(recipe.structures))
        members = structure_members(recipe, name)
        maps = result.probabilities if self.partial_volume else None
        levels = None
        if self.levels:
            levels = read_levels(self.levels, result.grid, result.case_id)
            if levels is None:
                result.flags.append(f"no vertebral levels: {self.levels} holds none for {result.case_id}")
        measures = measure_cord(
            np.isin(mask_of(result), members), result.grid, structure=name, levels=levels, plane=self.plane,
            shares=None if maps is None else maps[members].sum(axis=0), smoothing_mm=self.smoothing_mm,
            largest_jump=self.largest_jump, level_range=self.level_range or "",
        )  # fmt: skip
        result.measurements += measures.measurements
        result.flags += measures.flags
        result.tables["cord"] = measures.rows
        if measures.levels:
            result.tables["cord_levels"] = measures.levels


@dataclass
class CordMeasures:
    """What is measured of one structure.

    Args:
        rows: One mapping per slice from the lowest that holds the structure to the highest.
        levels: One mapping per vertebral level, where levels were given.
        measurements: The summary.
        flags: What a person should look at.
    """

    rows: list[Row] = field(default_factory=list)
    levels: list[Row] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def measure_cord(
    mask: np.ndarray,
    grid: Grid,
    *,
    structure: str = "cord",
    shares: np.ndarray | None = None,
    levels: np.ndarray | None = None,
    plane: Plane = "projected",
    smoothing_mm: float = SMOOTHING_MM,
    largest_jump: float = LARGEST_JUMP,
    level_range: str = "",
) -> CordMeasures:
    """Measure a slender structure along its own course.

    Args:
        mask: ``(I, J, K)`` bool.
        grid: Grid of the mask; needs an affine.
        structure: Its name.
        shares: ``(I, J, K)`` share of the structure in each voxel, such as its probability; taken for areas and
            diameters in the mask and the voxels around it. None: each voxel of the mask counts in full.
        levels: ``(I, J, K)`` vertebral level of each voxel, numbered as in the PAM50 template; None: not known.
        plane: How sections at a right angle are made, see `gracile.measure.cross_sections`.
        smoothing_mm: Bandwidth of the smoothing of the centerline.
        largest_jump: Change of area from slice to slice, over the mean of both, above which it is flagged.
        level_range: Vertebral levels to measure as one, such as ``C2:C3``; empty: none.

    Returns:
        The measures; of an empty mask only undefined ones.

    Raises:
        GeometryError: The grid is no volume in the patient, or sizes differ.
        DataError: The levels are none.
        UsageError: The range of levels is none.
    """
    wanted = read_range(level_range) if level_range else None
    if grid.affine is None or len(grid.shape) != 3:
        raise GeometryError("A cord is measured in a volume whose place in the patient is known.")
    if any(array is not None and array.shape != grid.shape for array in (mask, shares, levels)):
        raise GeometryError("Mask, shares and levels have the size of the image.")
    mask = np.asarray(mask, dtype=bool)
    if not mask.any():
        nothing = f"nothing of the {structure} was found"
        return CordMeasures(measurements=[*_summary([], structure, nothing), *_over_levels([], structure, wanted)])
    slices = axial_slices(mask, grid.affine)
    line, tangents, first = _course(slices, mask, grid.affine, smoothing_mm)
    counted = slices if shares is None else axial_slices(_near(mask, shares), grid.affine)
    sections = cross_sections(counted, line, tangents, first, plane)
    named: Sequence[int | None] = [None] * len(slices.volume)
    if levels is not None:
        named = slice_levels(axial_slices(np.asarray(levels), grid.affine), slices)
    rows = _rows(slices, counted, line, tangents, first, sections, named)
    by_level = _by_level(rows) if levels is not None else []
    over_levels = _over_levels(rows, structure, wanted)
    measurements = [*_summary(rows, structure, "", _ends(slices, first, len(rows))), *over_levels]
    flags = _flags(slices, rows, structure, largest_jump)
    flags += dict.fromkeys(f"{structure}: {m.note}" for m in over_levels if m.value is None and levels is not None)
    return CordMeasures(rows, by_level, measurements, flags)


def _course(
    slices: Slices, mask: np.ndarray, affine: np.ndarray, smoothing_mm: float
) -> tuple[Centerline, np.ndarray, int]:
    """The line with a point on each slice, its tangents, and the first slice."""
    line = centerline_from_mask(mask, affine, smoothing_mm=smoothing_mm)
    tangents = line.tangents(smoothing_mm) if len(line.points_mm) > 1 else slices.normal[None]
    return line, tangents, int(np.flatnonzero(slices.volume.any(axis=(1, 2)))[0])


def _near(mask: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The shares in the mask and the voxels around it; the slices beyond its ends stay empty."""
    near = ndimage.binary_dilation(mask, structure=np.ones((3, 3, 3)))
    return np.where(near, np.clip(shares, 0, 1), 0)


def _rows(
    slices: Slices,
    counted: Slices,
    line: Centerline,
    tangents: np.ndarray,
    first: int,
    sections: list[CrossSection | None],
    levels: Sequence[int | None],
) -> list[Row]:
    cosines = np.abs(tangents @ slices.normal)
    thickness = slices.distance_mm / np.maximum(cosines, 1e-6)
    arc = np.cumsum(thickness) - thickness / 2
    rows = []
    for number, (point, section) in enumerate(zip(line.points_mm, sections, strict=True)):
        index = first + number
        there = bool(slices.volume[index].any())
        area = float(counted.volume[index].sum(dtype=np.float64)) * slices.pixel_mm2 if there else None
        section = section if there else None
        level = levels[index]
        rows.append(
            {
                "slice": slices.in_file(index),
                "level": None if level is None else level_name(level),
                "arc_mm": float(arc[number]),
                "length_mm": float(thickness[number]),
                "x_ras_mm": float(point[0]),
                "y_ras_mm": float(point[1]),
                "z_ras_mm": float(point[2]),
                "angle_deg": float(np.rad2deg(np.arccos(min(1.0, cosines[number])))),
                "slice_area_mm2": area,
                "area_mm2": None if section is None else section.area_mm2,
                "diameter_ap_mm": None if section is None else section.diameter_ap_mm,
                "diameter_rl_mm": None if section is None else section.diameter_rl_mm,
                "eccentricity": None if section is None else section.eccentricity,
                "orientation_deg": None if section is None else section.orientation_deg,
            }
        )
    return rows


def _by_level(rows: list[Row]) -> list[Row]:
    """Mean and deviation over the slices of each level, weighted by their length, in the order along the cord."""
    table = []
    names = dict.fromkeys(row["level"] for row in rows if row["level"] is not None)
    for name in names:
        some = [row for row in rows if row["level"] == name]
        entry: Row = {"level": name, "slices": len(some), "length_mm": sum(row["length_mm"] for row in some)}
        for key in ("area_mm2", "diameter_ap_mm", "diameter_rl_mm", "eccentricity"):
            mean, deviation = _mean(some, key)
            quantity, _, unit = key.rpartition("_") if key != "eccentricity" else (key, "", "")
            suffix = f"_{unit}" if unit else ""
            entry[f"{quantity}_mean{suffix}"], entry[f"{quantity}_sd{suffix}"] = mean, deviation
        table.append(entry)
    return table


def _mean(rows: Sequence[Row], key: str) -> tuple[float | None, float | None]:
    known = [(row[key], row["length_mm"]) for row in rows if row[key] is not None]
    if not known:
        return None, None
    values, weights = np.array(known).T
    mean = float(np.average(values, weights=weights))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def _summary(rows: list[Row], structure: str, empty: str, ends: str = "") -> list[Measurement]:
    present = [row for row in rows if row["slice_area_mm2"] is not None]
    distances = [row["length_mm"] * np.cos(np.deg2rad(row["angle_deg"])) for row in present]
    volume = sum(row["slice_area_mm2"] * distance for row, distance in zip(present, distances, strict=True))
    known = [row for row in rows if row["area_mm2"] is not None]
    areas = _mean(rows, "area_mm2")
    least = min(known, key=lambda row: row["area_mm2"]) if known else None
    most = max(known, key=lambda row: row["area_mm2"]) if known else None
    entries: list[tuple[str, float | None, str, str]] = [
        ("volume", float(volume) if present else None, "mm3", ""),
        ("length", sum(row["length_mm"] for row in rows) if rows else None, "mm", ends),
        ("csa_mean", areas[0], "mm2", "at a right angle to the centerline, weighted by length"),
        ("csa_sd", areas[1], "mm2", "over the slices"),
        ("csa_min", least["area_mm2"] if least else None, "mm2", _where(least)),
        ("csa_max", most["area_mm2"] if most else None, "mm2", _where(most)),
        ("diameter_ap_mean", _mean(rows, "diameter_ap_mm")[0], "mm", _SHAPE),
        ("diameter_rl_mean", _mean(rows, "diameter_rl_mm")[0], "mm", _SHAPE),
        ("eccentricity_mean", _mean(rows, "eccentricity")[0], "1", _SHAPE),
    ]
    return [Measurement(name, value, unit, structure, empty or note) for name, value, unit, note in entries]


def _over_levels(rows: list[Row], structure: str, wanted: tuple[int, int] | None) -> list[Measurement]:
    """Means over all slices of each level that is there, of C2 and C3 together, and of the range that is asked for."""
    there = dict.fromkeys(row["level"] for row in rows if row["level"] is not None)
    ranges = {name.lower(): [name] for name in there}
    for first, last in filter(None, (_C2_C3, wanted)):
        names = [level_name(number) for number in range(first, last + 1)]
        if (first, last) == wanted or there.keys() >= set(names):
            ranges["_".join(dict.fromkeys((names[0].lower(), names[-1].lower())))] = names
    found = []
    for key, names in ranges.items():
        some = [row for row in rows if row["level"] in names]
        absent = [name for name in names if name not in there]
        note = f"mean over all slices of {_from_to(names)}, weighted by length"
        if absent:
            some, note = [], f"{_from_to(names)} is not measured: {', '.join(absent)} is not there"
        for quantity, column, unit in _OF_LEVELS:
            found.append(Measurement(f"{quantity}_{key}", _mean(some, column)[0], unit, structure, note))
    return found


def _from_to(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _where(row: Row | None) -> str:
    return "" if row is None else f"at slice {row['slice']}" + (f", {row['level']}" if row["level"] else "")


def _ends(slices: Slices, first: int, count: int) -> str:
    """Which ends of the structure are only ends of the scan: those within a slice of its border."""
    above = len(slices.volume) - first - count
    cut = [name for name, beyond in (("lower", first), ("upper", above)) if beyond <= 1]
    if not cut:
        return "both ends lie inside the scan"
    both = "both ends are those" if len(cut) == 2 else f"the {cut[0]} end is that"
    return f"{both} of the scan, not of the structure"


def _flags(slices: Slices, rows: list[Row], structure: str, largest_jump: float) -> list[str]:
    flags = []
    gaps = [row["slice"] for row in rows if row["slice_area_mm2"] is None]
    if gaps:
        flags.append(f"{structure}: a gap of the mask, at slice {_ranges(gaps)}")
    areas = [row["area_mm2"] for row in rows if row["area_mm2"] is not None]
    tip = _TIP * float(np.median(areas)) if areas else 0.0
    jumps = [
        after["slice"]
        for before, after in pairwise(rows)
        if before["area_mm2"] and after["area_mm2"] and max(before["area_mm2"], after["area_mm2"]) > tip
        and abs(after["area_mm2"] - before["area_mm2"]) > largest_jump * (after["area_mm2"] + before["area_mm2"]) / 2
    ]  # fmt: skip
    if jumps:
        flags.append(f"{structure}: the area jumps by more than {largest_jump:.0%}, at slice {_ranges(jumps)}")
    volume = slices.volume
    if volume[:, [0, -1], :].any() or volume[:, :, [0, -1]].any():
        flags.append(f"{structure}: the mask touches the side of the volume and may be cut off there")
    pieces = int(ndimage.label(volume, structure=np.ones((3, 3, 3)))[1])
    if pieces > 1 + len(list(_runs(gaps))):
        flags.append(f"{structure}: the mask has {pieces} separate pieces")
    return flags


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighboring numbers."""
    ordered = sorted(numbers)
    groups = groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])
    runs = [[number for _, number in group] for _, group in groups]
    return [(run[0], run[-1]) for run in runs]


def _ranges(numbers: Sequence[int]) -> str:
    """``101-104, 120`` of 101, 102, 103, 104 and 120."""
    runs = _runs(numbers)
    text = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs[:6])
    return text + (" and others" if len(runs) > 6 else "")
