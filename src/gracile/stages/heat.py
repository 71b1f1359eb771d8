"""Heat maps of points: how a point is read from one, and what the landmark stages share."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gracile.geometry.similarity import Similarity
from gracile.recipe import Recipe
from gracile.runners.base import Runner
from gracile.stages.base import Finding, Stage, State
from gracile.stages.configuration import Configuration

REACH = 2.5
"""Deviations around the warmest sample within which a point is averaged."""

MEAN, STRAY = "configuration.mean_mm", "configuration.stray_mm"
"""Names of the mean shape among the weights of a stage."""


class HeatStage(Stage):
    """A network that answers a map of logits for each landmark, and how the landmarks lie to each other."""

    kept: ClassVar[tuple[str, ...]] = (MEAN, STRAY)

    def __init__(self, spec: Any, recipe: Recipe, run: Runner, state: State) -> None:
        super().__init__(spec, recipe, run, state)
        self.configuration = Configuration(self.state[MEAN], self.state[STRAY])

    def leave_strays(self, finding: Finding, points_mm: np.ndarray, pose: Similarity | None, error_mm: float) -> None:
        """Leave as signs how far landmarks lie from where the mean shape has them, ``NAME: off``.

        Args:
            finding: Where they are left.
            points_mm: ``(landmarks, 3)``; NaN where one was not found.
            pose: Of the mean shape in the case; None where it was not told.
            error_mm: Deviation along an axis with which points are found. A sign counts in deviations: of this error
                and of how far the landmark strays in training cases.
        """
        if pose is None or not finding.signed or not self.configuration.tells_pose:
            return
        off = np.linalg.norm(points_mm - pose.apply(self.configuration.mean), axis=1)
        deviations = off / np.sqrt(3 * ((pose.scale * self.configuration.stray) ** 2 + error_mm**2))
        for name, value in zip(self.recipe.landmark_names, deviations, strict=True):
            if np.isfinite(value):
                finding.signs[f"{name}: off"] = float(value)


@dataclass(frozen=True)
class Peak:
    """Where a heat map is warmest.

    Args:
        place: ``(3,)`` mean place in samples around the warmest one.
        mass: Share of the heat that lies there.
        spread_mm: Root mean square distance of that heat from the place.
    """

    place: np.ndarray
    mass: float
    spread_mm: float


def read_peak(heat: np.ndarray, spacing_mm: np.ndarray, width_mm: float) -> Peak:
    """The warmest place of a heat map ``(x, y, z)`` of probabilities, between its samples."""
    top = np.array(np.unravel_index(int(heat.argmax()), heat.shape))
    reach = np.ceil(REACH * width_mm / spacing_mm).astype(int)
    low, high = np.maximum(top - reach, 0), np.minimum(top + reach + 1, heat.shape)
    near = heat[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(float)
    mass = float(near.sum())
    axes = [np.arange(a, b, dtype=float) for a, b in zip(low, high, strict=True)]
    sides = [near.sum(axis=tuple(i for i in range(3) if i != axis)) / max(mass, 1e-12) for axis in range(3)]
    place = np.array([side @ at for side, at in zip(sides, axes, strict=True)])
    squares = sum(
        float(side @ (at - middle) ** 2) * float(step) ** 2
        for side, at, middle, step in zip(sides, axes, place, spacing_mm, strict=True)
    )
    return Peak(place, mass, float(np.sqrt(squares)))
