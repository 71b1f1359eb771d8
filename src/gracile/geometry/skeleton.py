"""The skeleton of a flat mask as a graph: segments between end points and branch points."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage import morphology

from gracile.errors import GeometryError

_STRAIGHT = ((0, 1), (1, 0))
_DIAGONAL = ((1, 1), (1, -1))


@dataclass(frozen=True)
class Segment:
    """One stretch of a skeleton between two ends.

    Args:
        points: ``(n, 2)`` pixels (row, column) in order, neighbors touch; a segment that meets a
            branch point ends on a pixel of it. A closed loop repeats its first pixel at the end.
        start: Index of the branch point that it starts from, -1 for a free end.
        end: Index of the branch point that it ends at, -1 for a free end.
    """

    points: np.ndarray
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
    """The one pixel wide middle of a mask, by thinning.

    Works inside the bounding box of the mask only. Holes of up to 4 pixels are filled first, for each would
    become a loop.

    Args:
        mask: ``(height, width)`` bool.

    Returns:
        ``(height, width)`` bool.

    Source: Lee, Kashyap and Chu, CVGIP: Graphical Models and Image Processing 56 (1994) 462-478, in scikit-image.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 2:
        raise GeometryError(f"A skeleton is made of a flat mask, not of one of shape {mask.shape}.")
    skeleton = np.zeros(mask.shape, dtype=bool)
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes:
        return skeleton
    inner = morphology.remove_small_holes(mask[boxes[0]], max_size=4)
    # The faster default (Zhang and Suen) erases straight bands that run at exactly 45 degrees.
    skeleton[boxes[0]] = morphology.skeletonize(inner, method="lee") > 0
    return skeleton


def skeleton_graph(mask: np.ndarray, *, spur_length: float = 5.0, radius: np.ndarray | None = None) -> SkeletonGraph:
    """The skeleton of a mask, cut at its branch points, without its short spurs.

    A spur is a segment with one free end. It is dropped when it is shorter than `spur_length`, or than 1.5 times
    the radius of the structure at the branch point, because rough borders of thick structures grow such spurs.
    Dropping is repeated once, since it joins segments.

    Args:
        mask: ``(height, width)`` bool.
        spur_length: Shortest spur to keep, in pixels; 0 keeps all that the radius allows.
        radius: ``(height, width)`` distance to the background in pixels; computed when None.

    Returns:
        The graph.
    """
    skeleton = skeletonize(mask)
    shape = (int(skeleton.shape[0]), int(skeleton.shape[1]))
    pixels = np.argwhere(skeleton)
    if not len(pixels):
        return SkeletonGraph(shape, [], np.zeros((0, 2)))
    if radius is None:
        radius = distance_to_background(mask)
    for _ in range(2):
        segments, branch_points = _trace(pixels, shape)
        spurs = [s for s in segments if _is_spur(s, spur_length, radius)]
        if not spurs:
            return SkeletonGraph(shape, segments, branch_points)
        for spur in spurs:
            gone = spur.points[1:] if spur.start >= 0 else spur.points[:-1]
            skeleton[gone[:, 0], gone[:, 1]] = False
        pixels = np.argwhere(skeleton)
    segments, branch_points = _trace(pixels, shape)
    return SkeletonGraph(shape, segments, branch_points)


