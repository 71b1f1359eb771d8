"""`gracile.transforms.fundus.find_field_of_view` as a graph."""

import numpy as np

from gracile.export.doubled import Doubled
from gracile.export.graph import Graph, Value
from gracile.export.morphology import (
    dilated,
    eroded,
    filled,
    framed,
    histogram,
    largest,
    thickened,
    thinned,
    unframed,
)
from gracile.export.standardizing import quantile
from gracile.transforms.fundus import WORKING_SIZE

_FEW = 512.0
"""Counts are weighed in multiples of this and in what is left, so that sums of either are exact in float32."""

_REACH = 4
"""Pixels to each side that a Gaussian of deviation 1 takes in, as ``scipy.ndimage`` cuts it off."""


def field_of_view(graph: Graph, colors: Value) -> Value:
    """``(height, width)`` bool, the lit disc of ``(channels, height, width)`` uint8; all of it where there is none."""
    thin, step = thinned(graph, colors, WORKING_SIZE)
    small = _blurred(graph, thin.pick(0).pick(0)).lifted(0, 1)
    low, span = small.least(), small.most() - small.least()
    brightest = -quantile(graph, -small.pick(0), small.pick(0).pick(0) > -1.0, 0.05).reshape(1).pick(0)
    threshold = graph.smaller(0.5 * _otsu(graph, small.reshape(-1), low, span), 0.25 * brightest)
    threshold = graph.larger(graph.where(span > 0, threshold, -1.0), 6.0)
    island = framed(graph, largest(graph, (small > threshold).to(np.float32), diagonally=True), 2)
    opened = unframed(graph, dilated(graph, eroded(graph, island, 2), 2), 2)
    lit = filled(graph, opened)
    return thickened(graph, graph.larger(lit, 1.0 - lit.most()), step, colors)


def _blurred(graph: Graph, image: Value) -> Value:
    """``(height, width)`` by a Gaussian of deviation 1; borders are mirrored."""
    rows, columns = (_gaussian(graph, image.size(axis)) for axis in (0, 1))
    return rows @ image @ columns  # symmetric


def _gaussian(graph: Graph, length: Value) -> Value:
    """``(length, length)`` weights of each pixel in each, those that are mirrored at both ends as well."""
    weights = np.exp(-0.5 * np.arange(_REACH + 2.0) ** 2)
    weights[-1] = 0.0
    table = graph.constant(weights / (2 * weights.sum() - weights[0]), np.float32)
    here, there = graph.count_up(length).lifted(1), graph.count_up(length).lifted(0)
    ways = (abs(here - there), here + there + 1, 2 * length - 1 - here - there)
    one, other, third = (table.pick(graph.smaller(way, _REACH + 1)) for way in ways)
    return one + other + third


def _otsu(graph: Graph, values: Value, low: Value, span: Value) -> Value:
    """The threshold of ``(n,)`` values, `gracile.transforms.fundus._otsu`."""
    places = graph.node("Floor", (values - low) / graph.larger(span, 1e-6) * 256.0)
    bins = graph.smaller(places, 255.0)
    counts = histogram(graph, bins, bins * 0.0 + 1.0)
    best = _parting(graph, counts)
    return low + span / 256.0 * (best.to(np.float32) + 0.5)


def _parting(graph: Graph, counts: Value) -> Value:
    """``()`` int64: behind which of ``(256,)`` bins both groups lie farthest apart.

    Neighbors differ by less than float32 tells, and a bin more or less would move the whole picture by a pixel.
    """
    places = np.arange(256, dtype=np.float32)
    many = graph.node("Floor", counts / _FEW)
    parts = (counts, many * places, (counts - many * _FEW) * places)
    below, coarse, fine = (graph.node("CumSum", part, graph.constant(0, np.int64)) for part in parts)
    weighed = Doubled.sum_of(coarse * _FEW, fine)  # whole numbers, all of them exact
    number, below = below.part(255, 256, 0), below.part(0, 255, 0)
    apart = weighed.part(0, 255) * Doubled.of(number) + -(weighed.part(255, 256) * Doubled.of(below))
    score = apart * apart / Doubled.product_of(graph.larger(below, 1.0), graph.larger(number - below, 1.0))
    nearly = graph.where(score.high >= score.high.most(), score.low, -np.inf)
    return graph.node("ArgMax", nearly, dtype=np.int64, axis=0, keepdims=0)
