"""What a programmer must know to compute a model of volumes without Gracile: ``contract.json``, as plain data.

export-contract.md in the documents explains every field; lengths have their unit in the name.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from gracile.bundle import Bundle
from gracile.errors import BundleError, UsageError
from gracile.geometry import centerline, path_search, similarity, smooth_lines
from gracile.names import VERSION
from gracile.recipe import Recipe
from gracile.recipe.landmark_stages import LandmarkHeatSpec, LandmarkRefineSpec
from gracile.recipe.stages import CenterlineSpec, SegmentVolumeSpec
from gracile.stages import heat, landmark_heat, landmark_refine, views
from gracile.stages.centerline import LARGEST_INPUT
from gracile.stages.configuration import Configuration
from gracile.transforms.standardizing import LEAST_SPAN, PERCENTILES
from gracile.transforms.turning import turn_matrix

FORMAT = 1
"""Version of the contract's layout."""

CASCADES = {
    "line-and-column": ("centerline", "segment-volume"),
    "heat-and-patches": ("landmark-heat", "landmark-refine"),
}
"""Cascades that can be exported, by name, and the kinds of their stages."""

INTENSITIES = {"line-and-column": "percentile", "heat-and-patches": "zscore"}
"""How the examples know intensities to be standardized, by cascade."""


@dataclass(frozen=True)
class Contract:
    """A contract and what of it is too long for JSON.

    Args:
        content: Of ``contract.json``, without the names of files.
        tables: Arrays of ``tables.npz``, by name.
    """

    content: dict[str, Any]
    tables: dict[str, np.ndarray]


def cascade_of(recipe: Recipe) -> str:
    """Name in `CASCADES` of a recipe's cascade. Raises UsageError for others, and for settings that are left out."""
    kinds = tuple(spec.kind for spec in recipe.stages)
    for name, wanted in CASCADES.items():
        if kinds == wanted:
            if why := _why_not(recipe, name):
                raise UsageError(
                    f"The recipe {recipe.name} cannot be exported: {why}.",
                    "Change it with --set, or take the graphs alone: they lie in the bundle.",
                )
            return name
    known = " or ".join(" then ".join(wanted) for wanted in CASCADES.values())
    raise UsageError(
        f"The recipe {recipe.name} cannot be exported: its stages are {' then '.join(kinds)}.",
        f"Models of volumes are exported with the stages {known}.",
    )


def _why_not(recipe: Recipe, cascade: str) -> str:
    first, second = recipe.stages
    if recipe.prepare.intensity != INTENSITIES[cascade]:
        return f"prepare.intensity is not {INTENSITIES[cascade]}"
    if recipe.input.channels != 1:
        return f"input.channels is {recipe.input.channels}, and exported models of volumes take one channel"
    if not all(np.atleast_1d(first.spacing_mm)):  # type: ignore[union-attr]
        return f"stages.{first.name}.spacing_mm keeps an axis of the volume"
    if recipe.landmarks and len(recipe.landmarks) < landmark_heat.AGREEING:
        return f"it has fewer than {landmark_heat.AGREEING} landmarks, which tell no pose"
    if recipe.regions:
        return "it has regions, whose maps overlap"
    if isinstance(second, SegmentVolumeSpec):
        if second.mirrorings not in ([()], [(), (0,)]):
            return f"stages.{second.name}.flips mirrors along other axes than the first"
        if second.along != first.name:
            return f"stages.{second.name}.along is not {first.name}"
        if second.decision.rule != "argmax":
            return f"stages.{second.name}.decision.rule is not argmax"
        if second.decision.smallest:
            return f"stages.{second.name}.decision.smallest is not 0"
        for setting in ("largest_only", "fill_holes"):
            if not isinstance(getattr(second.decision, setting), bool):
                return f"stages.{second.name}.decision.{setting} is not the same for each class"
    return ""


def contract_of(bundle: Bundle) -> Contract:
    """The contract of a bundle.

    Raises:
        UsageError: Its cascade is none that can be exported.
        BundleError: A stage has no graph.
    """
    recipe = bundle.recipe
    cascade = cascade_of(recipe)
    missing = [spec.name for spec in recipe.stages if spec.name not in bundle.graphs]
    if missing:
        raise BundleError(f"The stage {missing[0]!r} has no graph.", "Make it: gracile models upgrade BUNDLE.")
    tables: dict[str, np.ndarray] = {}
    steps = _line_and_column(recipe, tables) if cascade == "line-and-column" else _heat_and_patches(bundle)
    content = {
        "format": FORMAT,
        "cascade": cascade,
        "model": recipe.name,
        "title": recipe.title,
        "made_by": f"gracile {VERSION}",
        "input": {"axes": 3, "channels": recipe.input.channels, "not_a_number_becomes": 0.0},
        "coordinates": {
            "voxels": "indices along the axes of an array, the middle of the first voxel being 0",
            "patient": "RAS+ mm: x to the right, y to the front, z up; an affine (4, 4) leads there from voxels",
            "affine": "of a NIfTI file the sform where its code is not 0, else the qform",
        },
        "classes": [{"index": index, "name": name} for index, name in enumerate(recipe.class_names)],
        "landmarks": recipe.landmark_names,
        "resampling": "linear at voxel centers, the first one staying where it is; before every n-th voxel is taken "
        "(n > 1), a Gaussian of sqrt((n * n - 1) / 12) voxels, cut at 4 deviations, borders repeated",
        "steps": [_orient(recipe), _standardize(recipe), *steps],
    }  # fmt: skip
    return Contract(content, tables)


