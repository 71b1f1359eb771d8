"""What an answer shows, in a few numbers: how much of each structure was found, in how many pieces, and where."""

from itertools import product

import numpy as np
from scipy import ndimage

from gracile.recipe import Recipe
from gracile.result import Result
from gracile.trust.figures import LANDMARKS, Figures

WORKING_SIZE = 320
"""Longer side in pixels at which masks of pictures are looked at; a pixel there is of a structure if any of its is."""

EDGE = 0.01
"""Distance from the border, as a share of a picture's longer side, that counts as being at it."""


def answer_figures(result: Result, recipe: Recipe) -> Figures:
    """Figures of what was found.

    - ``found``: 1 where there is anything of a structure, else 0; not told of what a gate looks for, as its recipe
      expects it to be absent now and then.
    - ``share``: of the region that was looked at.
    - ``apart``: share of the structure outside its largest piece. ``border``: share of it at the border.
    - Of landmarks: ``missed``, the share that was not found; means of ``probability`` and ``uncertainty_mm``; and
      ``outside``, the share within a voxel of the volume's border or beyond it.
    """
    figures: Figures = {}
    if result.mask is not None:
        region = None if result.region is None or result.region.all() else result.region
        mask, region = _working(result.mask, region)
        area, edge = mask.size if region is None else max(1, int(region.sum())), _edge(mask.shape, region)
        counts = np.bincount(mask.ravel(), minlength=len(recipe.classes))
        gated = _gated(recipe)
        for name, members in recipe.structures.items():
            count = int(counts[list(members)].sum())
            if not gated.issuperset(recipe.class_names[index] for index in members):
                figures[name, "found"] = float(count > 0)
            if count:
                figures[name, "share"] = count / area
                figures |= {(name, what): value for what, value in _shape(mask, members, edge, count).items()}
    if result.landmarks:
        figures |= {(LANDMARKS, what): value for what, value in _landmarks(result).items()}
    return figures


def _gated(recipe: Recipe) -> set[str]:
    """Classes that a gate may close."""
    gates = [spec for spec in recipe.gates if spec.enabled]
    return {name for spec in gates for name in spec.structures or recipe.class_names[1:]}


def _working(mask: np.ndarray, region: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture's mask and region at a smaller size, classes of higher index before others; volumes as they are."""
    step = max(1, round(max(mask.shape) / WORKING_SIZE)) if mask.ndim == 2 else 1
    if step == 1:
        return mask, region
    rows, columns = (length // step * step for length in mask.shape)
    small = mask[:rows:step, :columns:step].copy()
    for row, column in product(range(step), repeat=2):
        np.maximum(small, mask[row:rows:step, column:columns:step], out=small)
    if region is not None:
        region = region[step // 2 : rows : step, step // 2 : columns : step]
    return small, region


def _edge(shape: tuple[int, ...], region: np.ndarray | None) -> np.ndarray | None:
    """``(*spatial)`` bool, what lies at the border of a picture's region; None of a volume, whose sides are known."""
    if len(shape) == 3:
        return None
    near = max(1, round(EDGE * max(shape)))
    if region is not None:
        return ~ndimage.minimum_filter(region, 2 * near + 1, mode="constant", cval=False)
    edge = np.ones(shape, bool)
    edge[near:-near, near:-near] = False
    return edge


def _shape(mask: np.ndarray, members: tuple[int, ...], edge: np.ndarray | None, count: int) -> dict[str, float]:
    wanted = np.zeros(256, bool)
    wanted[list(members)] = True
    own = wanted[mask]
    box = ndimage.find_objects(own.astype(np.uint8))[0]
    pieces, number = ndimage.label(own[box], structure=np.ones((3,) * mask.ndim))
    largest = int(np.bincount(pieces.ravel())[1:].max()) if number > 1 else count
    if edge is not None:
        touching = int((own & edge).sum())
    else:
        inner = own[tuple(slice(1, -1) if length > 2 else slice(None) for length in own.shape)]
        touching = count - int(inner.sum())
    return {"apart": 1.0 - largest / count, "border": touching / count}


def _landmarks(result: Result) -> dict[str, float]:
    found = [landmark for landmark in result.landmarks if landmark.point_mm is not None]
    figures = {"missed": 1.0 - len(found) / len(result.landmarks)}
    if not found or result.grid.affine is None:
        return figures
    figures["probability"] = float(np.mean([landmark.probability for landmark in found]))
    spreads = [landmark.uncertainty_mm for landmark in found if landmark.uncertainty_mm is not None]
    if spreads:
        figures["uncertainty_mm"] = float(np.mean(spreads))
    points = np.array([landmark.point_mm for landmark in found])
    to_voxels = np.linalg.inv(result.grid.affine)
    voxels = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    inside = ((voxels >= 1) & (voxels <= np.array(result.grid.shape) - 2)).all(axis=1)
    return {**figures, "outside": float(1.0 - inside.mean())}
