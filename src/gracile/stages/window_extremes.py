"""The first layer of a SMICNet on whole slices, and the extremes of single windows read from what it makes.

Behind its first layer a SMICNet needs of a window the largest and the smallest value of each 2x2 alone (its *extremes*,
see `gracile.networks.smicnet_exact`), which overlapping windows have in common.
"""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SLOPE, NORM_EPSILON = 0.3, 1e-3
"""Of `gracile.networks.smicnet`, which needs PyTorch."""

_LAYERS = ("depthwise.weight", "depthwise.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var")
FIRST_LAYER = tuple(f"network.blocks.0.{name}" for name in _LAYERS)
"""Weights of the first layer, as a bundle names them."""


class Extremes:
    """What the first layer makes of slices.

    Args:
        state: Weights, of which it takes those of `FIRST_LAYER`.
        padded: Whether windows see zeros around themselves.
    """

    def __init__(self, state: Mapping[str, np.ndarray], padded: bool) -> None:
        weight, bias, scale, shift, mean, variance = (np.asarray(state[name], np.float64) for name in FIRST_LAYER)
        factor = scale / np.sqrt(variance + NORM_EPSILON)
        self.padded = padded
        self.kernel = (weight.reshape(3, 3) * factor).astype(np.float32)
        self.bias = np.float32(((bias - mean) * factor + shift)[0])

    def maps(self, planes: np.ndarray) -> np.ndarray:
        """The extremes of every 2x2 of slices.

        Args:
            planes: ``(slices, height, width)`` float32.

        Returns:
            ``(kinds, slices, 2, height - 3, width - 3)`` float32: the largest and the smallest value of the 2x2 whose
            first sample has the 3x3 from that row and column on. Without padding there is one kind. With it there are
            four, which see zeros instead of the row above, instead of the column to the left, and instead of both, as
            a window's first ones.
        """
        slices, height, width = planes.shape
        found = np.empty((4 if self.padded else 1, slices, 2, height - 3, width - 3), dtype=np.float32)
        for number, plane in enumerate(planes):  # one at a time fits a processor's caches
            corner = self._sum(plane, np.full((height - 2, width - 2), self.bias), (1, 2), (1, 2))
            above = self._sum(plane, corner.copy(), (1, 2), (0,))
            left = self._sum(plane, corner.copy(), (0,), (1, 2))
            whole = self._sum(plane, above.copy(), (0,), (0, 1, 2))
            for z in (corner, above, left, whole):
                np.maximum(z, SLOPE * z, out=z)
            quads = [(whole,) * 4, (above, above, whole, whole), (left, whole, left, whole),
                     (corner, above, left, whole)]  # fmt: skip
            for kind, quad in zip(found, quads, strict=False):
                _extremes_of(quad, kind[number])
        return found

    def _sum(
        self, plane: np.ndarray, total: np.ndarray, rows: tuple[int, ...], columns: tuple[int, ...]
    ) -> np.ndarray:  # fmt: skip
        """Adds what some places of the kernel make of a slice."""
        height, width = total.shape
        for row in rows:
            for column in columns:
                total += self.kernel[row, column] * plane[row : row + height, column : column + width]
        return total


def _extremes_of(quad: tuple[np.ndarray, ...], found: np.ndarray) -> None:
    """Writes ``(2, rows - 1, columns - 1)`` of 2x2 whose samples are those of four maps, row by row."""
    a, b, c, d = quad[0][:-1, :-1], quad[1][:-1, 1:], quad[2][1:, :-1], quad[3][1:, 1:]
    for extreme, out in ((np.maximum, found[0]), (np.minimum, found[1])):
        extreme(a, b, out=out)
        extreme(out, c, out=out)
        extreme(out, d, out=out)


def gathered_extremes(maps: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """The extremes of single windows from the maps of slices.

    Args:
        maps: Of `Extremes.maps`, of slices that reach so far beyond the places that a window's first extremes lie at
            its place.
        places: ``(n, 3)`` slice, row, column.
        side: Of a window's extremes.

    Returns:
        ``(n, 2, side, side)`` float32.
    """
    slices, rows, columns = places.T
    long = 2 * side - 1
    inner = sliding_window_view(maps[0], (long, long), axis=(2, 3))[..., ::2, ::2]
    found = inner[slices, :, rows, columns]
    if len(maps) > 1:  # a padded window's first row and column see zeros outside of it
        found[:, :, 0, :] = sliding_window_view(maps[1], long, axis=3)[..., ::2][slices, :, rows, columns]
        found[:, :, :, 0] = sliding_window_view(maps[2], long, axis=2)[..., ::2][slices, :, rows, columns]
        found[:, :, 0, 0] = maps[3][slices, :, rows, columns]
    return np.asarray(found)
