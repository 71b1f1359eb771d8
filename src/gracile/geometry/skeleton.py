"""The skeleton of a flat mask as a graph: segments between end points and branch points."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from gracile.errors import GeometryError
from gracile.geometry.boxes import bounding_box
from gracile.geometry.thinning import thinned

_HOLE = 4


@dataclass(frozen=True)
class Segment:
    """One stretch of a skeleton between two ends.

    Args:
        points: ``(n, 2)`` pixels (row, column) in order, neighbors touch; a segment that meets a
            branch point ends on a pixel of it. A closed loop repeats its first pixel at the end.
        radius: ``(n,)`` distance of each to the nearest pixel center outside of the mask, in pixels.
        start: Index of the branch point that it starts from, -1 for a free end.
        end: Index of the branch point that it ends at, -1 for a free end.
    """

    points: np.ndarray
    radius: np.ndarray
    start: int
    end: int

    @property
    def length(self) -> float:
        """Length in pixels, step by step (1 straight, sqrt 2 diagonal)."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True)
class SkeletonGraph:
    """A skeleton cut into segments.

    Args:
        shape: ``(height, width)`` of the mask.
        segments: Its segments; every skeleton pixel lies in one, branch points in several.
        branch_points: ``(n, 2)`` centers (row, column) of the places where three or more segments meet.
    """

    shape: tuple[int, int]
    segments: list[Segment]
    branch_points: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """``(height, width)`` bool, True on the pixels of the segments."""
        out = np.zeros(self.shape, dtype=bool)
        for segment in self.segments:
            out[segment.points[:, 0], segment.points[:, 1]] = True
        return out


def skeletonize(mask: np.ndarray) -> np.ndarray:
    """The one pixel wide middle of a mask, by thinning (`gracile.geometry.thinning`).

    Works inside the bounding box of the mask only. Holes of up to 4 pixels are filled first, for each would
    become a loop.

    Args:
        mask: ``(height, width)`` bool.

    Returns:
        ``(height, width)`` bool.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 2:
        raise GeometryError(f"A skeleton is made of a flat mask, not of one of shape {mask.shape}.")
    skeleton = np.zeros(mask.shape, dtype=bool)
    box = bounding_box(mask)
    if box is not None:
        # Thinning as Zhang and Suen do it erases straight bands that run at exactly 45 degrees.
        skeleton[box] = thinned(_without_small_holes(mask[box]))
    return skeleton


def _without_small_holes(mask: np.ndarray) -> np.ndarray:
    """The mask with its holes of up to `_HOLE` pixels filled, which are joined by their sides.

    Every pixel of such a hole touches the mask, and so do all that it is joined with: only those are looked at.
    """
    padded = np.pad(mask, 1, constant_values=True)
    width, filled = padded.shape[1], padded.ravel()
    sides = (-width, -1, 1, width)
    inner = filled[width:-width]
    above, below = filled[: -2 * width], filled[2 * width :]
    near = above | below | filled[width - 1 : -width - 1] | filled[width + 1 : 1 - width]
    places = np.flatnonzero(near & ~inner) + width
    hole = np.zeros(len(filled), dtype=bool)
    hole[places] = True

    def closed() -> np.ndarray:
        """Whether all sides of each place are of the mask or may be of a hole."""
        return np.logical_and.reduce([filled[places + side] | hole[places + side] for side in sides])

    for _ in range(_HOLE):  # most are the border of a wide background
        hole[places[~closed()]] = False
        places = places[hole[places]]
    pairs = [(places[hole[places + side]], side) for side in (1, width)]
    one = np.concatenate([np.searchsorted(places, some) for some, _ in pairs])
    other = np.concatenate([np.searchsorted(places, some + side) for some, side in pairs])
    group = _joined(len(places), one, other)
    count = np.bincount(group, minlength=1)
    fill = (count <= _HOLE) & (np.bincount(group, closed(), minlength=1) == count)
    filled[places[fill[group]]] = True
    return padded[1:-1, 1:-1]


def _joined(number: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``(number,)`` the lowest index that each is joined with by pairs of indices ``(n,)``."""
    lowest = np.arange(number)
    while (lowest[one] != lowest[other]).any():
        least = np.minimum(lowest[one], lowest[other])
        np.minimum.at(lowest, one, least)
        np.minimum.at(lowest, other, least)
    return lowest