def _orient(recipe: Recipe) -> dict[str, Any]:
    return {
        "step": "orient",
        "does": "axes are turned so that each runs nearest to the side that is named; nothing is resampled",
        "axes_run_to": recipe.prepare.orientation,
    }  # fmt: skip


def _standardize(recipe: Recipe) -> dict[str, Any]:
    if recipe.prepare.intensity == "percentile":
        low, high = PERCENTILES
        return {
            "step": "standardize",
            "does": "the low percentile of all voxels becomes 0, the high one 1; values beyond are kept",
            "low_percentile": low,
            "high_percentile": high,
            "least_span": LEAST_SPAN,
        }  # fmt: skip
    return {
        "step": "standardize",
        "does": "the mean of all voxels becomes 0, their standard deviation 1",
        "least_deviation": LEAST_SPAN,
    }  # fmt: skip


def _line_and_column(recipe: Recipe, tables: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    find, segment = recipe.stages
    assert isinstance(find, CenterlineSpec)
    assert isinstance(segment, SegmentVolumeSpec)
    opposites = recipe.opposites
    looks = [
        (mirrored, degrees)
        for degrees in (0.0, *segment.turns)
        for mirrored in (False, True)[: len(segment.mirrorings)]
    ]
    ways = [_there_and_back(segment.size, mirrored, degrees) for mirrored, degrees in looks]
    tables["view_pixels"] = np.stack([pixels for pixels, _ in ways])
    tables["view_shares"] = np.stack([shares for _, shares in ways])
    tables["tile_weights"] = views.tile_weights((*segment.size, segment.longest or segment.length))
    members = sorted({index for name in find.structures or recipe.structures for index in recipe.structures[name]})
    return [
        _find_line(recipe, find, members),
        {
            "step": "cut-column",
            "does": "small slices around the line, each shifted by whole pixels, standardized by those around it",
            "spacing_mm": list(segment.spacing_mm),
            "size_pixels": list(segment.size),
            "evening_mm": segment.evening_mm,
        },
        {
            "step": "delineate",
            "does": "softmax of the network's logits over the column in tiles, averaged over views of it",
            "graph": segment.name,
            "network": _network("(n, classes, x, y, z) logits"),
            "tile_slices": segment.longest or segment.length,
            "short_columns": "whole" if segment.longest else "padded",
            "tile_overlap": segment.overlap,
            "tile_weights": "tables.npz: tile_weights",
            "tile_deviation_share": views.SHARPNESS,
            "tile_least_weight": views.LEAST,
            "views": [
                {"mirrored": mirrored, "turned_degrees": degrees,
                 "class_order": opposites if mirrored else list(range(len(opposites)))}
                for mirrored, degrees in looks
            ],
            "views_pixels": "tables.npz: view_pixels, view_shares",
        },
        {
            "step": "restore",
            "does": "probabilities of the column linearly on the volume's voxels; elsewhere these",
            "outside_probabilities": [1.0, *[0.0] * (len(recipe.classes) - 1)],
        },
        {
            "step": "smooth",
            "does": "probabilities by a Gaussian along the oriented volume's third axis, within the column's ends",
            "deviation_mm": segment.smooth_mm,
        },
        {
            "step": "decide",
            "does": "the likeliest class; then for each class in turn its largest island (26 neighbors), with what its "
            "slices across the third axis enclose (4 neighbors)",
            "rule": segment.decision.rule,
            "largest_island_only": segment.decision.largest_only,
            "fill_holes_of_slices": segment.decision.fill_holes,
        },
    ]  # fmt: skip


def _find_line(recipe: Recipe, find: CenterlineSpec, members: list[int]) -> dict[str, Any]:
    # As the copy is looked at: slices from below, rows to the back, columns to the left.
    place = [
        next(at for at, code in enumerate(recipe.prepare.orientation) if code in pair) for pair in ("IS", "PA", "LR")
    ]
    between, *sides = (find.spacing_mm[axis] for axis in place)
    slopes = [side / between for side in sides]
    limits = [max(1.0, path_search.LARGEST_SLOPE / slope) for slope in slopes]
    most = [int(limit + 1e-9) for limit in limits]
    costs = [path_search.step_penalties(*both, find.stiffness) for both in zip(most, slopes, strict=True)]
    ways = [sorted(range(-far, far + 1), key=lambda way: (abs(way), -way)) for far in most]
    return {
        "step": "find-line",
        "does": "heat of the network on a coarse copy; the path over its slices with the largest sum; smoothed",
        "graph": find.name,
        "network": _network("(1, 1, x, y, z) logits"),
        "spacing_mm": list(find.spacing_mm),
        "whole_up_to_samples": LARGEST_INPUT,
        "activation": "sigmoid",
        "classes": members,
        "presence": find.presence,
        "moves": [[row, column, float(costs[0][abs(row)] + costs[1][abs(column)])] for row, column in product(*ways)],
        "largest_step_samples": limits,
        "window_samples": [round(2 * find.width_mm / side) for side in sides],
        "centerings": path_search.SHIFTS,
        "least_weight": 1e-3,
        "weight_range": [0.1, 1.0],
        "smoothing_mm": centerline.SMOOTHING_MM,
        "smoothings": smooth_lines.TURNS + 1,
        "fewest_smoothed": smooth_lines.FEWEST,
        "tukey": smooth_lines.TUKEY,
        "extend_slices": round(find.extend_mm / between),
        "end_mm": centerline.END_MM,
        "settling_mm": centerline.SETTLING_MM,
    }  # fmt: skip


def _there_and_back(size: tuple[int, int], mirrored: bool, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A view of slices and the way back, as four pixels ``(2, 4, x * y)`` of each pixel and their shares."""
    count = size[0] * size[1]
    turns = [turn_matrix(*size, angle) for angle in (degrees, -degrees)]
    if mirrored:
        other = np.arange(count).reshape(size)[::-1].ravel()
        swap = csr_array((np.ones(count, dtype=np.float32), other, np.arange(count + 1)), shape=(count, count))
        turns = [swap @ turns[0], turns[1] @ swap]
    pixels, shares = np.zeros((2, 4, count), dtype=np.int32), np.zeros((2, 4, count), dtype=np.float32)
    for way, matrix in enumerate(turns):
        each = np.diff(matrix.indptr)
        number = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], each)
        rows = np.repeat(np.arange(count), each)
        pixels[way, number, rows], shares[way, number, rows] = matrix.indices, matrix.data
    return pixels, shares


def _heat_and_patches(bundle: Bundle) -> list[dict[str, Any]]:
    locate, refine = bundle.recipe.stages
    assert isinstance(locate, LandmarkHeatSpec)
    assert isinstance(refine, LandmarkRefineSpec)
    first, second = bundle.weights[locate.name], bundle.weights[refine.name]
    if not Configuration(first[heat.MEAN], first[heat.STRAY]).tells_pose:
        raise UsageError("The landmarks lie on a line, which tells no pose: such models cannot be exported.")
    fit = {
        "random_triples": similarity.TRIPLES,
        "rounds": similarity.ROUNDS,
        "sizes": [0.5, 2.0],
        "limit_deviations": 4.0,
    }
    return [
        {
            "step": "locate",
            "does": "heat of each landmark on a coarse copy, softmax over samples and nowhere; checked by the shape",
            "graph": locate.name,
            "network": _network("(1, landmarks, x', y', z') logits, at every sample or every second one"),
            "spacing_mm": list(locate.spacing_mm),
            "whole_up_to_samples": landmark_heat.LARGEST_INPUT,
            "padded_to_multiple_of": landmark_heat.MULTIPLE,
            "nowhere_logits": _plain(first["nowhere"]),
            "width_mm": locate.width_mm,
            "reach_deviations": heat.REACH,
            "presence": locate.presence,
            "absence": locate.absence,
            "hint": landmark_heat.HINT,
            "sizes": list(landmark_heat.SIZES),
            "fewest_agreeing": landmark_heat.AGREEING,
            "mean_shape_mm": _plain(first[heat.MEAN]),
            "stray_mm": _plain(first[heat.STRAY]),
            "fit": fit,
        },
        {
            "step": "refine",
            "does": "a patch about each landmark in the pose of the mean shape; the mean of its heat is the place",
            "graph": refine.name,
            "network": _network("(n, 1, size, size, size) logits of each patch's own landmark", numbers=True),
            "spacing_mm": refine.spacing_mm,
            "size_samples": refine.size,
            "margin_samples": refine.margin,
            "width_mm": refine.width_mm,
            "error_mm": refine.error_mm,
            "prior": refine.prior,
            "passes": refine.passes,
            "mirrored": refine.augment.flip,
            "opposites": [-1 if one is None else one for one in bundle.recipe.landmark_opposites],
            "fewest_agreeing": landmark_refine.POSED_BY,
            "mean_shape_mm": _plain(second[heat.MEAN]),
            "stray_mm": _plain(second[heat.STRAY]),
            "fit": fit,
        },
    ]  # fmt: skip


def _network(output: str, numbers: bool = False) -> dict[str, Any]:
    """Names and axes of what a graph takes and gives."""
    inputs = {"images": "float32 (n, channels, x, y, z)", **({"numbers": "int64 (n), of landmarks"} if numbers else {})}
    return {"inputs": inputs, "output": f"float32 {output}"}


def _plain(values: np.ndarray) -> Any:
    """Numbers as JSON has them; those of float32 come back as they are."""
    return np.asarray(values, dtype=np.float64).tolist()
