"""How trees of vessels hold together: pieces and loops, length in the wrong tree, swaps along vessels."""

import numpy as np
from scipy import ndimage

from gracile.geometry.skeleton import skeleton_graph

SPECK = 10
"""Islands of fewer pixels, and holes of fewer, are no pieces and no loops: cleaned away first, on both sides."""

SHORTEST = 8.0
"""Pixels of a segment of the truth from which on it can be swapped."""

_EIGHT = np.ones((3, 3))


def betti_numbers(mask: np.ndarray) -> tuple[int, int]:
    """Pieces, by 8 neighbors, and loops: islands of the background, by 4 neighbors, but for the one around all.

    Betti numbers 0 and 1 of a flat mask. Specks, see `SPECK`, are cleaned first.

    Args:
        mask: ``(height, width)`` bool.
    """
    islands, _ = ndimage.label(mask, structure=_EIGHT)
    pieces = int((np.bincount(islands.ravel())[1:] >= SPECK).sum())
    holes, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    sizes = np.bincount(holes.ravel())[1:]
    return pieces, int((np.delete(sizes, holes[0, 0] - 1) >= SPECK).sum())


def betti_errors(truth: np.ndarray, prediction: np.ndarray) -> tuple[int, int]:
    """By how much the numbers of pieces and of loops differ (Clough et al., IEEE TPAMI 44(12), 2022)."""
    wanted, found = betti_numbers(truth), betti_numbers(prediction)
    return abs(wanted[0] - found[0]), abs(wanted[1] - found[1])


def wrong_tree(truth: np.ndarray, prediction: np.ndarray, own: tuple[int, int]) -> tuple[float | None, float | None]:
    """Length in the wrong tree, and swaps.

    Taken along the middle lines of each true tree's own class, cut at its branch points, where the prediction has a
    vessel of either tree's own class. A segment is swapped where most of that is the other tree's.

    Args:
        truth: ``(height, width)`` class indices.
        prediction: Likewise.
        own: The classes that are of one tree alone, of both trees.

    Returns:
        The share of the length that is the other tree's, and swaps in 100 segments; None where nothing can be told.
    """
    length = wrong = 0.0
    segments = swaps = 0
    for value, other in (own, own[::-1]):
        for segment in skeleton_graph(truth == value).segments:
            found = prediction[tuple(segment.points.T)]
            told = int(np.isin(found, own).sum())
            if segment.length < SHORTEST or not told:
                continue
            share = float((found == other).sum()) / told
            length += segment.length * told / len(found)
            wrong += segment.length * told / len(found) * share
            segments += 1
            swaps += share > 0.5
    if not segments:
        return None, None
    return wrong / length, 100.0 * swaps / segments
