"""Central retinal artery and vein equivalents, from the widest vessels around the optic disc."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from gracile.geometry.skeleton import SkeletonGraph
from gracile.measure.caliber import WidthSamples
from gracile.measure.disc import Disc

ARTERIOLE_FACTOR = 0.88
VENULE_FACTOR = 0.95
BIG_SIX = 6
FEWEST = 4
_SAME_DIRECTION = np.deg2rad(15)


@dataclass(frozen=True)
class ZoneVessel:
    """One vessel on its way through zone B.

    Args:
        width: Mean width in pixels, weighted by length.
        row: Row of its middle sample.
        column: Column of its middle sample.
        inner: Distance from the disc's center at which it begins, in pixels.
        outer: Distance at which it ends.
        angle: Direction as seen from the disc's center, in radians.
        piece: Number of the connected piece of the skeleton within the zone.
    """

    width: float
    row: float
    column: float
    inner: float
    outer: float
    angle: float
    piece: int


def central_equivalent(widths: list[float], factor: float) -> float:
    """Width of the one trunk that would feed these vessels.

    The widest is paired with the narrowest, the next with the next, a middle one without a partner goes on as it
    is; each pair becomes ``factor * sqrt(w1**2 + w2**2)``; this is repeated until one is left.

    Args:
        widths: Widths of the vessels, at least one.
        factor: 0.88 for arterioles, 0.95 for venules.

    Returns:
        The equivalent in the unit of the widths.

    Source: Knudtson, Lee, Hubbard, Wong, Klein and Klein, "Revised formulas for summarizing retinal vessel
    diameters", Current Eye Research 27 (2003) 143-149.
    """
    left = sorted(widths)
    while len(left) > 1:
        half = len(left) // 2
        trunks = [factor * float(np.hypot(left[i], left[-1 - i])) for i in range(half)]
        left = sorted(trunks + (left[half : half + 1] if len(left) % 2 else []))
    return left[0]


def zone_b(disc: Disc) -> tuple[float, float]:
    """Inner and outer radius of zone B around the disc's center in pixels: 0.5 to 1 diameters from its margin."""
    return disc.diameter, 1.5 * disc.diameter


def zone_vessels(graph: SkeletonGraph, samples: list[WidthSamples], disc: Disc) -> list[ZoneVessel]:
    """Vessels of one tree that cross zone B, the widest first.

    A stretch of a segment counts when it covers at least three tenths of the zone's depth. Stretches that follow each
    other outward (a trunk and its branch, or a vessel with a gap) are one vessel, for which the widest stands;
    stretches side by side are several.

    Args:
        graph: Skeleton of the tree.
        samples: Widths along each of its segments.
        disc: The optic disc.

    Returns:
        The vessels.
    """
    inner, outer = zone_b(disc)
    pieces = _pieces(graph, disc, inner, outer)
    found: list[ZoneVessel] = []
    for segment, sample in zip(graph.segments, samples, strict=True):
        away = np.hypot(sample.points[:, 0] - disc.row, sample.points[:, 1] - disc.column)
        within = (away >= inner) & (away <= outer)
        runs, number = ndimage.label(within) if within.any() else (within, 0)
        for run in range(1, number + 1):
            at = np.flatnonzero(runs == run)
            told = at[np.isfinite(sample.width[at])]
            if np.ptp(away[at]) < 0.3 * (outer - inner) or not len(told) or sample.weight[told].sum() <= 0:
                continue
            row, column = sample.points[at[len(at) // 2]]
            found.append(
                ZoneVessel(
                    width=float(np.average(sample.width[told], weights=sample.weight[told])),
                    row=float(row),
                    column=float(column),
                    inner=float(away[at].min()),
                    outer=float(away[at].max()),
                    angle=float(np.arctan2(row - disc.row, column - disc.column)),
                    piece=int(pieces[segment.points[at, 0], segment.points[at, 1]].max()),
                )
            )
    return _one_per_vessel(found)


def _pieces(graph: SkeletonGraph, disc: Disc, inner: float, outer: float) -> np.ndarray:
    """``(height, width)`` number of the connected piece of the skeleton within the zone, 0 elsewhere."""
    pieces = np.zeros(graph.shape, dtype=np.int32)
    points = np.concatenate([np.zeros((0, 2), int), *(segment.points for segment in graph.segments)])
    distance = np.hypot(points[:, 0] - disc.row, points[:, 1] - disc.column)
    rows, columns = points[(distance >= inner) & (distance <= outer)].T
    if len(rows):
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        pieces[rows, columns] = 1
        pieces[box] = ndimage.label(pieces[box], structure=np.ones((3, 3)))[0]
    return pieces


def _one_per_vessel(found: list[ZoneVessel]) -> list[ZoneVessel]:
    chosen: list[ZoneVessel] = []
    for vessel in sorted(found, key=lambda v: -v.width):
        if not any(_follow(vessel, other) for other in chosen):
            chosen.append(vessel)
    return chosen


def _follow(a: ZoneVessel, b: ZoneVessel) -> bool:
    """Whether two stretches lie one after the other on the same vessel."""
    shared = min(a.outer, b.outer) - max(a.inner, b.inner)
    if shared > 0.5 * min(a.outer - a.inner, b.outer - b.inner):
        return False
    turn = abs((a.angle - b.angle + np.pi) % (2 * np.pi) - np.pi)
    return a.piece == b.piece or turn < _SAME_DIRECTION
