"""Training patches cut and varied in one interpolation, straight from the prepared case: crop first, then warp."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.recipe import AugmentSpec, SamplerSpec
from gracile.samples.class_points import ClassPoints, draw_place, pixels_of_classes
from gracile.samples.randomness import sample_generator, uniform
from gracile.transforms.prepared import Prepared
from gracile.transforms.stored import Array

ELASTIC_CELLS = 5
"""Control points of the elastic shifts along each side of a patch."""

POINTS_PER_CASE = 20_000
"""Largest number of candidate centers that are kept of a case, by kind."""


class PatchSamples(Dataset[dict[str, Tensor]]):
    """Patches from prepared cases. Index ``i`` gives the same patch for a seed, whatever was drawn before it.

    Sample ``i`` comes from case ``i mod len(cases)``; indices may go on beyond an epoch's number of samples, which
    gives later epochs other patches. A sample holds ``image`` ``(channels, height, width)``, ``truth``
    ``(classes, height, width)`` with each class's share of the pixel, and ``region`` ``(1, height, width)``.
    """

    def __init__(
        self,
        cases: Sequence[Prepared],
        sampler: SamplerSpec,
        augment: AugmentSpec,
        seed: int,
        opposites: Sequence[int] = (),
    ) -> None:
        self.cases = cases
        self.opposites = opposites
        self.sampler = sampler
        self.augment = augment
        self.seed = seed
        self.everywhere = [case.keep("pixels-inside", partial(_pixels_inside, case)) for case in cases]
        self.foreground = [self._labeled(case) for case in cases]

    def __len__(self) -> int:
        return len(self.cases) * self.sampler.per_case

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = sample_generator(self.seed, index)
        number = index % len(self.cases)
        case = self.cases[number]
        points: Array | ClassPoints = self.everywhere[number]
        if len(self.foreground[number]) and uniform(generator, 0, 1) < self.sampler.foreground:
            points = self.foreground[number]
        # A patch with an even side is centered between two pixels, so that nothing is blurred where nothing is warped.
        between = (np.array(self.sampler.patch) + 1) % 2 / 2
        center = draw_place(points, generator) - between
        channels, classes = len(case.image), len(_truth(case))
        patch = cut_patch(case, center, self.sampler.patch, self.augment, generator, self.opposites)
        region = (patch[-1:] > 0.5).float()
        image = vary_intensities(patch[:channels], self.augment, generator) * region
        return {"image": image, "truth": patch[channels : channels + classes], "region": region}

    def _labeled(self, case: Prepared) -> Array | ClassPoints:
        """The pixels of a case on which patches with something to find are centered."""
        if self.sampler.balance == "classes":
            table = case.keep("pixels-of-each-class", partial(pixels_of_classes, case))
            return ClassPoints(table, len(_truth(case)) - 1)
        return case.keep("pixels-of-foreground", partial(_foreground_pixels, case))


class Samples(Protocol):
    """A data set whose length is known."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Tensor]: ...


class CaseSamples(Dataset[dict[str, Tensor]]):
    """All samples of each case as one item, for validation: the first axis of every part counts them."""

    def __init__(self, cases: Sequence[Samples]) -> None:
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        items = [self.cases[index][number] for number in range(len(self.cases[index]))]
        return {name: torch.stack([item[name] for item in items]) for name in items[0]}


class WholeSamples(Dataset[dict[str, Tensor]]):
    """Each prepared case as it is, for validation: with its truth, or with the ``target`` that is given for it."""

    def __init__(self, cases: Sequence[Prepared], targets: Sequence[int | None] | None = None) -> None:
        self.cases = cases
        self.targets = targets

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        case = self.cases[index]
        image = torch.from_numpy(np.array(case.image, dtype=np.float32))
        if self.targets is not None:
            return {"image": image, "target": torch.tensor(self.targets[index])}
        return {
            "image": image,
            "truth": torch.from_numpy(np.array(_truth(case), dtype=np.float32)),
            "region": torch.from_numpy(np.array(case.region[None], dtype=np.float32)),
        }


