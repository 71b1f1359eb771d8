"""The centerline stage: finds the line along a slender structure on a coarse copy of a volume."""

from typing import Any

import numpy as np

from gracile.geometry import Centerline
from gracile.geometry.centerline import centerline_from_places
from gracile.geometry.path_search import best_path
from gracile.geometry.slices import axial_slices
from gracile.recipe import Recipe
from gracile.runners.base import Runner
from gracile.stages.base import Finding, Stage, State
from gracile.stages.signs import line_signs
from gracile.stages.views import sigmoid, tiled
from gracile.transforms import Prepared

LARGEST_INPUT = 4_000_000
"""Coarse voxels above which the heat is computed in overlapping tiles."""

TILE = (96, 160, 160)


class CenterlineStage(Stage):
    """A heat map around the line, and the best path through it over all slices at once.

    The network answers one logit per voxel of the coarse copy.
    """

    def __init__(self, spec: Any, recipe: Recipe, run: Runner, state: State) -> None:
        super().__init__(spec, recipe, run, state)
        names = spec.structures or list(recipe.structures)
        self.members = sorted({index for name in names for index in recipe.structures[name]})

    def heat(self, coarse: np.ndarray) -> np.ndarray:
        """A coarse volume ``(channels, x, y, z)`` to heat from 0 to 1, ``(x, y, z)``."""

        def warmth(part: np.ndarray) -> np.ndarray:
            return sigmoid(self.run(part))

        if coarse[0].size <= LARGEST_INPUT:
            return warmth(coarse[None])[0, 0]
        return tiled(warmth, coarse, TILE, 0.25)[0]

    def line_through(self, heat: np.ndarray, affine: np.ndarray) -> Centerline | None:
        """The best line through a heat map ``(x, y, z)``; None where no slice is warm enough."""
        slices = axial_slices(heat, affine)
        path = best_path(
            slices.volume,
            spacing_mm=slices.spacing_mm,
            stiffness=self.spec.stiffness,
            threshold=self.spec.presence,
            window_mm=2 * self.spec.width_mm,
        )
        if not path.inside.any():
            return None
        line = centerline_from_places(path.places, slices, inside=path.inside, probabilities=path.probabilities)
        assert line.probabilities is not None
        more = round(self.spec.extend_mm / slices.distance_mm)
        kept = np.flatnonzero(path.inside)
        part = slice(max(0, kept[0] - more), kept[-1] + more + 1)
        return Centerline(line.points_mm[part], line.probabilities[part])

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        assert prepared.affine is not None
        coarse, affine = prepared.coarse(self.spec.spacing_mm)
        heat = self.heat(np.asarray(coarse, dtype=np.float32))
        line = self.line_through(heat, affine)
        names = ", ".join(self.spec.structures or self.recipe.structures)
        finding.gates[self.name] = float(np.clip(heat.max(), 0.0, 1.0)) if line is None else _sure(line)
        finding.decisions[self.name] = line is not None
        if line is None:
            why = f"no line of {names} was found in the volume (largest heat {heat.max():.2f})"
            finding.closed.update(dict.fromkeys(self.members, why))
        else:
            if finding.signed:
                finding.signs |= line_signs(self.name, line, self.spec.stiffness)
            # The coarse copy may end up to a step of its own before the volume does.
            slices = axial_slices(np.asarray(prepared.image)[0], prepared.affine)
            _, finding.lines[self.name] = line.on_slices(slices, beyond_mm=self.spec.spacing_mm[2])
        return finding


def _sure(line: Centerline) -> float:
    assert line.probabilities is not None
    return float(np.clip(np.mean(line.probabilities), 0.0, 1.0))