def skeleton_graph(mask: np.ndarray, *, spur_length: float = 5.0) -> SkeletonGraph:
    """The skeleton of a mask, cut at its branch points, without its short spurs.

    A spur is a segment with one free end. It is dropped when it is shorter than `spur_length`, or than 1.5 times
    the radius of the structure at the branch point, because rough borders of thick structures grow such spurs.
    Dropping is repeated once, since it joins segments.

    Args:
        mask: ``(height, width)`` bool.
        spur_length: Shortest spur to keep, in pixels; 0 keeps all that the radius allows.

    Returns:
        The graph.
    """
    skeleton = skeletonize(mask)
    shape = (int(skeleton.shape[0]), int(skeleton.shape[1]))
    pixels = np.argwhere(skeleton)
    radius = distance_to_background(mask, pixels)
    for dropped in count():
        chains, node, branch_points = _trace(pixels)
        segments = [Segment(pixels[c], radius[c], int(node[c[0]]), int(node[c[-1]])) for c in chains]
        spurs = [chain for chain, one in zip(chains, segments, strict=True) if _is_spur(one, spur_length)]
        if not spurs or dropped == 2:
            return SkeletonGraph(shape, segments, branch_points)
        kept = np.ones(len(pixels), dtype=bool)
        for chain in spurs:
            kept[chain[1:] if node[chain[0]] >= 0 else chain[:-1]] = False
        pixels, radius = pixels[kept], radius[kept]
    raise AssertionError


