"""A whole prepared picture in a network's input of fixed size."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import numpy as np

from gracile.transforms.separable import resized


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

    def shrink(self, maps: np.ndarray) -> np.ndarray:
        """``(..., *prepared)`` to ``(..., *inner)``, antialiased."""
        return maps if self.inner == self.prepared else resized(maps, self.inner)

    def place(self, maps: np.ndarray) -> np.ndarray:
        """``(..., *prepared)`` to ``(..., *size)``, zero around it."""
        inner = self.shrink(maps)
        placed = np.zeros((*inner.shape[:-2], *self.size), dtype=inner.dtype)
        placed[self._inside] = inner
        return placed

    def restore(self, maps: np.ndarray) -> np.ndarray:
        """``(..., *size)`` back to ``(..., *prepared)``, linearly."""
        inner = maps[self._inside]
        return np.ascontiguousarray(inner) if self.inner == self.prepared else resized(inner, self.prepared)

    @property
    def _inside(self) -> tuple[EllipsisType, slice, slice]:
        """Where the picture lies in the network's input."""
        top, left = self.corner
        return ..., slice(top, top + self.inner[0]), slice(left, left + self.inner[1])
