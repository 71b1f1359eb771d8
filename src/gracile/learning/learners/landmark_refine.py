"""How the landmark stage learns that looks closely: from patches about landmarks, in the pose of all of them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gracile.geometry.similarity import fit_similarity
from gracile.learning.learners.base import Answering, Batch, Exported
from gracile.learning.learners.heat import HeatLearner, target_heat
from gracile.recipe import AugmentSpec
from gracile.samples.landmark_samples import LandmarkPatches, MarkedVolume
from gracile.samples.patches import CaseSamples
from gracile.stages.landmark_refine import sampled
from gracile.transforms import Prepared

WITHIN = 0.9
"""Share of the reach within which training patches are shifted."""


class LandmarkRefineLearner(HeatLearner):
    """Learns where in a patch its own landmark lies.

    By cross-entropy to a Gaussian, and by the distance of the mean of the softmax from the true place.
    """

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        self.configuration.learn([self.points_mm(case) for case in cases])
        return self._patches(self.learned_from(cases), self.augment(), seed, self.spec.per_case)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        quiet = AugmentSpec(**dict.fromkeys(AugmentSpec.model_fields, False))
        per_case = 2 * len(self.recipe.landmarks)
        return CaseSamples([self._patches([self.marked(case)], quiet, n, per_case) for n, case in enumerate(cases)])

    def _patches(
        self, volumes: Sequence[MarkedVolume], augment: AugmentSpec, seed: int, per_case: int
    ) -> LandmarkPatches:
        poses = []
        for volume in volumes:
            known = np.isfinite(volume.points_mm).all(axis=1)
            poses.append(fit_similarity(self.configuration.mean[known], volume.points_mm[known]))
        spec = self.spec
        return LandmarkPatches(
            volumes, poses, spec.size, spec.spacing_mm, spec.shift_mm, WITHIN * spec.reach_mm, augment, seed, per_case
        )  # fmt: skip

    def marked(self, case: Prepared) -> MarkedVolume:
        """A training case in full resolution with its landmarks."""
        return MarkedVolume(sampled(case, self.spec), self.points_mm(case))

    def exported(self) -> Exported:
        patches = torch.zeros(2, self.recipe.input.channels, *(self.spec.size,) * 3)
        numbers = torch.tensor([0, len(self.recipe.landmarks) - 1])
        return Exported(Answering(self), (patches, numbers), ((0,), (0,)))

    def own_logits(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Logits of each patch's own landmark within the reach, ``(batch, n, n, n)``."""
        inside = slice(self.spec.margin, self.spec.size - self.spec.margin)
        return self.logits(images, numbers)[:, 0, inside, inside, inside].float()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.own_logits(batch["image"], batch["number"])
        place = batch["place"]
        length = logits.shape[-1]
        ones = torch.ones(3, device=place.device)
        width = self.spec.width_mm / self.spec.spacing_mm
        heat = target_heat(place + (length - 1) / 2, (length,) * 3, ones, width * ones)
        entropy = -(heat.flatten(1) * logits.flatten(1).log_softmax(dim=1)).sum(dim=1)
        far = (_mean_place(_softmax(logits)) - place).abs().sum(dim=1)
        return {"heat": entropy.mean(), "distance": far.mean()}

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, and the mean distance in mm of a case's landmarks from the true ones."""
        batch = {name: part.flatten(0, 1) for name, part in batch.items()}
        loss = torch.stack(list(self.losses(batch).values())).sum()
        far = (_mean_place(_softmax(self.own_logits(batch["image"], batch["number"]))) - batch["place"]).norm(dim=1)
        return {"validation_loss": loss, "validation_error_mm": self.spec.spacing_mm * far.mean()}


def _softmax(logits: Tensor) -> Tensor:
    """``(batch, n, n, n)`` that add up to 1 each."""
    return logits.flatten(1).softmax(dim=1).unflatten(1, logits.shape[1:])


def _mean_place(heat: Tensor) -> Tensor:
    """``(batch, n, n, n)`` that add up to 1 each to their mean places ``(batch, 3)`` from the middle, in samples."""
    length = heat.shape[-1]
    at = torch.arange(length, device=heat.device) - (length - 1) / 2
    sides = [heat.sum(dim=[d for d in (1, 2, 3) if d != axis]) for axis in (1, 2, 3)]
    return torch.stack([(side * at).sum(dim=1) for side in sides], dim=1)  # no product that autocast would round