def distance_to_background(mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Distance of pixels of a mask to the nearest pixel center outside, in pixels.

    Looked up row by row, farther and farther off, as long as a row can still hold a nearer one.

    Args:
        mask: ``(height, width)`` bool; what lies beyond the picture counts as background.
        pixels: ``(n, 2)`` row and column of pixels of the mask.

    Returns:
        ``(n,)`` float64.
    """
    width = mask.shape[1] + 2
    padded = np.pad(mask, 1).ravel()
    before_change = np.flatnonzero(padded[1:] != padded[:-1])
    at = (pixels[:, 0] + 1) * width + pixels[:, 1] + 1

    def beside(places: np.ndarray) -> np.ndarray:
        """Squared distance to the background along the row."""
        after = np.searchsorted(before_change, places)
        left, right = places - before_change[after - 1], before_change[after % len(before_change)] + 1 - places
        return np.where(padded[places], np.minimum(left, right), 0) ** 2

    if not len(at):
        return np.zeros(0)
    nearest = beside(at)
    for rows in count(1):
        open_ = np.flatnonzero(nearest > rows**2)
        if not len(open_):
            break
        for way in (-rows, rows):
            nearest[open_] = np.minimum(nearest[open_], rows**2 + beside(at[open_] + way * width))
    return np.sqrt(nearest)


def _is_spur(segment: Segment, spur_length: float) -> bool:
    if (segment.start < 0) == (segment.end < 0):
        return False
    return segment.length < max(spur_length, 1.5 * float(segment.radius[0 if segment.start >= 0 else -1]))


def _links(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of neighboring pixels as ``(n, 2)`` indices into `pixels`, which go row by row: all, and those that count.

    A diagonal pair counts only where no straight step joins the two, so that the corners of a staircase are no
    branch points ("m-adjacency", Rosenfeld 1970).
    """
    width = int(pixels[:, 1].max(initial=0)) + 3
    places = (pixels[:, 0] + 1) * width + pixels[:, 1] + 1
    numbers = np.arange(len(places))

    def at(row_step: int, column_step: int) -> np.ndarray:
        """The pixel a step away from each, -1 where there is none."""
        wanted = places + row_step * width + column_step
        found = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
        return np.where(places[found] == wanted, found, -1)

    right, below, below_right, below_left = (at(*step) for step in ((0, 1), (1, 0), (1, 1), (1, -1)))
    left = at(0, -1)
    pairs = [(right, right >= 0), (below, below >= 0)]
    pairs += [(below_right, (right < 0) & (below < 0)), (below_left, (left < 0) & (below < 0))]
    every = [np.stack([numbers, other], axis=1)[other >= 0] for other, _ in pairs]
    counting = [np.stack([numbers, other], axis=1)[(other >= 0) & alone] for other, alone in pairs]
    return np.concatenate(every), np.concatenate(counting)


def _trace(pixels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Chains of indices into the skeleton pixels ``(n, 2)``; the branch point of each pixel, -1 where it is of none;
    and the branch points ``(m, 2)``."""
    touching, links = _links(pixels)
    links = np.concatenate([links, links[:, ::-1]])
    links = links[np.argsort(links[:, 0], kind="stable")]
    number = np.bincount(links[:, 0], minlength=len(pixels))
    node, branch_points = _branch_points(pixels, number >= 3, touching)
    # The first two neighbors of each pixel: all that one has that is of no branch point.
    first = np.cumsum(number) - number
    pair = np.full((len(pixels), 2), -1)
    for place in (0, 1):
        has = number > place
        pair[has, place] = links[first[has] + place, 1]
    onward = links[(node[links[:, 0]] >= 0) & (node[links[:, 1]] < 0)]
    ends = np.flatnonzero((number <= 1) & (node < 0))
    starts = np.concatenate([onward, np.stack([np.full(len(ends), -1), ends], axis=1)])
    chains = list(_walked(starts, pair, node))
    walked = node >= 0
    walked[np.concatenate([np.zeros(0, int), *chains])] = True
    for at in np.flatnonzero(~walked):
        if not walked[at]:
            (loop,) = _walked(np.array([[at, pair[at, 0]]]), pair, node)
            walked[loop] = True
            chains.append(loop)
    return chains, node, branch_points


def _walked(starts: np.ndarray, pair: np.ndarray, node: np.ndarray) -> Iterator[np.ndarray]:
    """Chains from their first steps, ``(n, 2)`` where each comes from and goes to, to a branch point, a free end, or
    around a loop. All go a step at a time together. A chain that is walked from both of its ends is given once."""
    if not len(starts):
        return
    before, at = starts.T
    number = np.arange(len(starts))
    begun = before >= 0
    steps = [(number[begun], before[begun]), (number, at)]
    origin = at
    while True:
        going = node[at] < 0
        onward = np.where(pair[at, 0] == before, pair[at, 1], pair[at, 0])
        going &= (onward >= 0) & (onward != origin[number])
        if not going.any():
            break
        before, at, number = at[going], onward[going], number[going]
        steps.append((number, at))
    chain, pixel = (np.concatenate(column) for column in zip(*steps, strict=True))
    order = np.argsort(chain, kind="stable")
    ends = np.cumsum(np.bincount(chain, minlength=len(starts)))
    seen: set[tuple[int, int]] = set()
    for own in np.split(pixel[order], ends[:-1]):
        if (int(own[-1]), int(own[-2 if len(own) > 1 else 0])) not in seen:
            seen.add((int(own[0]), int(own[min(1, len(own) - 1)])))
            yield own


def _branch_points(pixels: np.ndarray, many: np.ndarray, touching: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Branch point that each pixel belongs to (-1: none), and the centers ``(n, 2)`` of the branch points.

    Pixels with `many` neighbors that touch are one branch point.
    """
    node = np.full(len(pixels), -1, dtype=np.int64)
    if not many.any():
        return node, np.zeros((0, 2))
    group = _joined(len(pixels), *touching[many[touching].all(axis=1)].T)
    _, node[many] = np.unique(group[many], return_inverse=True)
    weights = np.bincount(node[many])
    centers = [np.bincount(node[many], pixels[many, axis]) / weights for axis in (0, 1)]
    return node, np.stack(centers, axis=1)
