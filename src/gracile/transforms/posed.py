"""Parts of volumes cut at any places in mm: as they are, mirrored, and in the pose of a shape of landmarks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gracile.geometry.similarity import Similarity
from gracile.transforms.class_shares import Maps
from gracile.transforms.column import Box
from gracile.transforms.stored import Array
from gracile.transforms.volume import sample


@dataclass
class SampledVolume:
    """A volume that samples are cut from; of its arrays only what a sample needs is read.

    Args:
        image: ``(channels, x, y, z)`` float32.
        spacing_mm: ``(3,)``.
        truth: What is to be learned: shares of the foreground classes, or a heat map; None for nothing.
        mirrored: Whether its mirror image along the first axis is meant, truth and all.
    """

    image: Array
    spacing_mm: np.ndarray
    truth: Maps | None = None
    mirrored: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole volume."""
        return self.image.shape[1:]

    def window(self, box: Box) -> np.ndarray:
        """Image and truth of a part of the volume, ``(channels + maps, *box)`` float32."""
        if self.mirrored:
            length = self.shape[0]
            box = (slice(length - box[0].stop, length - box[0].start), *box[1:])
        parts = [self.image[(slice(None), *box)]]
        if self.truth is not None:
            parts.append(self.truth.window(box))
        window = np.concatenate(parts)
        # A copy: of a part one voxel wide NumPy takes the mirrored view for contiguous, and PyTorch refuses its stride.
        return window[:, ::-1].copy() if self.mirrored else window

    def around(self, places_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The part of the volume that places are read from, whoever interpolates.

        Args:
            places_mm: ``(a, b, c, 3)`` mm from the volume's first voxel, along its axes.

        Returns:
            The part ``(channels + maps, *box)``, the places ``(a, b, c, 3)`` float32 in its voxels, and the region
            ``(1, a, b, c)`` float32: 1 within the volume.
        """
        voxels = np.asarray(places_mm, dtype=np.float32) / self.spacing_mm.astype(np.float32)
        # Axis by axis: NumPy takes several times as long for all three at once.
        lowest, highest = (np.array([extreme(voxels[..., axis]) for axis in range(3)]) for extreme in (np.min, np.max))
        low, high = np.floor(lowest) - 1, np.ceil(highest) + 2
        x, y, z = (slice(int(np.clip(a, 0, n - 1)), int(np.clip(b, 1, n)))
                   for a, b, n in zip(low, high, self.shape, strict=True))  # fmt: skip
        offset = np.array([side.start for side in (x, y, z)], dtype=np.float32)
        limit = np.array(self.shape, dtype=np.float32) - np.float32(0.5)
        region = np.ones(voxels.shape[:-1], dtype=bool)
        for axis in range(3):
            if lowest[axis] < -0.5 or highest[axis] > limit[axis]:
                region &= (voxels[..., axis] >= -0.5) & (voxels[..., axis] <= limit[axis])
        return self.window((x, y, z)), voxels - offset, region[None].astype(np.float32)

    def cut(self, places_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image ``(channels, a, b, c)``, truth and region, float32, at ``(a, b, c, 3)`` places in mm as in `around`."""
        window, places, region = self.around(places_mm)
        values, channels = sample(window, places), len(self.image)
        return values[:channels], values[channels:], region


@dataclass
class MarkedVolume:
    """A volume with its landmarks.

    Args:
        sampled: The volume.
        points_mm: ``(landmarks, 3)`` mm from its first voxel along its axes; NaN where one is not known.
    """

    sampled: SampledVolume
    points_mm: np.ndarray

    def mirrored(self, opposites: Sequence[int | None]) -> "MarkedVolume":
        """Along the first axis, each landmark where its opposite was; without those that have none."""
        image = replace(self.sampled, mirrored=not self.sampled.mirrored)
        return MarkedVolume(image, mirrored_points(self.sampled, self.points_mm, opposites))


def mirrored_points(sampled: SampledVolume, points_mm: np.ndarray, opposites: Sequence[int | None]) -> np.ndarray:
    """Where landmarks lie in a volume's mirror image along its first axis, and back.

    Args:
        sampled: The volume.
        points_mm: ``(landmarks, 3)`` mm from its first voxel along its axes; NaN where one is not known.
        opposites: Number of each landmark's opposite.

    Returns:
        Likewise; NaN where there is no opposite, or it is not known.
    """
    far = (sampled.shape[0] - 1) * sampled.spacing_mm[0]
    points = np.full_like(points_mm, np.nan)
    for number, opposite in enumerate(opposites):
        if opposite is not None:
            points[number] = points_mm[opposite]
            points[number, 0] = far - points[number, 0]
    return points


def places_in_pose(pose: Similarity, point_mm: np.ndarray, offsets_mm: np.ndarray) -> np.ndarray:
    """``(*size, 3)`` mm of a volume at offsets from a point in the mean shape's pose and size; as `cut_in_pose`."""
    return offsets_mm @ (pose.scale * pose.rotation).T + point_mm


def cut_in_pose(
    sampled: SampledVolume, pose: Similarity, point_mm: np.ndarray, offsets_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Image ``(channels, *size)`` and region ``(1, *size)`` about a point, in the pose of the mean shape.

    Args:
        sampled: The volume.
        pose: Where the mean shape lies in it.
        point_mm: ``(3,)`` mm from the volume's first voxel along its axes.
        offsets_mm: ``(*size, 3)`` mm from the point, in the mean shape's pose and size.
    """
    image, _, region = sampled.cut(places_in_pose(pose, point_mm, offsets_mm))
    return image, region
