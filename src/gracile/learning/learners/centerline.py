"""How the centerline stage learns: heat around the line, from patches of coarse volumes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.geometry import Centerline
from gracile.geometry.centerline import centerline_from_mask
from gracile.learning.learners.base import VOLUME, Batch, Learner, network_of
from gracile.recipe import Recipe
from gracile.samples.volume_samples import PointSamples, SampledVolume
from gracile.stages.centerline import CenterlineStage
from gracile.transforms import Prepared
from gracile.transforms.column import Box


class CenterlineLearner(Learner):
    """Learns one logit per voxel of the coarse copy: heat ``exp(-d^2 / (2 width^2))``.

    d is the distance from the line within the slice; slices beyond the line's ends are cold.
    """

    choosing = ("validation_error_mm", "min")
    example_sizes = VOLUME

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
        self.network = network_of(spec.network, recipe.input.channels, 1, initialize, dimensions=3)
        names = spec.structures or list(recipe.structures)
        self.members = sorted({index for name in names for index in recipe.structures[name]})

    def learns_from(self, case: Prepared) -> bool:
        return case.shows(self.members)

    def answer_names(self) -> list[str]:
        return ["line"]

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        volumes, centers = [], []
        for case in cases:
            coarse, affine = case.coarse(self.spec.spacing_mm)
            line = self.true_line(case).in_voxels(affine)
            spacing = np.linalg.norm(affine[:3, :3], axis=0)
            volumes.append(SampledVolume(coarse, spacing, LineHeat(line * spacing, spacing, self.spec.width_mm)))
            centers.append(line)
        return PointSamples(volumes, centers, self.spec.patch, self.spec.augment, seed, self.spec.per_case)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        return _CoarseCases(self, cases)

    def true_line(self, case: Prepared) -> Centerline:
        """The line through the mask of a training case."""
        assert case.affine is not None
        return centerline_from_mask(case.where(self.members), case.affine)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.logits(batch["image"]).float()
        heat, region = batch["truth"], batch["region"]
        entropy = functional.binary_cross_entropy_with_logits(logits, heat, reduction="none") * region
        # What a line's heat adds up to in one slice is the measure, so that few warm voxels are not lost in many.
        spacing = np.array(self.spec.spacing_mm)
        mass = 2 * math.pi * self.spec.width_mm**2 / float(spacing[0] * spacing[1])
        return {"heat": entropy.sum() / (mass * logits.shape[0] * logits.shape[-1])}

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, and the mean distance in mm of the found line from the true one, 50 where it is missed."""
        affine = batch["affine"][0].double().cpu().numpy()
        loss = self.losses(batch)["heat"]
        stage = self.applied("auto")
        assert isinstance(stage, CenterlineStage)
        line = stage.line_through(stage.heat(batch["image"][0].cpu().numpy()), affine)
        error = 50.0
        if line is not None:
            true = batch["line"][0].double().cpu().numpy()
            heights = line.in_voxels(affine)
            order = np.argsort(heights[:, 2])
            found = np.stack([np.interp(true[:, 2], heights[order, 2], heights[order, i]) for i in (0, 1)], axis=1)
            spacing = np.linalg.norm(affine[:3, :2], axis=0)
            error = float(np.linalg.norm((found - true[:, :2]) * spacing, axis=1).mean())
        return {"validation_loss": loss, "validation_error_mm": loss.new_tensor(error)}


class _CoarseCases(Dataset[Batch]):
    """Whole coarse volumes with heat, affine and the true line in voxels."""

    def __init__(self, learner: CenterlineLearner, cases: Sequence[Prepared]) -> None:
        self.learner = learner
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Batch:
        case = self.cases[index]
        coarse, affine = case.coarse(self.learner.spec.spacing_mm)
        line = self.learner.true_line(case).in_voxels(affine)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        x, y, z = (slice(0, n) for n in coarse.shape[1:])
        heat = LineHeat(line * spacing, spacing, self.learner.spec.width_mm).window((x, y, z))
        return {
            "image": torch.from_numpy(np.array(coarse)),
            "truth": torch.from_numpy(heat),
            "region": torch.ones(1, *coarse.shape[1:]),
            "affine": torch.from_numpy(affine),
            "line": torch.from_numpy(line),
        }


@dataclass
class LineHeat:
    """Heat around a line, slice by slice along the third axis: ``exp(-d^2 / (2 width^2))``, 0 beyond the line's ends.

    Args:
        line_mm: ``(n, 3)`` mm from the first voxel along the axes.
        spacing_mm: ``(3,)`` of the map.
        width_mm: Deviation of the heat.
    """

    line_mm: np.ndarray
    spacing_mm: np.ndarray
    width_mm: float

    def window(self, box: Box) -> np.ndarray:
        """``(1, *box)`` float32."""
        line = self.line_mm[np.argsort(self.line_mm[:, 2])]
        places = [np.arange(side.start, side.stop) * step for side, step in zip(box, self.spacing_mm, strict=True)]
        heights = places[2]
        x, y = (np.interp(heights, line[:, 2], line[:, axis]) for axis in (0, 1))
        squares = (places[0][:, None, None] - x) ** 2 + (places[1][None, :, None] - y) ** 2
        heat = np.exp(-squares / (2 * self.width_mm**2))
        half = self.spacing_mm[2] / 2
        heat[:, :, (heights < line[0, 2] - half) | (heights > line[-1, 2] + half)] = 0.0
        return heat[None].astype(np.float32)
