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
    """The same for pictures that shrink, in whole gray levels as Pillow has them; columns first, as it does."""
    columns = graph.node("Transpose", _pillows(graph, image.size(2), width), perm=[0, 2, 1])
    narrow = _rounded(graph, image @ columns.pick(0), image @ columns.pick(1))
    rows = _pillows(graph, image.size(1), height)
    return _rounded(graph, rows.pick(0) @ narrow, rows.pick(1) @ narrow)


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
