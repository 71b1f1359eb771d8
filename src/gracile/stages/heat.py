"""Heat maps of points: how a point is read from one, and what the landmark stages share."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gracile.recipe import Recipe
from gracile.runners.base import Runner
from gracile.stages.base import Stage, State
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
