"""Measurements of the arteries and veins in a fundus photograph."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import curves
from gracile.geometry.skeleton import SkeletonGraph, skeleton_graph
from gracile.measure import central
from gracile.measure.base import Measure, MicrometersPerPixel, mask_of, region_of
from gracile.measure.caliber import WidthSamples, sample_widths
from gracile.measure.disc import CONFIDENT, Disc, find_disc
from gracile.measure.fractal import box_sizes, fractal_dimension
from gracile.recipe import Recipe
from gracile.result import Measurement, Result

DETECTED = "the optic disc is detected, not given: check it in the pictures"
_SMOOTHING = 0.005
_SHORTEST = 0.04
_SPUR = 0.008
_LARGE = 2_000_000
"""Pixels from which on two threads help; the steps on smaller pictures are so short that they wait for each other."""


class Vessels(Measure):
    """The vessel trees of a fundus photograph; see `fundus_measurements`."""

    um_per_pixel: MicrometersPerPixel = None
    disc: tuple[float, float, float] | None = None
    """Row, column and diameter in input pixels; given at prediction."""

    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        maps = None if recipe.regions else result.probabilities  # those of regions are no classes
        measurements, marks, notes = fundus_measurements(
            case.image, mask_of(result), region_of(result), trees=recipe.structures, um_per_pixel=self.um_per_pixel,
            disc=Disc(*self.disc) if self.disc else None, probabilities=maps,
        )  # fmt: skip
        result.measurements += measurements
        result.marks.update(marks)
        result.notes += notes


@dataclass(frozen=True)
class Scale:
    """Turns pixels into the unit of the answer.

    Args:
        um_per_pixel: Size of a pixel in micrometers; None leaves pixels.
    """

    um_per_pixel: float | None = None

    @property
    def unit(self) -> str:
        """``um`` or ``px``."""
        return "px" if self.um_per_pixel is None else "um"

    def length(self, pixels: float | None) -> float | None:
        """A length in the unit; None stays None."""
        return None if pixels is None else float(pixels) * (self.um_per_pixel or 1.0)

    def inverse(self, per_pixel: float | None) -> float | None:
        """A number per pixel, as a number per unit; None stays None."""
        return None if per_pixel is None else float(per_pixel) / (self.um_per_pixel or 1.0)


@dataclass(frozen=True)
class Tree:
    """One vessel tree, taken apart.

    Args:
        name: Its name, e.g. ``artery``.
        mask: ``(height, width)`` bool.
        graph: Its skeleton.
        samples: Widths along each segment of the skeleton.
    """

    name: str
    mask: np.ndarray
    graph: SkeletonGraph
    samples: list[WidthSamples]


def fundus_measurements(
    image: np.ndarray,
    mask: np.ndarray,
    region: np.ndarray,
    *,
    trees: dict[str, tuple[int, ...]],
    um_per_pixel: float | None = None,
    disc: Disc | None = None,
    probabilities: np.ndarray | None = None,
) -> tuple[list[Measurement], dict[str, Any], list[str]]:
    """Measure the vessel trees of a fundus photograph.

    Smoothing, the shortest segment for tortuosity and the boxes of the fractal dimension follow the extent of the field
    of view, so that pictures of one field at different resolutions compare. A class that belongs to several trees
    (crossings) keeps each of them connected, but no width is sampled across it.

    Args:
        image: ``(3, height, width)`` uint8, red first.
        mask: ``(height, width)`` uint8 class indices.
        region: ``(height, width)`` bool, the field of view.
        trees: Class indices of each tree by name. Trees named ``artery`` and ``vein`` get CRAE, CRVE and AVR.
        um_per_pixel: Size of a pixel in micrometers; None answers in pixels.
        disc: The optic disc; None lets it be detected.
        probabilities: ``(classes, height, width)``; adds the mean probability of each tree over its mask.

    Returns:
        The measurements; the marks to draw (``optic_disc``, ``zone_b``, ``zone_vessels``); what to look at before
        the numbers are believed.

    Raises:
        DataError: Sizes that do not fit together, or a scale that is not positive.
    """
    if image.shape[1:] != mask.shape or mask.shape != region.shape:
        raise DataError(f"Image {image.shape[1:]}, mask {mask.shape} and region {region.shape} differ in size.")
    if um_per_pixel is not None and not um_per_pixel > 0:
        raise DataError(f"A pixel cannot measure {um_per_pixel} micrometers.", "Give a positive um_per_pixel.")
    scale = Scale(um_per_pixel)
    extent = _extent(region)
    shared = _shared(mask, trees)
    masks = {name: np.isin(mask, classes) & region for name, classes in trees.items()}
    with ThreadPoolExecutor(2 if mask.size >= _LARGE else 1) as threads:
        parts = [threads.submit(_take_apart, name, own, shared, extent) for name, own in masks.items()]
        if disc is None:
            vessels = np.logical_or.reduce(list(masks.values())) if masks else None
            disc = threads.submit(find_disc, image, region, vessels).result()
        taken = [part.result() for part in parts]
    found: list[Measurement] = []
    for tree in taken:
        found += _tree_measurements(tree, region, extent, scale)
        if probabilities is not None and tree.mask.any():
            mean = float(probabilities[list(trees[tree.name])].sum(axis=0)[tree.mask].mean())
            found.append(Measurement("probability_mean", mean, "1", tree.name, "over the pixels of the tree"))
    more, marks, notes = _around_disc(taken, disc, scale)
    return found + more, marks, notes


def _extent(region: np.ndarray) -> float:
    """The longer side of the field of view in pixels; of the picture when the field is empty."""
    sides = [np.flatnonzero(region.any(axis=axis)) for axis in (0, 1)]
    return float(max(side[-1] - side[0] + 1 for side in sides) if len(sides[0]) else max(region.shape))


def _shared(mask: np.ndarray, trees: dict[str, tuple[int, ...]]) -> np.ndarray:
    """``(height, width)`` bool, pixels of the classes that belong to more than one tree."""
    every = [index for classes in trees.values() for index in set(classes)]
    return np.isin(mask, [index for index in set(every) if every.count(index) > 1])


def _take_apart(name: str, mask: np.ndarray, shared: np.ndarray, extent: float) -> Tree:
    graph = skeleton_graph(mask, spur_length=max(5.0, _SPUR * extent))
    samples = sample_widths(graph.segments, mask, sigma=max(3.0, _SMOOTHING * extent), exclude=shared)
    return Tree(name, mask, graph, samples)


def _tree_measurements(tree: Tree, region: np.ndarray, extent: float, scale: Scale) -> list[Measurement]:
    """Everything that is told of one tree without the optic disc."""
    area = int(region.sum())
    length = sum(curves.arc_length(sample.points) for sample in tree.samples)
    sizes = box_sizes(extent)
    boxes = "box counting of the mask, boxes of " + ", ".join(map(str, sizes)) + " px"
    empty = not tree.mask.any()
    note = "nothing of this tree was found" if empty else ""
    rows: list[tuple[str, float | None, str, str]] = [
        *_calibers(tree.samples, scale),
        ("density", int(tree.mask.sum()) / area if area else None, "1", "area of the tree over the field of view"),
        ("length", scale.length(length), scale.unit, "along the middle lines"),
        (
            "length_density",
            scale.inverse(length / area) if area else None,
            f"1/{scale.unit}",
            "length over the area of the field of view",
        ),
        *_tortuosities(tree.samples, _SHORTEST * extent, scale),
        ("fractal_dimension", fractal_dimension(tree.mask, sizes), "1", boxes),
        ("segments", float(len(tree.graph.segments)), "1", ""),
        ("branch_points", float(len(tree.graph.branch_points)), "1", "crossings within the tree included"),
    ]
    return [Measurement(name, value, unit, tree.name, note or remark) for name, value, unit, remark in rows]


def _calibers(samples: list[WidthSamples], scale: Scale) -> list[tuple[str, float | None, str, str]]:
    """Mean, median and standard deviation of the widths, weighted by length."""
    width = np.concatenate([np.zeros(0), *(sample.width for sample in samples)])
    weight = np.concatenate([np.zeros(0), *(sample.weight for sample in samples)])
    use = np.isfinite(width) & (weight > 0)
    width, weight = width[use], weight[use]
    values: tuple[float | None, float | None, float | None] = (None, None, None)
    if len(width):
        mean = float(np.average(width, weights=weight))
        order = np.argsort(width)
        along = np.cumsum(weight[order])
        median = float(width[order][np.searchsorted(along, along[-1] / 2)])
        values = (mean, median, float(np.sqrt(np.average((width - mean) ** 2, weights=weight))))
    note = "weighted by length; branch points and crossings left out" if len(width) else "no width could be sampled"
    return [
        (f"caliber_{name}", scale.length(value), scale.unit, note)
        for name, value in zip(("mean", "median", "sd"), values, strict=True)
    ]


def _tortuosities(
    samples: list[WidthSamples], shortest: float, scale: Scale
) -> list[tuple[str, float | None, str, str]]:
    """Arc over chord and curvature, over the segments that are long enough, weighted by length."""
    lengths, ratios, turns = [], [], []
    for sample in samples:
        length = curves.arc_length(sample.points)
        # A closed loop has no chord to speak of.
        if length >= shortest and (chord := curves.chord_length(sample.points)) >= 0.1 * length:
            lengths.append(length)
            ratios.append(length / chord)
            turns.append(curves.total_curvature(sample.points))
    note = f"over {len(lengths)} segments of at least {shortest:.0f} px"
    if not lengths:
        return [
            ("tortuosity_arc_chord", None, "1", note),
            ("tortuosity_curvature", None, f"rad/{scale.unit}", note),
        ]
    return [
        ("tortuosity_arc_chord", float(np.average(ratios, weights=lengths)), "1", note + ", weighted by length"),
        ("tortuosity_curvature", scale.inverse(sum(turns) / sum(lengths)), f"rad/{scale.unit}", note),
    ]


def _around_disc(
    taken: list[Tree], disc: Disc | None, scale: Scale
) -> tuple[list[Measurement], dict[str, Any], list[str]]:
    """CRAE, CRVE and AVR with their marks and notes."""
    marks: dict[str, Any] = {}
    notes: list[str] = []
    trusted = disc is not None and (disc.source == "given" or disc.confidence >= CONFIDENT)
    if disc is None:
        notes.append("no optic disc found: CRAE, CRVE and AVR are not told; give its center and diameter")
    else:
        marks["optic_disc"] = dict(vars(disc))
        if not trusted:
            notes.append("the optic disc is uncertain: CRAE, CRVE and AVR are not told; give its center and diameter")
        elif disc.source == "detected":
            notes.append(DETECTED)
    by_name = {tree.name: tree for tree in taken}
    if not {"artery", "vein"} & set(by_name):
        return [], marks, []
    if disc is None or not trusted:
        why = "needs an optic disc that is given or surely found"
        return _equivalents({}, scale, why), marks, notes
    inner, outer = central.zone_b(disc)
    marks["zone_b"] = {"row": disc.row, "column": disc.column, "inner_radius": inner, "outer_radius": outer}
    vessels = {
        name: central.zone_vessels(tree.graph, tree.samples, disc)[: central.BIG_SIX]
        for name, tree in by_name.items()
        if name in ("artery", "vein")
    }
    marks["zone_vessels"] = {
        name: [{"row": v.row, "column": v.column, "width": v.width} for v in some] for name, some in vessels.items()
    }
    how = "" if disc.source == "given" else "optic disc detected, not given"
    return _equivalents({n: [v.width for v in some] for n, some in vessels.items()}, scale, how), marks, notes


def _equivalents(widths: dict[str, list[float]], scale: Scale, how: str) -> list[Measurement]:
    """CRAE, CRVE and AVR from the widths in pixels of up to six vessels of each tree, the widest first."""
    out: list[Measurement] = []
    factors = {"artery": central.ARTERIOLE_FACTOR, "vein": central.VENULE_FACTOR}
    for name, tree in (("crae", "artery"), ("crve", "vein")):
        some = widths.get(tree, [])
        notes = [how] if how else []
        if widths and len(some) < central.BIG_SIX:
            least = f", at least {central.FEWEST} are needed" if len(some) < central.FEWEST else ", so it reads low"
            notes.append(f"{len(some)} of {central.BIG_SIX} vessels in zone B{least}")
        value = central.central_equivalent(some, factors[tree]) if len(some) >= central.FEWEST else None
        out.append(Measurement(name, scale.length(value), scale.unit, tree, "; ".join(notes)))
    number = min((len(widths.get(tree, [])) for tree in factors), default=0)
    notes = [how] if how else []
    ratio = None
    if number >= central.FEWEST:
        # The equivalent grows with the number of vessels: the ratio compares equal numbers.
        artery, vein = (central.central_equivalent(widths[t][:number], factors[t]) for t in ("artery", "vein"))
        ratio = artery / vein
        notes.append(f"from the {number} widest of each")
    elif widths:
        notes.append(f"fewer than {central.FEWEST} vessels of a tree in zone B")
    out.append(Measurement("avr", ratio, "1", "", "; ".join(notes)))
    return out
