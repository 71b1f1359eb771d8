"""Cross-sections of a slender structure in a volume, at a right angle to its own course."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from gracile.geometry import Centerline, Slices

Plane = Literal["projected", "resampled"]
"""How a section at a right angle is made from slices that are not: see `cross_sections`."""

_FINER = 0.5
_MARGIN_MM = 3.0


@dataclass(frozen=True)
class CrossSection:
    """One section at a right angle to the structure.

    Args:
        area_mm2: Its area.
        diameter_ap_mm: Extent from front to back, see `_shape`.
        diameter_rl_mm: Extent from right to left.
        eccentricity: 0 for a circle, towards 1 the flatter.
        orientation_deg: Angle of the long axis from right-left, counted from the patient's right towards anterior.
    """

    area_mm2: float
    diameter_ap_mm: float
    diameter_rl_mm: float
    eccentricity: float
    orientation_deg: float


def cross_sections(
    slices: Slices, line: Centerline, tangents: np.ndarray, first: int, plane: Plane = "projected"
) -> list[CrossSection | None]:
    """The section of a structure at each point of its line.

    *Projected*: the structure in the slice is looked at along its course. What a slice cuts out of a straight tube is
    the tube's section drawn out by one over the cosine of the angle between the slice's normal and the tube, so the
    area in the slice times that cosine is exact for tubes, and a good estimate where the course bends little within
    a diameter. *Resampled*: the volume is read on a plane at a right angle to the course by linear interpolation;
    sections of which a part lies beyond the ends of the structure are None.

    Args:
        slices: Shares of the structure in each voxel, 0 to 1, or a mask.
        line: One point per slice.
        tangents: ``(n, 3)`` unit vectors along the line.
        first: Slice of the line's first point.
        plane: How the section is made.

    Returns:
        A section per point; None where the slice holds nothing of the structure.

    Source: the projected area is that of De Leener et al., "SCT: Spinal Cord Toolbox, an open-source software for
    processing spinal cord MRI data", NeuroImage 145 (2017) 24-43.
    """
    sections: list[CrossSection | None] = []
    for index, (point, tangent) in enumerate(zip(line.points_mm, tangents, strict=True), start=first):
        offsets, weights, sides = _in_slice(slices, index)
        if not len(weights):
            sections.append(None)
        elif plane == "projected":
            area = float(weights.sum()) * slices.pixel_mm2 * abs(float(slices.normal @ tangent))
            sections.append(_section(offsets, weights, sides, area, tangent))
        else:
            reach = float(np.linalg.norm(offsets, axis=1).max()) + _MARGIN_MM
            sections.append(_resampled(slices, point, tangent, reach, (first, first + len(tangents) - 1)))
    return sections


def _in_slice(slices: Slices, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a slice holds: ``(n, 3)`` offsets in mm from its center of mass, ``(n,)`` shares, ``(2, 3)`` pixel sides."""
    picture = slices.volume[index]
    rows, columns = np.nonzero(picture)
    weights = picture[rows, columns].astype(np.float64)
    sides = slices.affine[:3, 1:3].T
    offsets = np.column_stack([rows, columns]).astype(np.float64) @ sides
    return offsets - (weights @ offsets / weights.sum() if len(weights) else 0), weights, sides


def _resampled(
    slices: Slices, point: np.ndarray, tangent: np.ndarray, reach: float, ends: tuple[int, int]
) -> CrossSection | None:
    """The section on a plane through a point; None when the structure's ends cut it or it is empty."""
    step = _FINER * min(slices.spacing_mm)
    across = _axes(tangent)
    ticks = np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1) * step
    offsets = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    offsets = offsets[np.linalg.norm(offsets, axis=1) <= reach] @ across
    places = slices.to_places(point + offsets)
    low = np.maximum(np.floor(places.min(axis=0)).astype(int) - 1, 0)
    high = np.ceil(places.max(axis=0)).astype(int) + 2
    box = slices.volume[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.float32)
    shares = ndimage.map_coordinates(box, (places - low).T, order=1, mode="grid-constant")
    inside = shares > 1e-3
    heights = places[inside, 0]
    if not len(heights) or heights.min() < ends[0] or heights.max() > ends[1]:
        return None
    # The shares add up to the area; interpolation blurs them, so the shape is that of what they hold by half.
    area = float(shares.sum(dtype=np.float64)) * step**2
    core = shares > 0.5 if (shares > 0.5).any() else inside
    offsets = offsets[core]
    return _section(offsets - offsets.mean(axis=0), np.ones(len(offsets)), step * across, area, tangent)


def _section(
    offsets: np.ndarray, weights: np.ndarray, sides: np.ndarray, area_mm2: float, tangent: np.ndarray
) -> CrossSection:
    """The section whose samples, seen along the tangent, have this shape."""
    across = _axes(tangent)
    ap, rl, eccentricity, orientation = _shape(offsets @ across.T, weights, sides @ across.T)
    return CrossSection(area_mm2, ap, rl, eccentricity, orientation)


def _shape(offsets: np.ndarray, weights: np.ndarray, sides: np.ndarray) -> tuple[float, float, float, float]:
    """Diameters, eccentricity and orientation of the ellipse with the same second moments.

    The diameter along an axis is four times the standard deviation along it, which is the caliper width (Feret
    diameter) that this ellipse has in that direction; for an ellipse upright in the patient they are its axes. Each
    sample counts as the area it stands for, not as a point.

    Args:
        offsets: ``(n, 2)`` mm from the center: to the right, to the front.
        weights: ``(n,)``.
        sides: ``(2, 2)`` sides of a sample in the same axes.

    Source: Mulchrone and Choudhury, "Fitting an ellipse to an arbitrary shape", Journal of Structural Geology 26 (2004)
    143-153; the Spinal Cord Toolbox takes its diameters from the same ellipse's axes.
    """
    moments = (offsets.T * weights) @ offsets / weights.sum() + sides.T @ sides / 12
    low, high = np.linalg.eigvalsh(moments)
    # Half the angle whose tangent is twice the mixed moment over the difference of the two others.
    orientation = 0.5 * np.arctan2(2 * moments[0, 1], moments[0, 0] - moments[1, 1])
    across, along = (4 * float(np.sqrt(moments[axis, axis])) for axis in (0, 1))
    return along, across, float(np.sqrt(max(0.0, 1 - low / high))), float(np.rad2deg(orientation))


def _axes(tangent: np.ndarray) -> np.ndarray:
    """``(2, 3)`` unit vectors at a right angle to a tangent: to the patient's right, and to the front."""
    front = np.array([0.0, 1.0, 0.0])
    front -= (front @ tangent) * tangent
    front /= np.linalg.norm(front)
    return np.stack([np.cross(front, tangent), front])
