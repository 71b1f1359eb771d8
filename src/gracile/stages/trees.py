"""Trees of vessels that hold together: whose each vessel is, decided by vessel and not by pixel.

The mask of each tree is taken apart into segments between branch points. How much each segment looks like its tree or
like the other one is one term of an energy; the other is that what goes straight on belongs together, be it at a
branch point or where one tree's vessel ends and the other's begins. The least energy of two labels whose ties only
attract is a minimum cut, which is found exactly (Greig, Porteous and Seheult, Exact Maximum A Posteriori Estimation
for Binary Images, 1989). Then gaps whose two ends agree are bridged, over the other tree as a crossing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial import cKDTree

from gracile.geometry.skeleton import Segment, skeleton_graph

EXTENT = 900
"""Pixels of the longer side above which every second, third, ... pixel is looked at."""

SURE = 3.0
"""Logarithm of the ratio of both trees' probabilities beyond which a pixel is no surer of one."""

GROWTH = 0.7
"""Power of its length by which a segment's word counts: pixels of one vessel err together."""

TIE = 10.0
"""What tying two segments that go straight on is worth, beside the word of a segment of a length whose power it is."""

SHARP = 4
"""How fast a tie fades with the angle: power of the mean of 1 and the cosine."""

CALIBER = 0.7
"""How fast a tie fades with the ratio of calibers."""

TOUCH = 4.0
"""Pixels, beside both radii, within which the end of one vessel meets another's."""

BRANCH = 0.3
"""What an end that meets the other tree's side is worth, as a share of `TIE`."""

GAP, GAP_ANGLE, GAP_SHARE = 0.04, 0.85, 0.1
"""Longest gap that is bridged, as a share of the longer side; cosine of the angle up to which both ends agree with it;
and the mean probability of vessels along it from which on it is."""

SPECK, SPECK_SHARE = 1e-4, 0.75
"""Area of a speck as a share of the square of the longer side, and the mean probability of vessels below which it
goes."""

UNSURE, UNDECIDED = 0.2, 0.02
"""Word of a segment for either tree, of 1, below which it stays ambiguous where others pull it over; and the share of
the length of all vessels from which on a person should look."""

_EIGHT = np.ones((3, 3))


@dataclass(frozen=True)
class End:
    """An end of a segment: the segment's number, its place, the direction in which it leaves, its radius."""

    segment: int
    place: np.ndarray
    direction: np.ndarray
    radius: float


@dataclass(frozen=True)
class Vessels:
    """The segments of all trees, the tree of each, which of their ends meet in branch points, and which are free."""

    segments: list[Segment]
    trees: np.ndarray
    joints: list[list[End]]
    free: list[End]

    def lines_of(self, tree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``(n, 2)`` points of a tree's middle lines, their ``(n,)`` radii, and the segment that each is of."""
        own = [(number, one) for number, one in enumerate(self.segments) if self.trees[number] == tree]
        points = np.concatenate([np.zeros((0, 2), dtype=int), *(one.points for _, one in own)])
        radii = np.concatenate([np.zeros(0), *(one.radius for _, one in own)])
        return points, radii, np.repeat([number for number, _ in own], [len(one.points) for _, one in own]).astype(int)


def hold_together(mask: np.ndarray, probabilities: np.ndarray, trees: Sequence[Sequence[int]]) -> list[str]:
    """Decide vessel by vessel which tree it is of, bridge gaps whose ends agree, drop specks; in place.

    Args:
        mask: ``(height, width)`` class indices.
        probabilities: ``(classes, height, width)``.
        trees: The classes of each tree; with two of them vessels may change from one to the other.

    Returns:
        A flag where vessels stay ambiguous.
    """
    # What a tree alone has comes first, then what it shares.
    trees = [sorted(tree, key=lambda index: sum(index in other for other in trees)) for tree in trees]
    extent = float(max(mask.shape))
    step = max(1, round(extent / EXTENT))
    small, maps = mask[::step, ::step].copy(), probabilities[:, ::step, ::step]
    before = small.copy()
    _mend_specks(small, maps, trees, SPECK * (extent / step) ** 2)
    flags = _decide_trees(small, maps, trees) if len(trees) == 2 else []
    _bridge(small, maps, trees, GAP * extent / step)
    changed = small != before
    if step > 1:
        changed, small = (
            one.repeat(step, axis=0).repeat(step, axis=1)[: mask.shape[0], : mask.shape[1]] for one in (changed, small)
        )
    mask[changed] = small[changed]
    return flags


def _mend_specks(mask: np.ndarray, maps: np.ndarray, trees: Sequence[Sequence[int]], area: float) -> None:
    """Small islands of a tree become the other's where that is around them, and background where maps are unsure."""
    for tree in trees:
        islands, count = ndimage.label(np.isin(mask, tree), structure=_EIGHT)
        flat = islands.ravel()
        inside = np.flatnonzero(flat)
        sizes = np.bincount(flat[inside], minlength=count + 1)
        sure = np.bincount(flat[inside], 1.0 - maps[0].ravel()[inside], minlength=count + 1)
        boxes = ndimage.find_objects(islands)
        for number in np.flatnonzero(sizes[1:] < area) + 1:
            box = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in boxes[number - 1])
            own = islands[box] == number
            around = mask[box][ndimage.binary_dilation(own, _EIGHT) & ~own]
            touched = around[around > 0]
            if len(touched):
                mask[box][own & (mask[box] == tree[0])] = np.bincount(touched).argmax()
            elif sure[number] < SPECK_SHARE * sizes[number]:
                mask[box][own] = 0


