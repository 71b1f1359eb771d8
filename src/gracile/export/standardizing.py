"""Intensities brought to one scale, as `gracile.transforms.prepare` does it, in a graph."""

from functools import partial

import numpy as np

from gracile.export.graph import Graph, Value
from gracile.recipe import ChannelIntensity, PrepareSpec, TrainingSetSpec, WindowSpec
from gracile.transforms.standardizing import MIDDLE


def standardized(graph: Graph, image: Value, inside: Value, spec: PrepareSpec, channels: int) -> Value:
    """``(channels, height, width)`` float32 by the pixels inside the region ``(height, width)`` bool; 0 outside it."""
    way = partial(_standardized, graph, inside=inside)
    if not isinstance(spec.intensity, list):
        return way(image, how=spec.intensity)
    each = [way(image.part(n, n + 1, 0), how=spec.intensity_of(n)) for n in range(channels)]
    return graph.joined(each)


def _standardized(graph: Graph, image: Value, inside: Value, how: ChannelIntensity) -> Value:
    counts = inside.to(np.float32)
    if isinstance(how, WindowSpec):
        cut = graph.node("Clip", image, how.low, how.high)
        return (cut - how.low) / (how.high - how.low) * counts
    if isinstance(how, TrainingSetSpec):
        return (graph.node("Clip", image, how.low, how.high) - how.mean) / how.deviation * counts
    if how == "zscore":
        number = counts.sum()
        low = _added_up(image * counts) / number
        spread = (image - low) * counts
        span = graph.node("Sqrt", _added_up(spread * spread) / number)
    elif how == "percentile":
        low, high = (quantile(graph, image, inside, share) for share in (0.01, 0.99))
        span = high - low
    elif how == "median-shift":
        shifted = image + (MIDDLE - quantile(graph, image, inside, 0.5))
        image = graph.node("Clip", shifted, 0.0, 255.0)
        low, span = graph.constant(MIDDLE, np.float32), graph.constant(255.0, np.float32)
    else:
        low, span = graph.constant(0.0, np.float32), graph.constant(255.0, np.float32)
    return (image - low) / graph.larger(span, 1e-3) * counts


def _added_up(image: Value) -> Value:
    """``(channels, 1, 1)`` sums; row by row first, as float32 loses digits in a sum of hundreds of thousands."""
    return image.sum(2, keep=True).sum(1, keep=True)


def quantile(graph: Graph, image: Value, inside: Value, share: float) -> Value:
    """``(channels, 1, 1)`` value below which a share of each channel's pixels lies, linearly between two of them."""
    beyond = graph.where(inside, image, np.inf)
    flat = beyond.reshape(image.size(0), -1)
    place = (inside.to(np.float64).sum() - 1.0) * share
    first = graph.node("Floor", place)
    count = graph.smaller(first.to(np.int64) + 2, flat.size(1)).reshape(1)
    ordered, _ = graph.nodes("TopK", flat, count, dtypes=[None, np.int64], axis=1, largest=0, sorted=1)
    last = graph.smaller(first.to(np.int64) + 1, inside.to(np.float32).sum().to(np.int64) - 1)
    one, other = ordered.pick(first.to(np.int64), 1), ordered.pick(last, 1)
    found = one + (other - one) * (place - first).to(np.float32)
    return found.reshape(-1, 1, 1)
