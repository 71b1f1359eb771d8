"""Linear interpolation by torch, by which samples are cut from volumes."""

import torch
from torch import Tensor
from torch.nn import functional

from gracile.transforms.posed import SampledVolume


def cut(sampled: SampledVolume, points_mm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Image, truth and region at ``(a, b, c, 3)`` places in mm from a volume's first voxel, along its axes."""
    window, places, region = sampled.around(points_mm.numpy())
    values, channels = sample(torch.from_numpy(window), torch.from_numpy(places)), len(sampled.image)
    return values[:channels], values[channels:], torch.from_numpy(region)


def sample(volume: Tensor, points: Tensor) -> Tensor:
    """As `gracile.transforms.volume.sample` gives: linear, and 0 outside.

    Args:
        volume: ``(channels, x, y, z)`` float32.
        points: ``(a, b, c, 3)`` positions in voxels of the volume.

    Returns:
        ``(channels, a, b, c)`` float32.
    """
    size = torch.tensor(volume.shape[1:], dtype=torch.float32)
    # Voxel centers in the convention of align_corners=False; grid_sample wants the last axis first.
    normalized = ((2.0 * points + 1.0) / size - 1.0).flip(-1)
    return functional.grid_sample(volume[None], normalized[None], align_corners=False, padding_mode="zeros")[0]
