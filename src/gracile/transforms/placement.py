"""Where a prepared picture lies in its input, and the way there and back."""

from dataclasses import dataclass

import numpy as np

from gracile.transforms.separable import resized


@dataclass(frozen=True)
class Placement:
    """Where a prepared picture lies in its input: a box that was cut out and scaled.

    Args:
        input_shape: (height, width) of the input.
        box: (top, left, bottom, right) in input pixels, the ends excluded.
        shape: (height, width) of the prepared picture.
    """

    input_shape: tuple[int, int]
    box: tuple[int, int, int, int]
    shape: tuple[int, int]

    def cut(self, array: np.ndarray) -> np.ndarray:
        """The box of ``(..., height, width)`` at the input's own scale."""
        top, left, bottom, right = self.box
        return array[..., top:bottom, left:right]

    def resample(self, array: np.ndarray, whole_levels: bool = False) -> np.ndarray:
        """Input ``(channels, height, width)`` to prepared float32, smoothed before it is made smaller.

        ``whole_levels`` rounds pictures of uint8 to whole gray levels, which takes a tenth of the time.
        """
        return resized(self.cut(array), self.shape, whole_levels)

    def restore(self, maps: np.ndarray, outside: tuple[float, ...]) -> np.ndarray:
        """Prepared ``(channels, height, width)`` maps to the input's grid, linearly.

        Args:
            maps: Maps on the prepared grid.
            outside: Value of each channel outside the box.
        """
        top, left, bottom, right = self.box
        inner = resized(maps, (bottom - top, right - left))
        if inner.shape[1:] == self.input_shape:
            return inner
        full = np.empty((maps.shape[0], *self.input_shape), dtype=np.float32)
        full[:] = np.asarray(outside, dtype=np.float32)[:, None, None]
        full[:, top:bottom, left:right] = inner
        return full
