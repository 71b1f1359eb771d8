"""A case on the network's own scale and orientation, as the stages see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gracile.case import Moment
from gracile.transforms.column import Box
from gracile.transforms.placement import Placement
from gracile.transforms.stored import Array, Keep, keep_nothing
from gracile.transforms.volume import Orientation, resample_to_spacing, smoothed_for, steps_to


@dataclass
class Prepared:
    """A case as the stages see it. The arrays of a training case lie in the run's cache, and are read where needed.

    Args:
        image: ``(channels, *spatial)`` float32, intensities standardized, 0 outside the region.
        region: ``(*spatial)`` bool, what counts.
        placement: The way back; None for training samples read from a cache.
        truth: Of a picture: ``(classes, height, width)`` float32, each class's share of the pixel, or None.
        labels: Of a volume: ``(x, y, z)`` uint8 class indices, or None; `gracile.transforms.class_shares` reads shares.
        flags: What a person should look at in this case.
        subject: Person that it belongs to, where the data say.
        frame_class: What kind of frame it is, by the data's own word; empty when that was not said.
        moment: Of a frame whose table says so: where it stands in its clip.
        weight: How often it is drawn in learning, beside 1 of others.
        affine: (4, 4) from voxels of the prepared volume to RAS+ mm; None for pictures.
        points: The recipe's landmarks by name, ``(3,)`` voxels of the prepared volume; empty when they are not known.
        start: ``(3,)`` voxels near the landmarks, where the user gave such a point.
        keep: Keeps what stages make of the whole case before they draw samples from it.
    """

    image: Array
    region: Array
    placement: Placement | Orientation | None
    truth: Array | None = None
    labels: Array | None = None
    flags: list[str] | None = None
    subject: str = ""
    frame_class: str = ""
    moment: Moment | None = None
    weight: float = 1.0
    affine: np.ndarray | None = None
    points: dict[str, np.ndarray] = field(default_factory=dict)
    start: np.ndarray | None = None
    keep: Keep = keep_nothing

    @property
    def spacing_mm(self) -> np.ndarray:
        """``(3,)`` of a prepared volume."""
        if self.affine is None:
            raise ValueError("a prepared picture has no spacing")
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def to_patient(self) -> np.ndarray:
        """``(4, 4)`` from mm along the axes, counted from the first voxel of the prepared volume, to RAS+ mm."""
        if self.affine is None:
            raise ValueError("a prepared picture lies nowhere in a patient")
        return self.affine @ np.diag([*(1.0 / self.spacing_mm), 1.0])

    @property
    def has_masks(self) -> bool:
        """Whether it is known where its classes are."""
        return self.truth is not None or self.labels is not None

    def shows(self, classes: Sequence[int]) -> bool:
        """Whether one of some classes takes up at least half of a pixel, or a voxel."""
        if self.labels is not None:
            return bool(self.where(classes).any())
        return self.truth is not None and bool((self.truth[list(classes)] > 0.5).any())

    def where(self, classes: Sequence[int]) -> np.ndarray:
        """``(x, y, z)`` bool: the voxels of some classes of a volume."""
        if self.labels is None:
            raise ValueError("the case has no labels")
        return np.isin(np.asarray(self.labels), list(classes))

    def at_spacing(self, target_mm: Sequence[float]) -> tuple[Array, np.ndarray]:
        """The volume's image at another spacing, and the ``(3,)`` voxels that one of its voxels stands for."""
        spacing = self.spacing_mm
        steps = steps_to(target_mm, spacing)
        if np.allclose(steps, 1.0):
            return self.image, np.ones(3)
        name = named_by_steps("image-resampled", steps)
        return self.keep(name, lambda: resample_to_spacing(np.asarray(self.image), spacing, target_mm)[0]), steps

    def part(self, box: Box) -> "Prepared":
        """A box of a volume as a case of its own, without its points; what is kept of it bears the box's name."""
        assert self.affine is not None
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ np.array([side.start for side in box], dtype=float)
        name = "-".join(["part", *(f"{side.start}.{side.stop}" for side in box)])

        def keep(what: str, make: Callable[[], np.ndarray]) -> Array:
            return self.keep(f"{name}-{what}", make)

        labels = self.labels
        return replace(
            self, image=keep("image", lambda: self.image[(slice(None), *box)]), region=np.asarray(self.region[box]),
            labels=None if labels is None else keep("labels", lambda: labels[box]), affine=affine, points={},
            placement=None, keep=keep,
        )  # fmt: skip

    def coarse(self, target_mm: Sequence[float]) -> tuple[Array, np.ndarray]:
        """The volume's image at another spacing, and the affine of that copy."""
        assert self.affine is not None
        image, steps = self.at_spacing(target_mm)
        return image, self.affine @ np.diag([*steps, 1.0])

    def smoothed(self, steps: np.ndarray) -> Array:
        """The volume's image on its own voxels, smoothed for taking every ``steps``-th."""
        if (steps <= 1.0).all():
            return self.image
        name = named_by_steps("image-smoothed", steps)
        return self.keep(name, lambda: smoothed_for(np.asarray(self.image), steps))


def named_by_steps(what: str, steps: np.ndarray) -> str:
    """The name under which something is kept that depends on how many voxels one sample stands for."""
    return "-".join([what, *(f"{step:.9g}" for step in steps)])
