"""How landmarks lie to each other: their mean shape and how far each one strays from it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from gracile.geometry.similarity import Similarity, fit_robustly, mean_shape

PRIOR_SHARE = 0.025
"""Stray of a landmark along an axis, as a share of the shape's size, before any case has told it."""

PRIOR_CASES = 3
"""How many cases that is worth."""

FREE_MM = 1000.0
"""Stray of landmarks that tell no rotation: nothing is known of where one lies beside another."""

FLAT = 1e-4
"""Width of a shape, as a share of its length, below which its points lie on a line."""


class Configuration(nn.Module):
    """The mean shape of the landmarks over the training cases, in the pose of one of them.

    Args:
        landmarks: How many.

    Attributes:
        mean_mm: ``(landmarks, 3)`` mm, its middle at 0.
        stray_mm: ``(landmarks,)`` deviation in mm along an axis of a case's landmark from the mean shape that was
            moved, turned and scaled onto the case.
    """

    mean_mm: torch.Tensor
    stray_mm: torch.Tensor

    def __init__(self, landmarks: int) -> None:
        super().__init__()
        self.register_buffer("mean_mm", torch.zeros(landmarks, 3))
        self.register_buffer("stray_mm", torch.ones(landmarks))

    def learn(self, shapes: Sequence[np.ndarray]) -> None:
        """Take mean and stray from cases, each ``(landmarks, 3)`` mm; few cases lean on a prior stray."""
        mean, moved = mean_shape(shapes)
        self.mean_mm.copy_(torch.from_numpy(mean))
        if not self.tells_pose:
            self.stray_mm.fill_(FREE_MM)
            return
        cases, numbers = len(shapes), mean.size
        prior = PRIOR_SHARE * float(np.sqrt((mean**2).sum(axis=1).mean()))
        # Fitting a similarity, and the mean itself, made the cases look more alike than a new one will.
        squares = ((moved - mean) ** 2).mean(axis=2).sum(axis=0) * numbers / max(numbers - 7, 1)
        variance = (squares + PRIOR_CASES * prior**2) / (cases - 1 + PRIOR_CASES)
        stray = np.sqrt(variance * (1 + 1 / cases))
        self.stray_mm.copy_(torch.from_numpy(stray))

    @property
    def tells_pose(self) -> bool:
        """Whether the landmarks tell a rotation: there are three at least, and they do not lie on a line."""
        return int(np.linalg.matrix_rank(self.mean, tol=FLAT * np.linalg.norm(self.mean))) >= 2

    @property
    def mean(self) -> np.ndarray:
        """``(landmarks, 3)`` mm as float64."""
        return self.mean_mm.double().cpu().numpy()

    @property
    def stray(self) -> np.ndarray:
        """``(landmarks,)`` mm as float64."""
        return self.stray_mm.double().cpu().numpy()

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
