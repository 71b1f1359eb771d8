"""Training samples from volumes: warped and cut in one interpolation, along a line or around points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.recipe import AugmentSpec, JitterSpec
from gracile.samples.class_points import ClassPoints, draw_place
from gracile.samples.interpolation import cut
from gracile.samples.patches import vary_intensities
from gracile.samples.randomness import sample_generator, uniform
from gracile.transforms.posed import SampledVolume
from gracile.transforms.stored import Array

ELASTIC_CELLS = 4
"""Control points of the elastic shifts along each side of a patch."""

ROUNDS = 8
"""Corrections by which a warp is undone at a point."""


class LineSamples(Dataset[dict[str, Tensor]]):
    """Pieces of columns along lines, jittered as a locator errs. Index ``i`` gives the same sample for a seed.

    Args:
        volumes: That the lines run through.
        lines: ``(n, 3)`` mm from the volume's first voxel along its axes, the third one rising.
        scales: ``(slices, 3)`` of each case: height in mm, and there mean and deviation by which intensities are
            standardized.
        size: Samples along each axis.
        spacing_mm: Of a piece.
        jitter: How the line is moved.
        augment: How pieces are varied; ``elastic`` is in steps of the piece.
        seed: Of all randomness.
        per_case: Pieces of an epoch by case.
        opposites: Class that each class is in a mirror image; empty where none changes.
        left_right: The axis along which a mirrored sample has its left on the right.
    """

    def __init__(
        self,
        volumes: Sequence[SampledVolume],
        lines: Sequence[np.ndarray],
        scales: Sequence[np.ndarray],
        size: tuple[int, int, int],
        spacing_mm: Sequence[np.ndarray],
        jitter: JitterSpec,
        augment: AugmentSpec,
        seed: int,
        per_case: int,
        opposites: Sequence[int] = (),
        left_right: int = 0,
    ) -> None:
        self.volumes = volumes
        self.opposites = opposites
        self.left_right = left_right
        self.lines = lines
        self.scales = scales
        self.size = size
        self.spacing_mm = spacing_mm
        self.jitter = jitter
        self.augment = augment
        self.seed = seed
        self.per_case = per_case

    def __len__(self) -> int:
        return len(self.volumes) * self.per_case

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = sample_generator(self.seed, index)
        number = index % len(self.volumes)
        line, spacing = self.lines[number], self.spacing_mm[number]
        half = (self.size[2] - 1) / 2 * float(spacing[2])
        low, high = line[0, 2], line[-1, 2]
        # A piece may begin a little beyond the ends, so that these are seen at every place of a piece.
        height = uniform(generator, low + min(half, (high - low) / 2) / 2, high - min(half, (high - low) / 2) / 2)
        way = warp(self.size, spacing, self.augment, generator)
        rising = -1.0 if way.mirrored[2] else 1.0
        heights = height + rising * (torch.arange(self.size[2]) - (self.size[2] - 1) / 2) * float(spacing[2])
        middle = torch.from_numpy(
            np.stack([np.interp(heights.numpy(), line[:, 2], line[:, axis]) for axis in (0, 1)], axis=1)
        ).float()
        middle = middle + self._moved(generator)
        points = way.offsets + functional.pad(middle, (0, 1)) + torch.tensor([0.0, 0.0, float(height)])
        image, truth, region = cut(self.volumes[number], points)
        levels = self.scales[number]
        mean, deviation = (
            torch.from_numpy(np.interp(heights.numpy(), levels[:, 0], levels[:, i])).float() for i in (1, 2)
        )
        image = vary_intensities((image - mean) / deviation, self.augment, generator) * region
        truth = way.named_anew(truth, self.opposites, self.left_right)
        truth = torch.cat([1.0 - truth.sum(dim=0, keepdim=True), truth])
        return {"image": image, "truth": truth, "region": region}

    def _moved(self, generator: Generator) -> Tensor:
        """``(length, 2)`` mm by which a locator may miss the middle: all slices alike, and a slow wander."""
        whole = self.jitter.offset_mm * torch.randn(1, 2, generator=generator)
        knots = self.jitter.wander_mm * torch.randn(1, 2, ELASTIC_CELLS, generator=generator)
        wander = functional.interpolate(knots, self.size[2], mode="linear", align_corners=True)[0].T
        return whole + wander


class PointSamples(Dataset[dict[str, Tensor]]):
    """Warped patches around chosen points of volumes. Index ``i`` gives the same sample for a seed.

    Args:
        volumes: On the grid that the network sees.
        centers: ``(n, 3)`` voxels of each volume, or those of its classes, around which ``share`` of its patches are
            drawn; others lie anywhere.
        size: Samples along each axis.
        augment: How patches are varied; ``elastic`` is in voxels, ``shift`` a share of the patch.
        seed: Of all randomness.
        per_case: Patches of an epoch by case.
        share: Of the patches that are drawn around centers.
        opposites: Class that each class is in a mirror image; empty where none changes.
        left_right: The axis along which a mirrored sample has its left on the right.
    """

    def __init__(
        self,
        volumes: Sequence[SampledVolume],
        centers: Sequence[Array | ClassPoints],
        size: tuple[int, int, int],
        augment: AugmentSpec,
        seed: int,
        per_case: int,
        share: float = 0.75,
        opposites: Sequence[int] = (),
        left_right: int = 0,
    ) -> None:
        self.volumes = volumes
        self.opposites = opposites
        self.left_right = left_right
        self.centers = centers
        self.size = size
        self.augment = augment
        self.seed = seed
        self.per_case = per_case
        self.share = share

    def __len__(self) -> int:
        return len(self.volumes) * self.per_case

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = sample_generator(self.seed, index)
        number = index % len(self.volumes)
        volume, centers = self.volumes[number], self.centers[number]
        extent = torch.tensor(self.size) * torch.from_numpy(volume.spacing_mm).float()
        if len(centers) and uniform(generator, 0, 1) < self.share:
            chosen = draw_place(centers, generator) * volume.spacing_mm
            center = torch.from_numpy(chosen).float()
            center = center + self.augment.shift * extent * (2.0 * torch.rand(3, generator=generator) - 1.0)
        else:
            whole = torch.tensor(volume.shape) * torch.from_numpy(volume.spacing_mm).float()
            center = whole * torch.rand(3, generator=generator)
        way = warp(self.size, volume.spacing_mm, self.augment, generator)
        image, truth, region = cut(volume, way.offsets + center)
        truth = way.named_anew(truth, self.opposites, self.left_right)
        image = vary_intensities(image, self.augment, generator) * region
        return {"image": image, "truth": truth, "region": region}


@dataclass
class Warp:
    """A patch that was turned, scaled, mirrored and shifted locally.

    Args:
        size: Samples along each axis.
        spacing_mm: ``(3,)`` between them before the warp.
        matrix: ``(3, 3)`` its linear part.
        knots: ``(1, 3, *control points)`` local shifts in mm; None for none.
        mirrored: Whether it was mirrored along each axis.
    """

    size: tuple[int, int, int]
    spacing_mm: Tensor
    matrix: Tensor
    knots: Tensor | None
    mirrored: tuple[bool, ...] = (False, False, False)

    @property
    def offsets(self) -> Tensor:
        """``(*size, 3)`` mm of each sample from the patch's center."""
        axes = [(torch.arange(n, dtype=torch.float32) - (n - 1) / 2) * float(s)
                for n, s in zip(self.size, self.spacing_mm, strict=True)]  # fmt: skip
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1) @ self.matrix.T
        if self.knots is None:
            return offsets
        shifts = functional.interpolate(self.knots, self.size, mode="trilinear", align_corners=True)[0]
        return offsets + shifts.permute(1, 2, 3, 0)

    def named_anew(self, truth: Tensor, opposites: Sequence[int], left_right: int) -> Tensor:
        """``(foreground classes, *size)`` of a warped sample: each class is its opposite where left and right were
        mirrored; one that was mirrored from front to back keeps its left on the left."""
        if not len(opposites) or not self.mirrored[left_right]:
            return truth
        return truth[[index - 1 for index in opposites[1:]]]

    def samples_at(self, offsets_mm: Tensor) -> Tensor:
        """``(n, 3)`` mm from the patch's center to the samples that show them, by repeated correction."""
        middle = (torch.tensor(self.size) - 1.0) / 2
        back = torch.linalg.inv(self.matrix).T
        found = offsets_mm @ back
        for _ in range(ROUNDS if self.knots is not None else 0):
            found = (offsets_mm - self._shifts(found / self.spacing_mm / middle)) @ back
        return found / self.spacing_mm + middle

    def _shifts(self, places: Tensor) -> Tensor:
        """Local shifts in mm at ``(n, 3)`` places of the patch, whose sides lie at -1 and 1."""
        assert self.knots is not None
        grid = places.flip(-1)[None, :, None, None]
        values = functional.grid_sample(self.knots, grid, align_corners=True, padding_mode="border")
        return values[0, :, :, 0, 0].T


