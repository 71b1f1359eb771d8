"""The best way through a stack of score maps, over all slices at once."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from gracile.errors import GeometryError

SHIFTS = 4
"""How often a place moves to the middle of its hill."""

LARGEST_SLOPE = 1.5
"""Millimeters within the slice per millimeter from slice to slice."""


@dataclass(frozen=True)
class Path:
    """One place on each slice.

    Args:
        places: ``(slices, 2)`` row and column, between the samples too.
        probabilities: ``(slices,)`` the score at each place.
        inside: ``(slices,)`` whether the structure is there; where it is not, the place is that of the nearest slice
            where it is.
    """

    places: np.ndarray
    probabilities: np.ndarray
    inside: np.ndarray


def best_path(
    scores: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float],
    stiffness: float = 0.5,
    largest_slope: float = LARGEST_SLOPE,
    threshold: float | None = None,
    window_mm: float = 5.0,
) -> Path:
    """The path of one place per slice with the largest sum of scores less the penalty on its slope.

    The penalty of a step is ``stiffness * slope ** 2`` in either direction, the slope being the step within the slice
    over the distance of the slices; as places are rounded to samples, a step counts half a sample less. The path is
    found exactly by dynamic programming (Viterbi) over all places of all slices, not slice by slice: a spike beside the
    line, were it stronger than the line, costs the way there and back. A step goes at most `largest_slope` up or down
    and left or right, or to the next sample where those lie farther apart.

    With a `threshold` the structure may end inside the volume: the path then is the run of slices whose sum of scores
    above the threshold, less the penalty, is largest. A short gap is bridged where what lies beyond is worth it.

    At last each place moves to the weighted mean of the scores around it, as far as the steps stay within the same
    limit.

    Args:
        scores: ``(slices, rows, columns)``, 0 to 1.
        spacing_mm: Distance of slices, of rows and of columns.
        stiffness: What a slope of 1 costs, in scores.
        largest_slope: Millimeters within the slice per millimeter from slice to slice.
        threshold: Score of a slice without the structure; None when it is in all of them.
        window_mm: How far around a place the weighted mean looks; 0 stays on the samples.

    Returns:
        The path; where nothing reaches the threshold no slice is inside, and the path is that without a threshold.

    Raises:
        GeometryError: Scores of another shape or with NaN, or settings that make no sense.

    Source: the scheme of Gros et al., "Automatic spinal cord localization, robust to MRI contrasts using global curve
    optimization", Medical Image Analysis 44 (2018) 215-227; windowed distance transforms after Felzenszwalb and
    Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8 (2012) 415-428.
    """
    scores = np.asarray(scores, dtype=np.float32)
    if scores.ndim != 3 or not scores.size or not np.isfinite(scores).all():
        raise GeometryError(f"A path needs finite scores (slices, rows, columns), not {scores.shape}.")
    if stiffness < 0 or largest_slope <= 0 or min(spacing_mm) <= 0:
        raise GeometryError("A path needs spacings and a largest slope above zero, and a stiffness of at least zero.")
    slope = [side / spacing_mm[0] for side in spacing_mm[1:]]
    limit = np.array([max(1.0, largest_slope / part) for part in slope])
    penalties = [step_penalties(int(most + 1e-9), part, stiffness) for most, part in zip(limit, slope, strict=True)]
    first, path = _search(scores, penalties, threshold)
    found = len(path) > 0
    if not found:
        first, path = _search(scores, penalties, None)
    window = [round(window_mm / side) for side in spacing_mm[1:]]
    places = _centered(scores[first : first + len(path)], path, window)
    places = _without_jumps(places, limit)[np.clip(np.arange(len(scores)) - first, 0, len(path) - 1)]
    inside = np.zeros(len(scores), dtype=bool)
    inside[first : first + len(path)] = found
    at = np.column_stack([np.arange(len(scores)), places]).T
    return Path(places, ndimage.map_coordinates(scores, at, order=1, mode="nearest").astype(np.float64), inside)


def step_penalties(most: int, slope: float, stiffness: float) -> np.ndarray:
    """What steps of 0 to `most` samples cost when one sample is a slope of `slope`."""
    return stiffness * (np.maximum(np.arange(most + 1) - 0.5, 0) * slope) ** 2


def _search(scores: np.ndarray, penalties: list[np.ndarray], threshold: float | None) -> tuple[int, np.ndarray]:
    """The first slice of the best path, and its ``(n, 2)`` rows and columns; an empty one when nothing is worth it."""
    down, across = (np.zeros(scores.shape, dtype=np.int16) for _ in range(2))
    begins = np.zeros(scores.shape, dtype=bool)
    begins[0] = True
    worth = scores[0] - (threshold or 0)
    best, last, place = float(worth.max()), 0, int(worth.argmax())
    for index in range(1, len(scores)):
        worth, across[index] = _best_of_neighbors(worth, penalties[1], axis=1)
        worth, down[index] = _best_of_neighbors(worth, penalties[0], axis=0)
        if threshold is not None:
            begins[index] = worth <= 0
            worth = np.maximum(worth, 0) - threshold
        worth = worth + scores[index]
        if threshold is None or worth.max() > best:
            best, last, place = float(worth.max()), index, int(worth.argmax())
    if threshold is not None and best <= 0:
        return 0, np.zeros((0, 2), dtype=np.intp)
    row, column = divmod(place, scores.shape[2])
    path = [(row, column)]
    while not begins[last, row, column]:
        row += int(down[last, row, column])
        column += int(across[last, row, column])
        last -= 1
        path.append((row, column))
    return last, np.array(path[::-1])


def _best_of_neighbors(values: np.ndarray, penalties: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """For each sample the largest of its neighbors along an axis, less the penalty of the way, and the step to it."""
    best, step = values.copy(), np.zeros(values.shape, dtype=np.int16)
    source, target, chosen = (array.swapaxes(0, axis) for array in (values, best, step))
    for away in range(1, min(len(penalties), len(source))):
        for here, there, sign in (
            (slice(None, -away), slice(away, None), away),
            (slice(away, None), slice(None, -away), -away),
        ):
            offer = source[there] - penalties[away]
            better = offer > target[here]
            np.copyto(target[here], offer, where=better)
            np.copyto(chosen[here], sign, where=better)
    return best, step


def _centered(scores: np.ndarray, path: np.ndarray, window: list[int]) -> np.ndarray:
    """``(n, 2)`` places moved to the middle of the hill that they stand on, within the window around the path.

    What is higher than the path's own score counts as if it were as high, so that a spike does not draw it.
    """
    around = [np.arange(-reach, reach + 1) for reach in window]
    padded = np.pad(scores, ((0, 0), *((reach, reach) for reach in window)), constant_values=-np.inf)
    index = np.arange(len(path))
    own = np.maximum(scores[index, path[:, 0], path[:, 1]], 0)[:, None, None]
    places = path.astype(np.float64)
    for _ in range(SHIFTS):
        row, column = np.rint(places).astype(np.intp).T
        rows, columns = row[:, None] + around[0], column[:, None] + around[1]
        patch = padded[index[:, None, None], rows[:, :, None] + window[0], columns[:, None, :] + window[1]]
        weight = np.maximum(np.minimum(patch, own) - own / 2, 0)
        whole = weight.sum(axis=(1, 2))
        known = whole > 0
        mean = [(weight.sum(axis=2) * rows).sum(axis=1), (weight.sum(axis=1) * columns).sum(axis=1)]
        places[known] = (np.stack(mean, axis=1)[known]) / whole[known, None]
        places = np.clip(places, path - np.array(window), path + np.array(window))
    return places


def _without_jumps(places: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """The places, drawn together where two neighbors are farther apart than the limit, from both ends alike."""
    passes = []
    for ordered in (places, places[::-1]):
        kept = ordered.copy()
        for index in range(1, len(kept)):
            kept[index] = np.clip(kept[index], kept[index - 1] - limit, kept[index - 1] + limit)
        passes.append(kept)
    return (passes[0] + passes[1][::-1]) / 2
