"""A case: one image, volume or clip with its geometry and, where there is any, its truth."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.geometry import Grid

IGNORED = 255
"""In truths: what is neither learned from nor scored, whatever value the labels' file has for it."""


@dataclass(frozen=True)
class Moment:
    """Where a frame stands in its clip, who said what it shows, and how much of it is learned from.

    Args:
        clip: Name of the clip, which is one person's.
        order: What the frames of a clip are ordered by: their times or, where these are not known, their numbers.
        time_s: Seconds since the clip's first frame, or any other moment of the clip; None where that is not known.
        source: Who or what made its label, by the data's own word, such as a reader or a tracker; empty when not said.
        weight: How often it is drawn in learning, beside 1 of others.
        contradicts: Why its label contradicts the frames before and after; empty where it does not.
    """

    clip: str
    order: float
    time_s: float | None = None
    source: str = ""
    weight: float = 1.0
    contradicts: str = ""


@dataclass
class Case:
    """One image, volume or clip as it came in.

    Args:
        id: Name that is unique within a data set or run.
        image: ``(channels, *spatial)`` array, spatial axes in the order of the file; pictures
            are uint8: RGB, gray, or a recipe's own channels.
        grid: Grid of the spatial axes.
        subject: Person (or animal) that the case belongs to; splits keep subjects together.
        truth: ``(*spatial)`` uint8 class indices, 255 where it is to be ignored; or None.
        region: ``(*spatial)`` bool, the part of the image that counts (a fundus photograph's
            field of view, the scan in a screen picture), or None when none was given.
        source: File that the image was read from.
        frame_class: What kind of frame it is ("Tendon", "absent"), by the data's own word; empty when not said.
        points: Named points in RAS+ mm, ``(3,)`` each: the truth of a recipe's landmarks. Empty when none are known.
        start_mm: ``(3,)`` RAS+ mm near the landmarks, as a user points at them; None searches the whole volume.
        flags: What the reader lost or had to guess, and a person should look at ("3 voxels are no numbers: set to 0").
        notes: What else it says of the file, nothing to worry about ("16-bit image scaled to 8 bits").
        channel_names: Names of the channels in their order, such as t1 and t2; empty when they have none.
        shown: Index of the channel that a person looks at; None shows a picture in its colors, of a volume the first.
    """

    id: str
    image: np.ndarray
    grid: Grid
    subject: str | None = None
    truth: np.ndarray | None = None
    region: np.ndarray | None = None
    source: Path | None = None
    frame_class: str = ""
    points: dict[str, np.ndarray] = field(default_factory=dict)
    start_mm: np.ndarray | None = None
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    channel_names: tuple[str, ...] = ()
    shown: int | None = None

    def __post_init__(self) -> None:
        if self.image.shape[1:] != self.grid.shape:
            raise DataError(f"{self.id}: the image has shape {self.image.shape[1:]}, its grid {self.grid.shape}.")
        for name, array in (("truth", self.truth), ("region", self.region)):
            if array is not None and array.shape != self.grid.shape:
                raise DataError(
                    f"{self.id}: the {name} has size {array.shape}, the image {self.grid.shape}.",
                    "Labels and regions have the size of their image.",
                )

    @property
    def looked_at(self) -> np.ndarray:
        """What a person looks at: ``(1 or 3, height, width)`` of a picture, ``(1, I, J, K)`` of a volume."""
        if self.shown is None and self.image.ndim == 3 and len(self.image) in (1, 3):
            return self.image
        shown = self.shown or 0
        return self.image[shown : shown + 1]

    def with_channels(self, count: int, names: Sequence[str] = ()) -> "Case":
        """The case as a model of fewer or reordered channels takes it: by their names, or the first ones by number.

        Args:
            count: How many it takes.
            names: Their names; empty takes the first ones.

        Returns:
            The case itself where its channels are these already, or where it does not have them.
        """
        own = [name.casefold() for name in self.channel_names]
        wanted = [name.casefold() for name in names]
        if self.shown is None or wanted == own or (not (own and wanted) and len(self.image) <= count):
            return self
        if own and wanted and not set(wanted) <= set(own):
            return self
        chosen = [own.index(name) for name in wanted] if own and wanted else list(range(count))
        kept = tuple(self.channel_names[index] for index in chosen) if own else ()
        shown = chosen.index(self.shown) if self.shown in chosen else 0
        return replace(self, image=self.image[chosen], channel_names=kept, shown=shown if count > 1 else None)

    @classmethod
    def from_array(cls, image: np.ndarray, id: str = "image", **more: Any) -> "Case":
        """A case from a channels-last picture ``(height, width[, channels])`` uint8.

        Raises:
            DataError: It has another number of axes, is empty or holds other numbers.
        """
        if image.ndim not in (2, 3) or not image.size:
            raise DataError(
                f"{id}: a picture is (height, width) or (height, width, channels), not {image.shape}.",
                "Give it with its channels last.",
            )
        if image.dtype != np.uint8:
            raise DataError(
                f"{id}: a picture holds whole numbers from 0 to 255 (uint8), not {image.dtype}.",
                "Scale and convert it, such as (255 * image).astype('uint8').",
            )
        channels_first = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
        return cls(id=id, image=channels_first, grid=Grid(tuple(channels_first.shape[1:])), **more)

    @classmethod
    def from_volume(
        cls, image: np.ndarray | Sequence[np.ndarray], affine: np.ndarray, id: str = "image", **more: Any
    ) -> "Case":
        """A case from a volume ``(I, J, K)``, or a list of its channels on one grid, and its affine (voxel indices to
        RAS+ mm).

        Raises:
            DataError: It has another number of axes, channels have other sizes, or values are no numbers.
        """
        parts = [image] if isinstance(image, np.ndarray) else list(image)
        if not parts or any(part.ndim != 3 for part in parts):
            shape = parts[0].shape if parts else ()
            raise DataError(f"{id}: a volume has three axes, not the shape {shape}.", "Choose one of several.")
        if len({part.shape for part in parts}) > 1:
            sizes = " and ".join(str(part.shape) for part in parts)
            raise DataError(f"{id}: the channels have the sizes {sizes}.", "Bring them to one grid.")
        values = np.stack(parts).astype(np.float32)
        if not np.isfinite(values).all():
            raise DataError(f"{id}: the volume holds values that are no numbers.", "Set them to 0.")
        shown = 0 if len(parts) > 1 else None
        return cls(id=id, image=values, grid=Grid(parts[0].shape, np.asarray(affine, float)), shown=shown, **more)

    def landmark_voxels(self, names: Sequence[str], grid: Grid) -> dict[str, np.ndarray]:
        """Some of its points, ``(3,)`` voxels of a grid each; none where none of its points are known.

        Raises:
            DataError: Some of them are missing or lie outside of the grid.
        """
        if not self.points or not names:
            return {}
        missing = [name for name in names if name not in self.points]
        if missing:
            raise DataError(
                f"{self.id} has {len(names) - len(missing)} of the recipe's {len(names)} landmarks: "
                f"{', '.join(missing[:8])}{', ...' if len(missing) > 8 else ''} missing.",
                f"It names {', '.join(list(self.points)[:8])}. Mark the others too, or list fewer `landmarks`.",
            )
        return {name: self.voxel_inside(f"point {name!r}", self.points[name], grid) for name in names}

    def voxel_inside(self, what: str, point_mm: np.ndarray, grid: Grid) -> np.ndarray:
        """``(3,)`` RAS+ mm in voxels of a grid. Raises DataError where that is outside of it."""
        assert grid.affine is not None
        voxel = np.linalg.solve(grid.affine, np.append(np.asarray(point_mm, dtype=float), 1.0))[:3]
        if not ((voxel >= -0.5) & (voxel <= np.array(grid.shape) - 0.5)).all():
            place = ", ".join(f"{c:.1f}" for c in point_mm)
            raise DataError(
                f"{self.id}: the {what} lies outside of the volume, at {place} mm (RAS).",
                "Points and volume must share one coordinate system: check whether the file's is LPS.",
            )
        return np.asarray(voxel)