def cut_patch(
    case: Prepared,
    center: np.ndarray,
    shape: tuple[int, int],
    augment: AugmentSpec,
    generator: Generator,
    opposites: Sequence[int] = (),
) -> Tensor:
    """One warped patch around a center: ``(channels + classes + 1, height, width)``, linearly interpolated.

    Args:
        case: Prepared case with truth.
        center: (row, column) of the patch's center.
        shape: (height, width) of the patch.
        augment: Strength of the warp.
        generator: Source of randomness.
        opposites: Class that each class is in a mirror image; empty where none changes.
    """
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in shape), indexing="ij")
    matrix = _linear_map(augment, generator)
    grid = torch.stack((columns, rows), dim=-1) @ matrix.T
    if augment.elastic:
        shifts = augment.elastic * torch.randn(1, 2, ELASTIC_CELLS, ELASTIC_CELLS, generator=generator)
        grid = grid + functional.interpolate(shifts, shape, mode="bicubic", align_corners=True)[0].permute(1, 2, 0)
    grid = grid + torch.tensor([float(center[1]), float(center[0])])
    low = grid.amin(dim=(0, 1)).floor().long() - 1
    high = grid.amax(dim=(0, 1)).ceil().long() + 2
    height, width = case.region.shape
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(width, int(high[0])), min(height, int(high[1]))
    window = np.concatenate(
        [part[:, top:bottom, left:right] for part in (case.image, _truth(case), case.region[None])],
        axis=0, dtype=np.float32,
    )  # fmt: skip
    if len(opposites) and len(_truth(case)) and torch.linalg.det(matrix) < 0:
        # A turn keeps left and right; whatever is mirrored, along one axis or another, changes them.
        first = len(case.image)
        window[first:-1] = window[first:-1][np.asarray(opposites)]
    origin = torch.tensor([left, top])
    size = torch.tensor([right - left, bottom - top])
    # Pixel centers in the convention of align_corners=False.
    normalized = (2.0 * (grid - origin) + 1.0) / size - 1.0
    return functional.grid_sample(torch.from_numpy(window)[None], normalized[None], align_corners=False)[0]


def vary_intensities(image: Tensor, augment: AugmentSpec, generator: Generator) -> Tensor:
    """Random gain, bias, tone curve, illumination, blur and noise of a standardized picture or volume.

    Args:
        image: ``(channels, *spatial)``.
        augment: How much of each.
        generator: Source of randomness.
    """
    channels, *spatial = image.shape
    ones = [1] * len(spatial)
    mode, pool = ("bicubic", functional.avg_pool2d) if len(spatial) == 2 else ("trilinear", functional.avg_pool3d)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    gain = torch.exp(augment.gain * normal(1, *ones) + augment.channel_gain * normal(channels, *ones))
    image = image * gain + augment.bias * normal(1, *ones) + augment.channel_bias * normal(channels, *ones)
    # Bends the tones as a gamma would, yet is defined for negative values.
    image = image + augment.curve * uniform(generator, -1, 1) * (image.clamp(-2.5, 2.5).square() - 1.0)
    if augment.illumination:
        field = augment.illumination * normal(1, 1, *[4] * len(spatial))
        image = image + functional.interpolate(field, spatial, mode=mode, align_corners=True)[0]
    if uniform(generator, 0, 1) < augment.blur:
        smooth = pool(image[None], 3, stride=1, padding=1)[0]
        image = torch.lerp(image, smooth, uniform(generator, 0.3, 1.0))
    if augment.noise:
        image = image + augment.noise * uniform(generator, 0, 1) * normal(*image.shape)
    return image


def _truth(case: Prepared) -> Array:
    if case.truth is None:
        raise ValueError("training samples need a case with truth")
    return case.truth


def _pixels_inside(case: Prepared) -> np.ndarray:
    return _some_pixels(np.asarray(case.region))


def _foreground_pixels(case: Prepared) -> np.ndarray:
    truth = _truth(case)
    known = np.asarray(truth).sum(axis=0) > 0.5  # what is ignored is no class
    return _some_pixels((np.asarray(truth[0]) < 0.5) & known & np.asarray(case.region))


def _some_pixels(where: np.ndarray) -> np.ndarray:
    """``(n, 2)`` int32 rows and columns where it is true; a large number of them is thinned out at random."""
    points = np.argwhere(where).astype(np.int32)
    if len(points) > POINTS_PER_CASE:
        points = points[np.random.default_rng(0).choice(len(points), POINTS_PER_CASE, replace=False)]
    return points


def _linear_map(augment: AugmentSpec, generator: Generator) -> Tensor:
    """Random rotation, mirroring, scale and shear as a (2, 2) matrix on (x, y)."""
    angle = math.radians(augment.rotation) * uniform(generator, -1, 1)
    limit = math.log1p(augment.scale)
    scale = math.exp(uniform(generator, -limit, limit))
    shear = augment.shear * uniform(generator, -1, 1)
    mirror = -1.0 if augment.flip and uniform(generator, 0, 1) < 0.5 else 1.0
    cosine, sine = math.cos(angle), math.sin(angle)
    return scale * torch.tensor([[cosine, -sine], [sine, cosine]]) @ torch.tensor([[mirror, shear], [0.0, 1.0]])
