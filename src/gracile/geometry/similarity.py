"""Similarity transforms between sets of points, with and without outliers, and the mean shape of several sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

TRIPLES = 400
"""Random triples of points that a robust fit tries."""

ROUNDS = 10


@dataclass(frozen=True)
class Similarity:
    """A change of size, a rotation and a shift: ``scale * rotation @ point + shift``.

    Args:
        scale: Above 0.
        rotation: ``(3, 3)``, without mirroring.
        shift: ``(3,)``.
    """

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """``(..., 3)`` points to where they lie afterwards."""
        return self.scale * points @ self.rotation.T + self.shift

    def undo(self, points: np.ndarray) -> np.ndarray:
        """``(..., 3)`` points back."""
        return (points - self.shift) @ self.rotation / self.scale


def fit_similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> Similarity:
    """The similarity that brings points nearest to others, by weighted least squares.

    Umeyama, Least-Squares Estimation of Transformation Parameters Between Two Point Patterns, IEEE TPAMI 13(4), 1991.
    Fewer than three points, or points on a line, do not tell a rotation: they are only shifted.

    Args:
        source: ``(n, 3)``.
        target: ``(n, 3)``, in the same order.
        weights: ``(n,)`` at least 0; None weighs all alike.
    """
    weights = np.ones(len(source)) if weights is None else np.asarray(weights, dtype=float)
    scale, rotation, shift = _fits(source, target, weights / weights.sum())
    return Similarity(float(scale), rotation, shift)


def _fits(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`fit_similarity` of many sets at once: scales, rotations and shifts.

    Args:
        source: ``(..., n, 3)``.
        target: ``(..., n, 3)``.
        weights: ``(n,)`` that add up to 1.
    """
    middle, goal = weights @ source, weights @ target
    before, after = source - middle[..., None, :], target - goal[..., None, :]
    size = (before**2).sum(axis=-1) @ weights
    left, values, right = np.linalg.svd((after * weights[:, None]).swapaxes(-1, -2) @ before)
    shifted = (values[..., 1] <= 1e-9 * np.maximum(values[..., 0], 1e-12)) | (size == 0)
    mirror = np.ones_like(values)
    mirror[..., 2] = np.sign(np.linalg.det(left @ right))
    rotation = np.where(shifted[..., None, None], np.eye(3), (left * mirror[..., None, :]) @ right)
    scale = np.where(shifted, 1.0, (values * mirror).sum(axis=-1) / np.where(shifted, 1.0, size))
    shift = goal - scale[..., None] * (rotation @ middle[..., None])[..., 0]
    return scale, rotation, shift


def fit_robustly(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray, limit: float | np.ndarray
) -> tuple[Similarity, np.ndarray]:
    """The similarity that most points agree on.

    Random triples of points each give one (Fischler and Bolles, Random Sample Consensus, CACM 24(6), 1981; the draws
    are the same every time); that which the largest weight of points follows is fitted again to those points until
    they stay the same.

    Args:
        source: ``(n, 3)``.
        target: ``(n, 3)``, in the same order.
        weights: ``(n,)``, at least 0.
        limit: Distance at which a point no longer follows; one, or ``(n,)``.

    Returns:
        The transform, and ``(n,)`` bool: which points follow it. With fewer than four points all do.
    """
    if len(source) < 4:
        return fit_similarity(source, target, weights), np.ones(len(source), dtype=bool)

    def followers(fit: Similarity) -> np.ndarray:
        return np.linalg.norm(fit.apply(source) - target, axis=1) <= limit

    best = _most_supported(source, target, weights, limit)
    inside = followers(best)
    for _ in range(ROUNDS):
        if inside.sum() < 3:
            break
        best = fit_similarity(source[inside], target[inside], weights[inside])
        now = followers(best)
        if (now == inside).all():
            break
        inside = now
    return best, inside


def _most_supported(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray, limit: float | np.ndarray
) -> Similarity:  # fmt: skip
    """Of the similarities of all points and of triples the one that the largest weight of points follows."""
    triples = _triples(len(source))
    every = fit_similarity(source, target, weights)
    scales, rotations, shifts = _fits(source[triples], target[triples], np.full(3, 1 / 3))
    scales, rotations = np.append(every.scale, scales), np.concatenate([every.rotation[None], rotations])
    shifts = np.concatenate([every.shift[None], shifts])
    moved = scales[:, None, None] * source @ rotations.swapaxes(1, 2) + shifts[:, None]
    far = np.linalg.norm(moved - target, axis=-1) / limit
    support = np.where((scales > 0.5) & (scales < 2.0), np.maximum(0.0, 1.0 - far**2) @ weights, -1.0)
    best = int(support.argmax())
    return Similarity(float(scales[best]), rotations[best], shifts[best])


@lru_cache(maxsize=16)
def _triples(count: int) -> np.ndarray:
    """``(TRIPLES, 3)`` numbers of points below a count, the same every time."""
    random = np.random.default_rng(0)
    return np.stack([random.choice(count, 3, replace=False) for _ in range(TRIPLES)])


def mean_shape(shapes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of point sets that were moved, turned and scaled onto each other.

    Gower, Generalized Procrustes Analysis, Psychometrika 40, 1975.

    Args:
        shapes: Each ``(n, 3)`` in one order.

    Returns:
        ``(n, 3)`` mean in the pose of the first set and of the sets' mean size, its middle at 0; and ``(k, n, 3)``
        the sets moved onto it.
    """
    centered = [shape - shape.mean(axis=0) for shape in shapes]
    size = float(np.mean([np.linalg.norm(shape) for shape in centered]))
    mean = centered[0] * size / max(np.linalg.norm(centered[0]), 1e-12)
    moved = np.stack([mean])
    for _ in range(ROUNDS):
        moved = np.stack([fit_similarity(shape, mean).apply(shape) for shape in centered])
        mean = moved.mean(axis=0)
        mean = (mean - mean.mean(axis=0)) * size / max(np.linalg.norm(mean), 1e-12)
    return mean, moved
