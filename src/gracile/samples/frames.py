"""Whole prepared pictures in a network's input of fixed size, varied for training."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gracile.recipe import AugmentSpec
from gracile.samples.patches import cut_patch, vary_intensities
from gracile.samples.randomness import sample_generator
from gracile.transforms.frames import Frame
from gracile.transforms.prepared import Prepared
from gracile.transforms.stored import Array


class WholeImageSamples(Dataset[dict[str, Tensor]]):
    """Each prepared picture as a whole in the network's size, varied. Index ``i`` gives the same sample for a seed.

    Sample ``i`` shows case ``i mod len(cases)``; indices may go on beyond an epoch's number of samples. A sample
    holds what those of `gracile.samples.patches.PatchSamples` hold.
    """

    def __init__(
        self,
        cases: Sequence[Prepared],
        size: tuple[int, int],
        augment: AugmentSpec,
        seed: int,
        per_case: int = 1,
        opposites: Sequence[int] = (),
    ) -> None:
        self.cases = cases
        self.opposites = opposites
        self.per_case = per_case
        self.size = size
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.cases) * self.per_case

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = sample_generator(self.seed, index)
        case = self.cases[index % len(self.cases)]
        frame = Frame.around(case.region.shape, self.size)
        # Chosen so that an unturned picture falls on whole pixels.
        center = np.array([(n - 1) / 2 - c for n, c in zip(self.size, frame.corner, strict=True)])
        if self.augment.shift:
            turns = 2.0 * torch.rand(2, generator=generator).numpy() - 1.0
            center = center + self.augment.shift * np.array(self.size) * turns
        patch = cut_patch(_shrunk(case, frame), center, self.size, self.augment, generator, self.opposites)
        channels = len(case.image)
        region = (patch[-1:] > 0.5).float()
        image = vary_intensities(patch[:channels], self.augment, generator) * region
        return {"image": image, "truth": patch[channels:-1], "region": region}


def _shrunk(case: Prepared, frame: Frame) -> Prepared:
    """The case at the size it has in the network's input; one without truth gets a truth of no classes."""
    truth = np.zeros((0, *case.region.shape), dtype=np.float32) if case.truth is None else case.truth
    if frame.inner == frame.prepared:
        return dataclasses.replace(case, truth=truth)

    def smaller(array: Array) -> np.ndarray:
        return frame.shrink(np.asarray(array, dtype=np.float32))

    region = smaller(case.region[None])[0] > 0.5
    truth = smaller(truth) if len(truth) else truth[:, : frame.inner[0], : frame.inner[1]]
    return dataclasses.replace(case, image=smaller(case.image) * region, region=region, truth=truth)