def _vessels(mask: np.ndarray, trees: Sequence[Sequence[int]]) -> Vessels:
    segments: list[Segment] = []
    of: list[int] = []
    joints: list[list[End]] = []
    free: list[End] = []
    for tree, classes in enumerate(trees):
        graph = skeleton_graph(np.isin(mask, classes))
        leaving: dict[int, list[End]] = defaultdict(list)
        for one in graph.segments:
            number = len(segments)
            segments.append(one)
            of.append(tree)
            for at, turn in ((one.start, 1), (one.end, -1)):
                (free if at < 0 else leaving[at]).append(_end(number, one.points[::turn], one.radius[::turn]))
        joints += leaving.values()
    return Vessels(segments, np.array(of, dtype=int), joints, free)


def _end(number: int, points: np.ndarray, radius: np.ndarray) -> End:
    """The direction from just inside of an end outward, over a few radii."""
    wide = float(np.median(radius))
    begin = min(round(wide), len(points) // 3)
    end = min(begin + max(5, round(3 * wide)), len(points) - 1)
    way = points[begin].astype(float) - points[end]
    return End(number, points[0].astype(float), way / max(float(np.linalg.norm(way)), 1e-9), wide)


def _decide_trees(mask: np.ndarray, maps: np.ndarray, trees: Sequence[Sequence[int]]) -> list[str]:
    """Give each segment's pixels the tree that the cut gives it."""
    vessels = _vessels(mask, trees)
    if not vessels.segments:
        return []
    own = [tree[0] for tree in trees]
    words = np.log((maps[own[0]] + 1e-3) / (maps[own[1]] + 1e-3)).clip(-SURE, SURE) / SURE
    words *= np.isin(mask, own)  # what both share tells nothing
    means = np.array([float(words[tuple(one.points.T)].mean()) for one in vessels.segments])
    said = means * np.array([len(one.points) for one in vessels.segments]) ** GROWTH
    lengths = np.array([one.length for one in vessels.segments])
    ties = _ties(vessels)
    first = cut(said, ties)
    wrong = np.flatnonzero(first != (vessels.trees == 0))
    for tree in (0, 1):
        turned = wrong[vessels.trees[wrong] == tree]
        if len(turned):
            _turn(mask, vessels, tree, turned, own)
    pulled = np.abs(means) < UNSURE
    pulled &= np.isin(np.arange(len(said)), [n for pair in ties for n in pair if first[pair[0]] != first[pair[1]]])
    if lengths[pulled].sum() > UNDECIDED * lengths.sum():
        return ["which tree some vessels are of stays uncertain"]
    return []


def _turn(mask: np.ndarray, vessels: Vessels, tree: int, turned: np.ndarray, own: Sequence[int]) -> None:
    """Pixels of a tree that lie nearest to segments that are turned become the other tree's."""
    points, _, of = vessels.lines_of(tree)
    pixels = np.argwhere(mask == own[tree])
    nearest = of[cKDTree(points).query(pixels)[1]]
    some = pixels[np.isin(nearest, turned)]
    mask[tuple(some.T)] = own[1 - tree]


def _ties(vessels: Vessels) -> dict[tuple[int, int], float]:
    """How much it costs to part two segments that meet."""
    ties: dict[tuple[int, int], float] = defaultdict(float)

    def tie(one: End, other: End) -> None:
        straight = (1.0 - float(one.direction @ other.direction)) / 2
        unlike = abs(np.log(max(one.radius, 0.5) / max(other.radius, 0.5)))
        if one.segment != other.segment:
            ties[_pair(one.segment, other.segment)] += TIE * straight**SHARP * float(np.exp(-CALIBER * unlike))

    for ends in vessels.joints:
        for place, one in enumerate(ends):
            for other in ends[place + 1 :]:
                tie(one, other)
    if len(vessels.free) > 1:
        places = np.stack([end.place for end in vessels.free])
        reach = TOUCH + 2 * max(end.radius for end in vessels.free)
        for i, j in cKDTree(places).query_pairs(reach):
            one, other = vessels.free[i], vessels.free[j]
            gap = other.place - one.place
            length = float(np.hypot(*gap))
            if length <= TOUCH + one.radius + other.radius and float(one.direction @ gap) >= -0.5 * length:
                tie(one, other)
    _tie_sides(vessels, ties)
    return ties


def _tie_sides(vessels: Vessels, ties: dict[tuple[int, int], float]) -> None:
    """A vessel that ends at the side of the other tree's, without going on beyond it, is a branch of that one."""
    tied = {number for pair in ties for number in pair if vessels.trees[pair[0]] != vessels.trees[pair[1]]}
    for tree in (0, 1):
        points, radii, of = vessels.lines_of(tree)
        ends = [end for end in vessels.free if vessels.trees[end.segment] != tree and end.segment not in tied]
        if not len(points) or not ends:
            continue
        away, nearest = cKDTree(points).query(np.stack([end.place for end in ends]))
        for end, far, at in zip(ends, away, nearest, strict=True):
            if far <= end.radius + radii[at] + TOUCH / 2:
                ties[_pair(end.segment, int(of[at]))] += BRANCH * TIE


def _pair(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)


def cut(said: np.ndarray, ties: dict[tuple[int, int], float]) -> np.ndarray:
    """The labels of least energy: what contradicts a node's own word, plus the ties between unlike nodes.

    Args:
        said: ``(n,)`` by how much each node is for the first label; below 0 for the second.
        ties: What it costs that two nodes differ.

    Returns:
        ``(n,)`` bool, True for the first label.
    """
    count, unit = len(said), 100.0  # capacities are whole numbers
    source, sink = count, count + 1
    first, second = np.flatnonzero(said > 0), np.flatnonzero(said <= 0)
    pairs = np.array(list(ties), dtype=int).reshape(-1, 2)
    worth = np.array(list(ties.values()))
    rows = np.concatenate([pairs[:, 0], pairs[:, 1], np.full(len(first), source), second])
    columns = np.concatenate([pairs[:, 1], pairs[:, 0], first, np.full(len(second), sink)])
    values = np.concatenate([worth, worth, said[first], -said[second]])
    capacity = np.rint(values * unit).astype(np.int32)
    network = sparse.csr_matrix((capacity, (rows, columns)), shape=(count + 2, count + 2))
    left = network - maximum_flow(network, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = np.zeros(count + 2, dtype=bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[:count]


def _bridge(mask: np.ndarray, maps: np.ndarray, trees: Sequence[Sequence[int]], longest: float) -> None:
    """Close gaps of a tree between ends that point at each other, where the maps see at least a little."""
    vessels = _vessels(mask, trees)
    for tree, classes in enumerate(trees):
        ends = [end for end in vessels.free
                if vessels.trees[end.segment] == tree and len(vessels.segments[end.segment].points) > 4]  # fmt: skip
        if len(ends) < 2:
            continue
        widest = max(end.radius for end in ends)
        found = []
        for i, j in cKDTree(np.stack([end.place for end in ends])).query_pairs(longest + 2 * widest):
            one, other = ends[i], ends[j]
            gap = other.place - one.place
            length = float(np.hypot(*gap))
            if one.segment == other.segment or length > longest + one.radius + other.radius:
                continue
            onward = min(float(one.direction @ gap), float(-(other.direction @ gap))) / length
            line = tuple(np.rint(np.linspace(one.place, other.place, 2 * int(length) + 2)).astype(int).T)
            seen = 1.0 - maps[0][line][mask[line] == 0]
            if onward >= GAP_ANGLE and (not len(seen) or float(seen.mean()) >= GAP_SHARE):
                found.append((length / onward, i, j))
        taken: set[int] = set()
        for _, i, j in sorted(found):
            if not {i, j} & taken:
                taken |= {i, j}
                _draw(mask, ends[i], ends[j], classes)


def _draw(mask: np.ndarray, one: End, other: End, tree: Sequence[int]) -> None:
    """A band between two ends: of the tree's own class on background, of the shared one over the other tree."""
    radius = max(0.6, min(one.radius, other.radius) - 0.5)
    low = np.maximum(np.floor(np.minimum(one.place, other.place) - radius).astype(int), 0)
    high = np.ceil(np.maximum(one.place, other.place) + radius).astype(int) + 1
    box = mask[low[0] : high[0], low[1] : high[1]]
    places = np.moveaxis(np.indices(box.shape), 0, -1) + low
    way = other.place - one.place
    along = ((places - one.place) @ way / float(way @ way)).clip(0, 1)
    band = np.linalg.norm(places - (one.place + along[..., None] * way), axis=-1) <= radius
    if len(tree) > 1:
        box[band & (box > 0) & ~np.isin(box, tree)] = tree[1]
    box[band & (box == 0)] = tree[0]