def warp(size: tuple[int, int, int], spacing_mm: np.ndarray, augment: AugmentSpec, generator: Generator) -> Warp:
    """A random warp."""
    matrix, mirrored = _linear_map(augment, generator)
    spacing = torch.from_numpy(np.asarray(spacing_mm)).float()
    knots = None
    if augment.elastic:
        knots = augment.elastic * torch.randn(1, 3, *[ELASTIC_CELLS] * 3, generator=generator)
        knots = knots * spacing[:, None, None, None]
    return Warp(size, spacing, matrix, knots, mirrored)


def _linear_map(augment: AugmentSpec, generator: Generator) -> tuple[Tensor, tuple[bool, ...]]:
    """Random rotations about the three axes, scale and mirroring as a (3, 3) matrix, and which axes were mirrored."""
    angles = [augment.tilt, augment.tilt, augment.rotation]
    turn = torch.eye(3)
    for axis, largest in enumerate(angles):
        angle = math.radians(largest) * uniform(generator, -1, 1)
        a, b = [i for i in range(3) if i != axis]
        one = torch.eye(3)
        one[a, a] = one[b, b] = math.cos(angle)
        one[a, b], one[b, a] = -math.sin(angle), math.sin(angle)
        turn = one @ turn
    limit = math.log1p(augment.scale)
    scale = math.exp(uniform(generator, -limit, limit))
    axes = augment.mirrored_axes
    mirrored = tuple(axis in axes and uniform(generator, 0, 1) < 0.5 for axis in range(3))
    return scale * turn @ torch.diag(torch.tensor([-1.0 if one else 1.0 for one in mirrored])), mirrored
