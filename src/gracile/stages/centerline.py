"""The centerline stage: finds the line along a slender structure on a coarse copy of a volume."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.devices import in_fast_layout
from gracile.geometry import Centerline
from gracile.geometry.centerline import centerline_from_mask, centerline_from_places
from gracile.geometry.path_search import best_path
from gracile.geometry.slices import axial_slices
from gracile.networks.zoo import build_network
from gracile.recipe import CenterlineSpec, Recipe
from gracile.samples.volume_samples import PointSamples
from gracile.stages.base import Batch, Finding, Stage
from gracile.transforms import Prepared
from gracile.transforms.column import Box
from gracile.transforms.posed import SampledVolume
from gracile.transforms.stored import Array

LARGEST_INPUT = 4_000_000
"""Coarse voxels above which the heat is computed in overlapping tiles."""


class CenterlineStage(Stage):
    """A heat map around the line, and the best path through it over all slices at once.

    The network answers one logit per voxel of the coarse copy. What it learns is ``exp(-d^2 / (2 width^2))``, d being
    the distance from the line within the slice; slices beyond the line's ends are cold.
    """

    choosing = ("validation_error_mm", "min")

    def __init__(self, spec: CenterlineSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(recipe)
        self.spec = spec
        self.name = spec.name
        network = spec.network
        initial = network.initial if initialize else ""
        self.network = build_network(
            network.name, recipe.input.channels, 1, initial=initial, dimensions=3, **network.options
        )
        names = spec.structures or list(recipe.structures)
        self.members = sorted({index for name in names for index in recipe.structures[name]})

    def learns_from(self, case: Prepared) -> bool:
        return case.shows(self.members)

    def answer_names(self) -> list[str]:
        return ["line"]

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        volumes, centers = [], []
        for case in cases:
            coarse, affine = self.coarse(case)
            line = self.true_line(case).in_voxels(affine)
            spacing = np.linalg.norm(affine[:3, :3], axis=0)
            volumes.append(SampledVolume(coarse, spacing, LineHeat(line * spacing, spacing, self.spec.width_mm)))
            centers.append(line)
        return PointSamples(volumes, centers, self.spec.patch, self.spec.augment, seed, self.spec.per_case)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        return _CoarseCases(self, cases)

    def coarse(self, case: Prepared) -> tuple[Array, np.ndarray]:
        """A coarse copy ``(channels, x, y, z)`` of a prepared volume, and its affine."""
        assert case.affine is not None
        coarse, steps = case.at_spacing(self.spec.spacing_mm)
        return coarse, case.affine @ np.diag([*steps, 1.0])

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

    def heat(self, coarse: Tensor) -> Tensor:
        """``(1, channels, x, y, z)`` coarse volumes to heat from 0 to 1, ``(1, 1, x, y, z)``."""
        coarse = in_fast_layout(coarse)
        if coarse[0, 0].numel() <= LARGEST_INPUT:
            return self.logits(coarse).float().sigmoid()
        tiles = sliding_window_inference(
            coarse, (96, 160, 160), 1, lambda part: self.logits(part).float().sigmoid(), 0.25, "gaussian"
        )
        return torch.as_tensor(tiles)

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
        coarse, affine = self.coarse(prepared)
        heat = self.heat(torch.from_numpy(np.asarray(coarse))[None].to(self.device))[0, 0].cpu().numpy()
        line = self.line_through(heat, affine)
        names = ", ".join(self.spec.structures or self.recipe.structures)
        finding.gates[self.name] = float(np.clip(heat.max(), 0.0, 1.0)) if line is None else _sure(line)
        finding.decisions[self.name] = line is not None
        if line is None:
            why = f"no line of {names} was found in the volume (largest heat {heat.max():.2f})"
            finding.closed.update(dict.fromkeys(self.members, why))
        else:
            assert prepared.affine is not None
            # The coarse copy may end up to a step of its own before the volume does.
            slices = axial_slices(np.asarray(prepared.image)[0], prepared.affine)
            _, finding.lines[self.name] = line.on_slices(slices, beyond_mm=self.spec.spacing_mm[2])
        return finding

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, and the mean distance in mm of the found line from the true one, 50 where it is missed."""
        affine = batch["affine"][0].double().cpu().numpy()
        loss = self.losses(batch)["heat"]
        line = self.line_through(self.heat(batch["image"])[0, 0].cpu().numpy(), affine)
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

    def __init__(self, stage: CenterlineStage, cases: Sequence[Prepared]) -> None:
        self.stage = stage
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Batch:
        case = self.cases[index]
        coarse, affine = self.stage.coarse(case)
        line = self.stage.true_line(case).in_voxels(affine)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        x, y, z = (slice(0, n) for n in coarse.shape[1:])
        heat = LineHeat(line * spacing, spacing, self.stage.spec.width_mm).window((x, y, z))
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


def _sure(line: Centerline) -> float:
    assert line.probabilities is not None
    return float(np.clip(np.mean(line.probabilities), 0.0, 1.0))
