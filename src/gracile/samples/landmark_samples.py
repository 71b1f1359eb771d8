"""Training samples for landmarks: patches of coarse volumes, and small patches around single landmarks."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gracile.geometry.similarity import Similarity
from gracile.recipe import AugmentSpec
from gracile.samples.interpolation import cut
from gracile.samples.patches import vary_intensities
from gracile.samples.randomness import sample_generator
from gracile.samples.volume_samples import warp
from gracile.transforms.posed import MarkedVolume, places_in_pose


class ScatteredPatches(Dataset[dict[str, Tensor]]):
    """Warped patches about the middle of the landmarks. Index ``i`` gives the same sample for a seed.

    A sample has the ``image`` ``(channels, *size)`` and the landmarks' ``places`` ``(landmarks, 3)`` in samples of the
    patch, which may lie outside of it, NaN where one is not known, and their ``spacing`` ``(3,)`` in mm before the
    warp.

    Args:
        volumes: On the grid that the network sees.
        size: Samples along each axis.
        augment: How patches are varied; ``shift`` is a share of the patch.
        seed: Of all randomness.
        per_case: Patches of an epoch by case.
        empty: Share of the patches that are scrambled to noise; their landmarks lie outside of them.
    """

    def __init__(
        self,
        volumes: Sequence[MarkedVolume],
        size: tuple[int, int, int],
        augment: AugmentSpec,
        seed: int,
        per_case: int,
        empty: float = 0.0,
    ) -> None:
        self.volumes = volumes
        self.size = size
        self.augment = augment
        self.seed = seed
        self.per_case = per_case
        self.empty = empty

    def __len__(self) -> int:
        return len(self.volumes) * self.per_case

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = sample_generator(self.seed, index)
        volume = self.volumes[index % len(self.volumes)]
        sampled, points = volume.sampled, torch.from_numpy(volume.points_mm).float()
        extent = torch.tensor(self.size) * torch.from_numpy(sampled.spacing_mm).float()
        middle = points.nanmean(dim=0) + self.augment.shift * extent * (2.0 * torch.rand(3, generator=generator) - 1.0)
        grid = warp(self.size, sampled.spacing_mm, self.augment, generator)
        image, _, region = cut(sampled, grid.offsets + middle)
        image = vary_intensities(image, self.augment, generator) * region
        places = grid.samples_at(points - middle)
        if float(torch.rand((), generator=generator)) < self.empty:
            image = scrambled(image, generator) * region
            places = torch.full_like(places, -float(max(self.size)))
        return {"image": image, "places": places, "spacing": torch.from_numpy(sampled.spacing_mm).float()}


def scrambled(image: Tensor, generator: torch.Generator) -> Tensor:
    """Noise between white and as smooth as a patch ``(channels, x, y, z)`` and beyond, of at most its contrast.

    The patch's spectrum to a power from 0 to 1.5, with random phases: of its shapes nothing is left.
    """
    axes = (1, 2, 3)
    phases = torch.fft.fftn(torch.randn(image.shape, generator=generator), dim=axes)
    smoothness, contrast = 1.5 * torch.rand((), generator=generator), torch.rand((), generator=generator)
    spectrum = torch.fft.fftn(image - image.mean(), dim=axes).abs() ** smoothness
    noise = torch.fft.ifftn(spectrum * torch.exp(1j * phases.angle()), dim=axes).real
    return image.mean() + contrast * image.std() * (noise - noise.mean()) / noise.std().clamp_min(1e-6)


class LandmarkPatches(Dataset[dict[str, Tensor]]):
    """Small patches, each about one landmark. Index ``i`` gives the same sample for a seed.

    A sample has the ``image`` ``(channels, size, size, size)``, the landmark's ``place`` ``(3,)`` in samples from the
    patch's middle, and its ``number``.

    Args:
        volumes: In full resolution.
        poses: Of each volume: where the mean shape lies in it.
        size: Samples of a side.
        spacing_mm: Between samples, in the mean shape's size.
        shift_mm: Deviation of a patch's middle from the landmark.
        limit_mm: Largest distance along an axis of a patch's middle from the landmark.
        augment: How patches are varied.
        seed: Of all randomness.
        per_case: Patches of an epoch by case.
    """

    def __init__(
        self,
        volumes: Sequence[MarkedVolume],
        poses: Sequence[Similarity],
        size: int,
        spacing_mm: float,
        shift_mm: float,
        limit_mm: float,
        augment: AugmentSpec,
        seed: int,
        per_case: int,
    ) -> None:
        self.volumes = volumes
        self.poses = poses
        self.size = size
        self.spacing_mm = spacing_mm
        self.shift_mm = shift_mm
        self.limit_mm = limit_mm
        self.augment = augment
        self.seed = seed
        self.per_case = per_case

    def __len__(self) -> int:
        return len(self.volumes) * self.per_case

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = sample_generator(self.seed, index)
        volume, pose = self.volumes[index % len(self.volumes)], self.poses[index % len(self.volumes)]
        known = np.flatnonzero(np.isfinite(volume.points_mm).all(axis=1))
        number = int(known[int(torch.randint(len(known), (), generator=generator))])
        off = (self.shift_mm * torch.randn(3, generator=generator)).clamp(-self.limit_mm, self.limit_mm)
        grid = warp((self.size,) * 3, np.full(3, self.spacing_mm), self.augment, generator)
        # By NumPy, as autocast would round PyTorch's product to a hundredth of a voxel.
        places = places_in_pose(pose, volume.points_mm[number], (grid.offsets + off).numpy())
        image, _, region = cut(volume.sampled, torch.from_numpy(places))
        image = vary_intensities(image, self.augment, generator) * region
        place = grid.samples_at(-off[None])[0] - (self.size - 1) / 2
        return {"image": image, "place": place, "number": torch.tensor(number)}