def distance_to_background(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel of a mask to the nearest pixel center outside, in pixels.

    Args:
        mask: ``(height, width)`` bool; what lies beyond the picture counts as background.

    Returns:
        ``(height, width)`` float32, 0 outside the mask.
    """
    mask = np.asarray(mask, dtype=bool)
    out = np.zeros(mask.shape, dtype=np.float32)
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if boxes:
        padded = np.pad(mask[boxes[0]], 1)
        out[boxes[0]] = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    return out


def _is_spur(segment: Segment, spur_length: float, radius: np.ndarray) -> bool:
    if (segment.start < 0) == (segment.end < 0):
        return False
    row, column = segment.points[0] if segment.start >= 0 else segment.points[-1]
    return segment.length < max(spur_length, 1.5 * float(radius[row, column]))


def _links(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pairs of neighboring pixels, as ``(n, 2)`` indices into `pixels`.

    A diagonal pair counts only where no straight step joins the two, so that the corners of a staircase are no
    branch points ("m-adjacency", Rosenfeld 1970).
    """
    index = np.full((shape[0] + 2, shape[1] + 2), -1, dtype=np.int64)
    rows, columns = pixels[:, 0] + 1, pixels[:, 1] + 1
    index[rows, columns] = np.arange(len(pixels))
    pairs = []
    for row_step, column_step in _STRAIGHT + _DIAGONAL:
        other = index[rows + row_step, columns + column_step]
        keep = other >= 0
        if row_step and column_step:
            keep &= (index[rows + row_step, columns] < 0) & (index[rows, columns + column_step] < 0)
        pairs.append(np.stack([np.flatnonzero(keep), other[keep]], axis=1))
    return np.concatenate(pairs)


def _trace(pixels: np.ndarray, shape: tuple[int, int]) -> tuple[list[Segment], np.ndarray]:
    """Segments and branch points ``(n, 2)`` of the skeleton pixels ``(n, 2)``."""
    links = _links(pixels, shape)
    count = np.bincount(links.ravel(), minlength=len(pixels))
    neighbors: list[list[int]] = [[] for _ in range(len(pixels))]
    for a, b in links.tolist():
        neighbors[a].append(b)
        neighbors[b].append(a)
    node, branch_points = _branch_points(pixels, count >= 3, shape)
    chains: list[list[int]] = []
    done = np.zeros(len(pixels), dtype=bool)
    ends = np.flatnonzero(count <= 1).tolist()
    junctions = np.flatnonzero(node >= 0).tolist()
    for first in junctions + ends:
        if node[first] < 0 and done[first]:
            continue
        if node[first] < 0:
            chains.append(_walk(first, neighbors, node, done, [first]))
            continue
        for second in neighbors[first]:
            if node[second] < 0 and not done[second]:
                chains.append(_walk(second, neighbors, node, done, [first, second]))
    for first in np.flatnonzero(~done & (node < 0)).tolist():
        if not done[first]:
            loop = _walk(first, neighbors, node, done, [first])
            chains.append([*loop, first])
    segments = [Segment(pixels[chain], int(node[chain[0]]), int(node[chain[-1]])) for chain in chains]
    return segments, branch_points


def _walk(at: int, neighbors: list[list[int]], node: np.ndarray, done: np.ndarray, chain: list[int]) -> list[int]:
    """Follow a chain from the pixel `at` to a branch point, a free end, or around a loop."""
    before = chain[-2] if len(chain) > 1 else -1
    while True:
        done[at] = True
        onward = [n for n in neighbors[at] if n != before and (node[n] >= 0 or not done[n])]
        if not onward:
            return chain
        before, at = at, onward[0]
        chain.append(at)
        if node[at] >= 0:
            return chain


def _branch_points(pixels: np.ndarray, many: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Branch point that each pixel belongs to (-1: none), and the centers ``(n, 2)`` of the branch points."""
    node = np.full(len(pixels), -1, dtype=np.int64)
    if not many.any():
        return node, np.zeros((0, 2))
    raster = np.zeros(shape, dtype=bool)
    raster[pixels[many, 0], pixels[many, 1]] = True
    labels, number = ndimage.label(raster, structure=np.ones((3, 3)))
    node[many] = labels[pixels[many, 0], pixels[many, 1]] - 1
    weights = np.bincount(node[many], minlength=number)
    centers = [np.bincount(node[many], pixels[many, axis], minlength=number) / weights for axis in (0, 1)]
    return node, np.stack(centers, axis=1)
