"""How landmarks lie to each other: their mean shape and how far each one strays from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gracile.geometry.similarity import Similarity, fit_robustly, mean_shape

PRIOR_SHARE = 0.025
"""Stray of a landmark along an axis, as a share of the shape's size, before any case has told it."""

PRIOR_CASES = 3
"""How many cases that is worth."""

FREE_MM = 1000.0
"""Stray of landmarks that tell no rotation: nothing is known of where one lies beside another."""

FLAT = 1e-4
"""Width of a shape, as a share of its length, below which its points lie on a line."""


@dataclass(frozen=True)
class Configuration:
    """The mean shape of the landmarks over the training cases, in the pose of one of them.

    Args:
        mean: ``(landmarks, 3)`` mm, its middle at 0.
        stray: ``(landmarks,)`` deviation in mm along an axis of a case's landmark from the mean shape that was moved,
            turned and scaled onto the case.
    """

    mean: np.ndarray
    stray: np.ndarray

    @classmethod
    def learned(cls, shapes: Sequence[np.ndarray]) -> "Configuration":
        """Mean and stray of cases, each ``(landmarks, 3)`` mm; few cases lean on a prior stray."""
        mean, moved = mean_shape(shapes)
        free = cls(mean, np.full(len(mean), FREE_MM))
        if not free.tells_pose:
            return free
        cases, numbers = len(shapes), mean.size
        prior = PRIOR_SHARE * float(np.sqrt((mean**2).sum(axis=1).mean()))
        # Fitting a similarity, and the mean itself, made the cases look more alike than a new one will.
        squares = ((moved - mean) ** 2).mean(axis=2).sum(axis=0) * numbers / max(numbers - 7, 1)
        variance = (squares + PRIOR_CASES * prior**2) / (cases - 1 + PRIOR_CASES)
        return cls(mean, np.sqrt(variance * (1 + 1 / cases)))

    @property
    def tells_pose(self) -> bool:
        """Whether the landmarks tell a rotation: there are three at least, and they do not lie on a line."""
        return int(np.linalg.matrix_rank(self.mean, tol=FLAT * np.linalg.norm(self.mean))) >= 2

    def pose(self, points_mm: np.ndarray, weights: np.ndarray, error_mm: float) -> tuple[Similarity | None, np.ndarray]:
        """Where the mean shape lies in a case.

        Args:
            points_mm: ``(landmarks, 3)`` mm; NaN where one was not found.
            weights: ``(landmarks,)`` how much each is to be trusted.
            error_mm: Deviation along an axis with which points are found.

        Returns:
            The transform from the mean shape to the case, None when nothing was found; and ``(landmarks,)`` bool: which
            points follow it, within four deviations of their stray and error.
        """
        known = np.isfinite(points_mm).all(axis=1)
        agreeing = np.zeros(len(points_mm), dtype=bool)
        if not known.any():
            return None, agreeing
        limit = 4.0 * np.sqrt(self.stray[known] ** 2 + error_mm**2)
        fit, agreeing[known] = fit_robustly(self.mean[known], points_mm[known], weights[known] + 1e-6, limit)
        return fit, agreeing
