"""Windows for few-shot learning: small 2D cuts around landmarks, turned and shifted, and background near them.

The published method turns whole volumes and cuts windows from the copies. Here each window's own places are turned and
read from the volume by one interpolation: the same windows, with nothing to store.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from gracile.recipe import WindowSamplerSpec
from gracile.samples.interpolation import sample
from gracile.samples.randomness import sample_generator
from gracile.transforms.intensity import IntensityRange
from gracile.transforms.stored import Array

TRIES = 50
"""How often a place for the background is drawn before the last one is taken."""


@dataclass
class WindowSource:
    """A volume that windows are cut from.

    Args:
        image: ``(1, x, y, z)``; only what a window needs is read of it.
        shown: The intensities that become 0 to 1.
        voxel_mm: ``(3,)`` of the image.
        spacing_mm: ``(3,)`` between a window's samples along the axes.
        landmarks: ``(n, 3)`` voxels, in the order of the recipe.
    """

    image: Array
    shown: IntensityRange
    voxel_mm: np.ndarray
    spacing_mm: np.ndarray
    landmarks: np.ndarray

    def cut(self, voxels: Tensor) -> Tensor:
        """Intensities from 0 to 1 at ``(height, width, 3)`` voxel positions, ``(height, width)``; 0 outside."""
        low = voxels.reshape(-1, 3).amin(dim=0).floor().numpy() - 1
        high = voxels.reshape(-1, 3).amax(dim=0).ceil().numpy() + 2
        box = [slice(int(np.clip(a, 0, n - 1)), int(np.clip(b, 1, n)))
               for a, b, n in zip(low, high, self.image.shape[1:], strict=True)]  # fmt: skip
        part = torch.from_numpy(self.shown.apply(self.image[0, box[0], box[1], box[2]]))
        offset = torch.tensor([float(side.start) for side in box])
        return sample(part[None], (voxels - offset)[:, :, None])[0, :, :, 0]


class WindowSamples(Dataset[dict[str, Tensor]]):
    """Windows of the landmarks and of the background, each drawn equally often. Index ``i`` gives the same for a seed.

    A landmark's windows lie up to ``shift`` from it, as far as often as near, so that the answer falls gradually with
    the distance; the background's keep ``gap`` from all landmarks. Each item is ``image`` ``(1, size, size)`` from 0 to
    1 and ``target``, the landmark's index, or their number for the background.

    Args:
        sources: The volumes.
        size: Samples of a window's side.
        normals: Axes across the planes of the windows.
        sampler: How windows are drawn.
        seed: Of all randomness.
    """

    def __init__(
        self, sources: Sequence[WindowSource], size: int, normals: Sequence[int], sampler: WindowSamplerSpec, seed: int
    ) -> None:
        self.sources = sources
        self.size = size
        self.normals = normals
        self.sampler = sampler
        self.seed = seed

    def __len__(self) -> int:
        return len(self.sources) * self.sampler.per_case

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = sample_generator(self.seed, index)
        source = self.sources[index % len(self.sources)]
        target = index // len(self.sources) % (len(source.landmarks) + 1)
        normal = self.normals[int(torch.randint(len(self.normals), (), generator=generator))]
        center = self._background(source, generator)
        if target < len(source.landmarks):
            center = source.landmarks[target] + self._step(source, self.sampler.shift, 0.0, generator)
        places = turned_window(self.size, source.spacing_mm, normal, self.sampler.rotation, generator)
        voxels = (places + torch.from_numpy(center * source.voxel_mm).float()) / torch.from_numpy(
            source.voxel_mm.astype(np.float32)
        )
        return {"image": source.cut(voxels)[None], "target": torch.tensor(target)}

    def _background(self, source: WindowSource, generator: Generator) -> np.ndarray:
        """``(3,)`` voxels inside the volume, away from all landmarks, near one of them or anywhere."""
        size = np.array(source.image.shape[1:])
        anywhere = _uniform(generator) < self.sampler.anywhere
        place = size / 2
        for _ in range(TRIES):
            if anywhere:
                place = torch.rand(3, generator=generator).numpy() * (size - 1)
            else:
                near = source.landmarks[int(torch.randint(len(source.landmarks), (), generator=generator))]
                place = near + self._step(source, self.sampler.reach, self.sampler.gap, generator)
            away = np.linalg.norm((source.landmarks - place) * source.voxel_mm / source.spacing_mm, axis=1).min()
            if away >= self.sampler.gap and ((place >= 0) & (place <= size - 1)).all():
                break
        return place

    def _step(self, source: WindowSource, longest: float, shortest: float, generator: Generator) -> np.ndarray:
        """``(3,)`` voxels in any direction, its length in a window's samples drawn evenly."""
        direction = torch.randn(3, generator=generator).double().numpy()
        direction /= max(float(np.linalg.norm(direction)), 1e-6)
        length = shortest + (longest - shortest) * _uniform(generator)
        return direction * length * source.spacing_mm / source.voxel_mm


def turned_window(
    size: int, spacing_mm: np.ndarray, normal: int, rotation: Sequence[float], generator: Generator
) -> Tensor:
    """Places of a window's samples around its middle, turned at random.

    Args:
        size: Samples of a side.
        spacing_mm: ``(3,)`` between samples along the volume's axes.
        normal: Axis across the window's plane; its rows and columns run along the other two, in their order.
        rotation: Largest angles in degrees: about the rows' axis, about the columns' axis, and in the plane.
        generator: Source of randomness.

    Returns:
        ``(size, size, 3)`` mm along the volume's axes.
    """
    rows, columns = (axis for axis in range(3) if axis != normal)
    steps = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    places = torch.zeros(size, size, 3)
    places[..., rows] = steps[:, None] * float(spacing_mm[rows])
    places[..., columns] = steps[None, :] * float(spacing_mm[columns])
    turn = torch.eye(3)
    # In its own plane first: the tilts then act on a window that may already stand anyhow in it.
    for axis, largest in zip((normal, rows, columns), (rotation[2], rotation[0], rotation[1]), strict=True):
        angle = math.radians(largest) * (2.0 * _uniform(generator) - 1.0)
        turn = _about(axis, angle) @ turn
    return places @ turn.T


def _about(axis: int, angle: float) -> Tensor:
    """The rotation about an axis as a (3, 3) matrix."""
    a, b = (other for other in range(3) if other != axis)
    turn = torch.eye(3)
    turn[a, a] = turn[b, b] = math.cos(angle)
    turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
    return turn


def _uniform(generator: Generator) -> float:
    return float(torch.rand((), generator=generator))
