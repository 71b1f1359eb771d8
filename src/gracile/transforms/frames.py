"""A whole prepared picture in a network's input of fixed size."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Frame:
    """Where a prepared picture lies in the network's input: in the middle, made smaller only where it does not fit.

    Args:
        prepared: (height, width) of the prepared picture.
        inner: (height, width) it has in the network's input.
        size: (height, width) of the network's input.
    """

    prepared: tuple[int, int]
    inner: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def around(cls, prepared: Sequence[int], size: tuple[int, int]) -> "Frame":
        """The frame of a prepared picture of that shape."""
        height, width = prepared
        scale = min(1.0, size[0] / height, size[1] / width)
        inner = (max(1, min(size[0], round(height * scale))), max(1, min(size[1], round(width * scale))))
        return cls((height, width), inner, size)

    @property
    def corner(self) -> tuple[int, int]:
        """(row, column) of the picture's first pixel in the network's input."""
        return (self.size[0] - self.inner[0]) // 2, (self.size[1] - self.inner[1]) // 2

    def shrink(self, maps: Tensor) -> Tensor:
        """``(batch, channels, *prepared)`` to ``(batch, channels, *inner)``."""
        if self.inner == self.prepared:
            return maps
        return functional.interpolate(maps, self.inner, mode="bilinear", align_corners=False, antialias=True)

    def place(self, maps: Tensor) -> Tensor:
        """``(batch, channels, *prepared)`` to ``(batch, channels, *size)``, zero around it."""
        top, left = self.corner
        below, right = self.size[0] - top - self.inner[0], self.size[1] - left - self.inner[1]
        return functional.pad(self.shrink(maps), (left, right, top, below))

    def restore(self, maps: Tensor) -> Tensor:
        """``(batch, channels, *size)`` back to ``(batch, channels, *prepared)``."""
        top, left = self.corner
        inner = maps[..., top : top + self.inner[0], left : left + self.inner[1]]
        if self.inner == self.prepared:
            return inner.contiguous()
        return functional.interpolate(inner, self.prepared, mode="bilinear", align_corners=False)
