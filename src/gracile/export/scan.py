"""`gracile.transforms.scan.find_scan` as a graph."""

import numpy as np

from gracile.export.graph import Graph, Value
from gracile.export.morphology import (
    commonest,
    dilated,
    eroded,
    framed,
    highest,
    histogram,
    islands,
    largest,
    lowest,
    thickened,
    thinned,
    unframed,
)
from gracile.transforms.scan import BRIGHTER, FLAT, FRAME, SMALLEST_SCAN, STRAIGHT, TOP, WORKING_SIZE

_NEARLY = 1e-3
"""Rows of a hull that are no whole numbers lie farther from one, as they are parts of a few hundred."""

_NOWHERE = 100_000
"""A row that no picture has."""


def scan(graph: Graph, colors: Value) -> Value:
    """``(height, width)`` bool, the scan on a machine's screen ``(channels, height, width)`` uint8; else all of it."""
    small, step = thinned(graph, colors, WORKING_SIZE)
    flat = highest(graph, small, 3, 3).equals(lowest(graph, small, 3, 3)).to(np.float32)
    lit = _largest_lit(graph, small, flat, _surround(graph, small, flat))
    is_there = (_share(flat) >= FLAT) & (_share(lit) >= SMALLEST_SCAN)
    found = graph.choose(is_there, lambda: _outlined(graph, lit), lambda: lit * 0.0 + 1.0)
    return thickened(graph, found, step, colors)


def _share(mask: Value) -> Value:
    """``()``: the share of a mask that is lit."""
    return mask.sum() / (mask.size(2) * mask.size(3)).to(np.float32)


def _surround(graph: Graph, small: Value, flat: Value) -> Value:
    """``()``: the most frequent flat value at the frame, or anywhere where the frame has none."""
    rows, columns = (_at_ends(graph, small.size(axis)) for axis in (2, 3))
    at_frame = flat * (rows.lifted(1) | columns.lifted(0)).to(np.float32)
    counted = graph.where(at_frame.most() > 0, at_frame, flat)
    counts = histogram(graph, small.reshape(-1), counted.reshape(-1))
    return graph.node("ArgMax", counts, dtype=np.int64, axis=0, keepdims=0).to(np.float32)


def _at_ends(graph: Graph, length: Value) -> Value:
    """``(n,)`` bool: the two places at either end."""
    places = graph.count_up(length)
    return (places < 2) | (places >= length - 2)


def _largest_lit(graph: Graph, small: Value, flat: Value, surround: Value) -> Value:
    """The largest area of echoes with the dim parts around it, holes closed."""
    difference = abs(small - surround)
    moving = 1.0 - flat * (difference > 2).to(np.float32)
    strong = framed(graph, _opened(graph, (difference > BRIGHTER).to(np.float32) * moving, 1), 6)
    core = largest(graph, unframed(graph, eroded(graph, dilated(graph, strong, 5), 5), 6))
    dim = graph.larger((difference > 0).to(np.float32) * moving, core)
    closed = lowest(graph, highest(graph, dim, 3, 3), 3, 3)
    dim = _opened(graph, graph.where(surround > BRIGHTER, closed, dim), 3)
    labels = islands(graph, dim, diagonally=False)
    best = commonest(graph, labels, core)
    return graph.where(best > 0, labels.equals(best).to(np.float32), core)


def _opened(graph: Graph, mask: Value, radius: int) -> Value:
    """Without what is thinner than ``2 radius + 1``."""
    size = 2 * radius + 1
    return highest(graph, lowest(graph, mask, size, size), size, size)


def _outlined(graph: Graph, lit: Value) -> Value:
    """The scan's box where it fills it, else its convex hull; borders near the frame are the frame."""
    scan = lit.pick(0).pick(0) > 0.5
    height, width = scan.size(0), scan.size(1)
    rows = graph.count_up(height).lifted(1)
    tops, bottoms = (graph.where(scan, places, _NOWHERE).least(0) for places in (rows, -rows))
    used = scan.any(0)
    top, bottom = (_hull(graph, line, used) for line in (tops, bottoms))
    places = rows.to(np.float32)
    hull = (places >= top - _NEARLY) & (places <= _NEARLY - bottom) & used
    ends = [_near_frame(graph, hull.any(other), lit) for other in (1, 0)]
    inside_rows, inside_columns = (
        _between(graph, end, length) for end, length in zip(ends, (height, width), strict=True)
    )
    box_rows, box_columns = (last - first for first, last in ends)
    filled = hull.to(np.float32).sum() / (box_rows * box_columns).to(np.float32)
    depth = graph.larger(graph.node("Round", box_rows.to(np.float64) * TOP), 1.0).to(np.int64)
    at_top = _between(graph, (ends[0][0], ends[0][0] + depth), height).lifted(1)
    wide = (hull & at_top).any(0).to(np.float32).sum() / box_columns.to(np.float32)
    is_straight = (filled >= STRAIGHT) | (wide >= STRAIGHT)
    box = inside_rows.lifted(1) & inside_columns.lifted(0)
    return (hull | (box & is_straight)).to(np.float32).lifted(0, 1)


def _hull(graph: Graph, rows: Value, used: Value) -> Value:
    """``(1, columns)`` float32: the tightest line above the points of the columns in use that is nowhere bent inward.

    It is the highest of the lines that have all points on one side; those that go from a point to where the next ones
    rise least are enough.
    """
    heights = graph.where(used, rows, _NOWHERE).to(np.float64)
    places = graph.count_up(rows.size(0)).to(np.float64)
    run = places.lifted(0) - places.lifted(1)
    rise = (heights.lifted(0) - heights.lifted(1)) / graph.larger(run, 1.0)
    ahead = (run > 0) & used.lifted(0) & used.lifted(1)
    slopes = graph.where(ahead, rise, _NOWHERE).least(1)
    slopes = graph.where(slopes < _NOWHERE, slopes, 0.0).lifted(1)
    starts = (heights.lifted(0) - slopes * places.lifted(0)).least(1, keep=True)
    return (starts + slopes * places.lifted(0)).most(0, keep=True).to(np.float32)


def _near_frame(graph: Graph, lit: Value, picture: Value) -> tuple[Value, Value]:
    """First lit place of ``(n,)`` and the one behind the last; those near the frame are moved to it."""
    length = lit.size(0)
    places = graph.count_up(length)
    first, last = graph.where(lit, places, length).least(0), graph.where(lit, places + 1, 0).most(0)
    near = graph.larger(picture.size(2), picture.size(3)).to(np.float64) * FRAME
    begins = graph.where(first.to(np.float64) <= near, graph.constant(0, np.int64), first)
    ends = graph.where(last.to(np.float64) >= length.to(np.float64) - near, length, last)
    return begins, ends


def _between(graph: Graph, ends: tuple[Value, Value], length: Value) -> Value:
    """``(n,)`` bool."""
    places = graph.count_up(length)
    return (places >= ends[0]) & (places < ends[1])
