"""How the landmark stage learns that looks at a whole volume: heat or "nowhere", from patches of coarse volumes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gracile.learning.learners.base import Batch
from gracile.learning.learners.heat import HeatLearner, target_heat
from gracile.recipe import Recipe
from gracile.samples.landmark_samples import MarkedVolume, ScatteredPatches
from gracile.samples.volume_samples import SampledVolume
from gracile.stages.landmark_heat import LandmarkHeatStage, bounds_mm
from gracile.transforms import Prepared

LOST_MM = 50.0
"""What a landmark that is missed counts in validation."""


class LandmarkHeatLearner(HeatLearner):
    """Learns for each landmark where in a coarse copy of the volume it is, or that it is nowhere.

    Probabilities, of every place and of "nowhere", are taught a Gaussian around the landmark by cross-entropy, and
    "nowhere" where a training patch lacks it, as some that are scrambled to noise lack all.
    """

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe, initialize)
        self.nowhere = nn.Parameter(torch.full((len(recipe.landmarks),), 8.0))

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        self.configuration.learn([self.points_mm(case) for case in cases])
        spec = self.spec
        return ScatteredPatches(self.learned_from(cases), spec.patch, self.augment(), seed, spec.per_case, spec.empty)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        return _WholeVolumes([self.marked(case) for case in cases])

    def marked(self, case: Prepared) -> MarkedVolume:
        """The coarse copy of a training case with its landmarks."""
        coarse, steps = case.at_spacing(self.spec.spacing_mm)
        return MarkedVolume(SampledVolume(coarse, case.spacing_mm * steps), self.points_mm(case))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"heat": self._entropy(self.logits(batch["image"]).float(), batch)}

    def _entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the answers to ``image`` of a ``spacing`` in mm with its landmarks at ``places``."""
        places, spacing = batch["places"], batch["spacing"][:, None].float()
        whole = torch.tensor(batch["image"].shape[2:], device=places.device)
        sizes = tuple(logits.shape[2:])
        steps = torch.from_numpy(self.steps(batch["image"].shape[2:], sizes)).float().to(places.device)
        logs = self._logs(logits)
        known = places.isfinite().all(dim=-1)
        heat = target_heat(places.nan_to_num(), sizes, steps, self.spec.width_mm / spacing)
        there = ((places >= -0.5) & (places <= whole - 0.5)).all(dim=-1)
        where = -(heat.flatten(2) * logs[..., :-1]).sum(dim=-1)
        return torch.where(there, where, -logs[..., -1])[known].mean()

    def _logs(self, logits: Tensor) -> Tensor:
        """Logarithms of the probabilities, "nowhere" last: ``(batch, landmarks, samples + 1)``."""
        nowhere = self.nowhere[None, :, None].expand(len(logits), -1, 1)
        return torch.cat([logits.flatten(2), nowhere], dim=-1).log_softmax(dim=-1)

    def steps(self, sizes: Sequence[int], answered: Sequence[int]) -> np.ndarray:
        """``(3,)`` samples of a volume from one of the network's answers to the next.

        A network that does not tell its ``answer_steps`` is taken to have the smallest ones that fit the sizes.
        """
        told = getattr(self.network, "answer_steps", None)
        return steps_between(sizes, answered) if told is None else np.array(told, dtype=float)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, and the mean distance in mm of the landmarks from the true ones."""
        stage = self.applied("auto")
        assert isinstance(stage, LandmarkHeatStage)
        logits, steps = stage.logits(batch["image"][0].cpu().numpy())
        spacing = batch["spacing"][0].double().cpu().numpy()
        bounds = bounds_mm(batch["image"].shape[2:], spacing)
        found = stage.landmarks(stage.heat(logits), spacing * steps, bounds, np.eye(4))
        true = batch["places"][0].double().cpu().numpy() * spacing
        errors = [LOST_MM if landmark.point_mm is None else float(np.linalg.norm(landmark.point_mm - point))
                  for landmark, point in zip(found, true, strict=True)]  # fmt: skip
        loss = self._entropy(torch.from_numpy(logits)[None].to(self.device), batch)
        return {"validation_loss": loss, "validation_error_mm": loss.new_tensor(float(np.mean(errors)))}


def steps_between(sizes: Sequence[int], answered: Sequence[int]) -> np.ndarray:
    """``(3,)`` smallest steps with which a volume of some sizes has so many answers; the last may be incomplete."""
    return np.array([float(-(-size // own)) for size, own in zip(sizes, answered, strict=True)])


class _WholeVolumes(Dataset[Batch]):
    """Coarse volumes with their landmarks."""

    def __init__(self, volumes: Sequence[MarkedVolume]) -> None:
        self.volumes = volumes

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> Batch:
        volume = self.volumes[index]
        return {
            "image": torch.from_numpy(np.array(volume.sampled.image)),
            "places": torch.from_numpy(volume.points_mm / volume.sampled.spacing_mm).float(),
            "spacing": torch.from_numpy(volume.sampled.spacing_mm),
        }
