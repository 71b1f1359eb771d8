"""`gracile.transforms.separable` as a graph: one matrix of triangle weights for each axis."""

import numpy as np

from gracile.export.graph import Graph, Value

_HALF = 11
_UNIT = float(2 ** (2 * _HALF))
"""Pillow keeps its weights in whole parts of this."""


def resized(graph: Graph, image: Value, height: Value, width: Value) -> Value:
    """``(channels, height, width)`` float32 in another size, as `gracile.transforms.separable.resized`."""
    rows = weights(graph, image.size(1), height)
    columns = weights(graph, image.size(2), width)
    return rows @ image @ graph.node("Transpose", columns, perm=[1, 0])


def resized_in_whole_levels(graph: Graph, image: Value, height: Value, width: Value) -> Value:
    """The same for pictures of which an axis shrinks, in whole gray levels as Pillow has them.

    Levels are rounded after each axis. As in Pillow 13, the height shrinks first where it loses more than twice as many
    pixels as the width, else the width.
    """
    rows = _pillows(graph, image.size(1), height)
    columns = graph.node("Transpose", _pillows(graph, image.size(2), width), perm=[0, 2, 1])

    def down(levels: Value) -> Value:
        return _rounded(graph, rows.pick(0) @ levels, rows.pick(1) @ levels)

    def across(levels: Value) -> Value:
        return _rounded(graph, levels @ columns.pick(0), levels @ columns.pick(1))

    lost, lost_across = image.size(1) - height, image.size(2) - width
    rows_first = (lost > 0) & (lost > 2 * lost_across)
    return graph.choose(rows_first, lambda: across(down(image)), lambda: down(across(image)))


def weights(graph: Graph, length: Value, wanted: Value) -> Value:
    """``(wanted, length)`` float32: `gracile.transforms.separable.resizing`."""
    triangles = _triangles(graph, length, wanted).to(np.float32)
    return triangles / triangles.sum(1, keep=True)


def _triangles(graph: Graph, length: Value, wanted: Value) -> Value:
    """The weights before they add up to 1, in whole numbers, which no engine rounds."""
    places = graph.count_up(length).lifted(0) * 2 + 1
    centers = graph.count_up(wanted).lifted(1) * 2 + 1
    distance = abs(places * wanted - centers * length)
    return graph.larger(2 * graph.larger(length, wanted) - distance, 0)


def _pillows(graph: Graph, length: Value, wanted: Value) -> Value:
    """``(2, wanted, length)`` float32: Pillow's whole weights in two parts, whose sums are exact in float32."""
    triangles = _triangles(graph, length, wanted).to(np.float64)
    shares = graph.node("Floor", triangles / triangles.sum(1, keep=True) * _UNIT + 0.5)
    high = graph.node("Floor", shares / 2.0**_HALF)
    return graph.joined([part.lifted(0) for part in (high, shares - high * 2.0**_HALF)]).to(np.float32)


def _rounded(graph: Graph, high: Value, low: Value) -> Value:
    """Whole levels from sums by both parts of the weights."""
    carried = graph.node("Floor", low / 2.0**_HALF)
    return graph.node("Floor", (high + carried + 2.0 ** (_HALF - 1)) / 2.0**_HALF)
