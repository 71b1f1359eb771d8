"""`gracile.transforms.field_of_view.find_field_of_view` as a graph."""

from dataclasses import dataclass

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
from gracile.transforms import field_of_view as own

_FEW = 512.0
"""Counts are weighed in multiples of this and in what is left, so that sums of either are exact in float32."""

_REACH = 4
"""Pixels to each side that a Gaussian of deviation 1 takes in, as ``scipy.ndimage`` cuts it off."""


@dataclass(frozen=True)
class _Fitted:
    """A circle in working pixels.

    Args:
        center: ``(2,)`` float32, row and column.
        radius: ``()`` float32.
        there: ``()`` bool, whether three points of a border lie on one at all.
    """

    center: Value
    radius: Value
    there: Value


def field_of_view(graph: Graph, colors: Value) -> Value:
    """``(height, width)`` bool, the field of view of ``(channels, height, width)`` uint8; all of it where none is lit.

    Distances are float32, where Gracile takes float64: a circle that lies on the edge of two half pixels may become
    the other one.
    """
    thin, step = thinned(graph, colors, own.WORKING_SIZE)
    small = _blurred(graph, thin.pick(0).pick(0))
    opened = _lit(graph, small.lifted(0, 1))
    lit = opened.pick(0).pick(0)

    def looked() -> Value:
        fitted = _fitted(graph, small, lit)
        believed = fitted.there & (_sharp(graph, small, fitted) >= own.FEWEST) & (_stray(lit, fitted) <= own.STRAY)
        return graph.choose(
            believed,
            lambda: _shown(graph, small, lit, fitted, step, colors),
            lambda: thickened(graph, filled(graph, opened), step, colors),
        )

    return graph.choose(lit.most() > 0.5, looked, lambda: colors.pick(0) >= 0)


def _lit(graph: Graph, small: Value) -> Value:
    """``(1, 1, height, width)`` float32: the largest island that is brighter than the surround, opened."""
    low, span = small.least(), small.most() - small.least()
    brightest = -quantile(graph, -small.pick(0), small.pick(0).pick(0) > -1.0, 0.05).reshape(1).pick(0)
    threshold = graph.smaller(0.5 * _otsu(graph, small.reshape(-1), low, span), 0.25 * brightest)
    threshold = graph.larger(graph.where(span > 0, threshold, -1.0), 6.0)
    island = framed(graph, largest(graph, (small > threshold).to(np.float32), diagonally=True), 2)
    return unframed(graph, dilated(graph, eroded(graph, island, 2), 2), 2)


def _shown(graph: Graph, small: Value, lit: Value, fitted: _Fitted, step: Value, colors: Value) -> Value:
    """``(height, width)`` bool: the disc, less the directions in which the picture ends before it."""
    cut = _cut(graph, small, lit, fitted)
    share = cut.sum() / float(own.AROUND)
    cut = cut * (share > own.CUT).to(np.float32)
    kept = graph.larger(lit, 1.0 - cut.pick(_sectors(graph, lit, fitted.center).reshape(-1)).reshape(*_size(lit)))
    return _disc(graph, fitted, step, colors) & thickened(graph, kept.lifted(0, 1), step, colors)


def _size(image: Value) -> tuple[Value, Value]:
    return image.size(0), image.size(1)


def _outermost(graph: Graph, lit: Value, center: Value, number: int) -> Value:
    """``(number,)`` float32 steps from a center ``(2,)`` int64 to the last lit pixel of each ray; -1 for none."""
    height, width = _size(lit)
    steps = graph.count_up(height + width).to(np.float32)
    places = graph.node("Round", steps * own.directions(number)[:, :, None]).to(np.int64) + center.reshape(2, 1, 1)
    values, inside = _at(graph, lit, places)
    return graph.where(inside & (values > 0.5), steps, -1.0).most(1)


def _at(graph: Graph, image: Value, places: Value) -> tuple[Value, Value]:
    """Values of an image at ``(2, ...)`` int64 places, of the nearest pixel outside; and whether they are inside."""
    height, width = _size(image)
    rows, columns = places.pick(0), places.pick(1)
    near = (
        graph.smaller(graph.larger(place, 0), length - 1)
        for place, length in zip((rows, columns), (height, width), strict=True)
    )
    row, column = near
    inside = row.equals(rows) & column.equals(columns)
    return image.reshape(-1).pick(row * width + column), inside


def _contrast(graph: Graph, small: Value, center: Value, distances: Value, number: int) -> tuple[Value, Value]:
    """``(number,)`` contrast across a distance on each ray, and whether both sides lie inside the frame."""
    sides = []
    for across in (-own.ACROSS, own.ACROSS):
        places = graph.node("Round", (distances + float(across)) * own.directions(number) + center.reshape(2, 1))
        sides.append(_at(graph, small, places.to(np.int64)))
    (before, one), (behind, other) = sides
    return (before - behind) / (before + behind + 2 * own.NOISE), one & other


def _fitted(graph: Graph, small: Value, lit: Value) -> _Fitted:
    """The circle of the border of what is lit."""
    center = _middle(graph, lit)
    border = _outermost(graph, lit, center, own.RAYS)
    contrast, inside = _contrast(graph, small, center.to(np.float32), border + 0.5, own.RAYS)
    sure = graph.node("Clip", contrast * (2 / own.SHARP) - 1.0, 0.0, 1.0)
    sure = graph.where(inside & (border > 0), sure, 0.0)
    points = (border + 0.5) * own.directions(own.RAYS)
    rows, columns = points.pick(0), points.pick(1)
    row, column, radius, votes = _agreed(graph, rows, columns, sure, graph.larger(*_size(lit)))
    for _ in range(own.ROUNDS):
        down, right = rows - row, columns - column
        distances = graph.larger(graph.node("Sqrt", down * down + right * right), 1e-3)
        beyond = distances - radius
        weights = graph.larger(1.0 - (beyond / own.FAR) * (beyond / own.FAR), 0.0)
        weights = sure * weights * weights
        change = _solved([down / distances, right / distances, distances / distances], beyond, weights)
        row, column, radius = row + change[0], column + change[1], radius + change[2]
    place = graph.joined([row.reshape(1), column.reshape(1)]) + center.to(np.float32)
    return _Fitted(place, radius, votes > 0)


def _middle(graph: Graph, lit: Value) -> Value:
    """``(2,)`` int64, the middle of what is lit, rounded down."""
    counts = [lit.to(np.int64).sum(axis) for axis in (1, 0)]
    sums = [(count * graph.count_up(length)).sum() // count.sum() for count, length in
            zip(counts, _size(lit), strict=True)]  # fmt: skip
    return graph.joined([total.reshape(1) for total in sums])


def _agreed(graph: Graph, rows: Value, columns: Value, sure: Value, longer: Value) -> tuple[Value, Value, Value, Value]:
    """Row, column and radius of the circle that most points lie on, and its votes."""
    rays = own.threes()
    row, column = rows.pick(rays[0]), columns.pick(rays[0])
    (a, b), (c, d) = [(rows.pick(rays[n]) - row, columns.pick(rays[n]) - column) for n in (1, 2)]
    twice = 2.0 * (a * d - b * c)
    bent = abs(twice) > 1.0
    safe = graph.where(bent, twice, 1.0)
    first, second = a * a + b * b, c * c + d * d
    down, right = (d * first - b * second) / safe, (a * second - c * first) / safe
    radii = graph.node("Sqrt", down * down + right * right)
    down, right = down + row, right + column
    far = [points.lifted(0) - places.lifted(1) for points, places in ((rows, down), (columns, right))]
    beyond = graph.node("Sqrt", far[0] * far[0] + far[1] * far[1]) - radii.lifted(1)
    certain = graph.smaller(*(sure.pick(rays[n]) for n in range(3))) > 0
    size = longer.to(np.float32)
    usable = bent & certain & (radii > size * own.SMALLEST) & (radii < size * own.LARGEST)
    votes = (sure * graph.larger(1.0 - abs(beyond) / own.FAR, 0.0)).sum(1) * usable.to(np.float32)
    best = graph.node("ArgMax", votes, dtype=np.int64, axis=0, keepdims=0)
    return down.pick(best), right.pick(best), radii.pick(best), votes.pick(best)


def _solved(slopes: list[Value], values: Value, weights: Value) -> list[Value]:
    """The weighted least-squares solution of three unknowns, by Cramer's rule."""
    aa, bb, cc = ((weights * one * one).sum() + 1e-6 for one in slopes)
    ab, ac, bc = ((weights * slopes[m] * slopes[n]).sum() for m, n in ((0, 1), (0, 2), (1, 2)))
    inverse = [
        [bb * cc - bc * bc, ac * bc - ab * cc, ab * bc - ac * bb],
        [ac * bc - ab * cc, aa * cc - ac * ac, ab * ac - aa * bc],
        [ab * bc - ac * bb, ab * ac - aa * bc, aa * bb - ab * ab],
    ]
    determinant = aa * inverse[0][0] + ab * inverse[0][1] + ac * inverse[0][2]
    right = [(weights * one * values).sum() for one in slopes]
    return [(row[0] * right[0] + row[1] * right[1] + row[2] * right[2]) / determinant for row in inverse]


def _sharp(graph: Graph, small: Value, fitted: _Fitted) -> Value:
    """Part of a whole turn over which a sharp border lies on a circle."""
    around = fitted.radius + np.zeros(own.AROUND, dtype=np.float32)
    contrast, inside = _contrast(graph, small, fitted.center, around, own.AROUND)
    return (inside & (contrast > own.SHARP)).to(np.float32).sum() / float(own.AROUND)


def _stray(lit: Value, fitted: _Fitted) -> Value:
    """Part of what is lit that lies outside of a circle."""
    rows, columns = _from_center(lit, fitted.center)
    reach = fitted.radius + float(own.ACROSS)
    beyond = (rows * rows + columns * columns > reach * reach).to(np.float32)
    return (lit * beyond).sum() / lit.sum()


def _from_center(lit: Value, center: Value) -> tuple[Value, Value]:
    """``(height, 1)`` and ``(1, width)`` distances of rows and columns from a center."""
    graph = lit.graph
    rows, columns = (
        graph.count_up(length).to(np.float32) - center.pick(axis) for axis, length in enumerate(_size(lit))
    )
    return rows.lifted(1), columns.lifted(0)


def _cut(graph: Graph, small: Value, lit: Value, fitted: _Fitted) -> Value:
    """``(AROUND,)`` float32, 1 where the picture ends in a sharp border before the circle."""
    border = _outermost(graph, lit, graph.node("Round", fitted.center).to(np.int64), own.AROUND)
    contrast, inside = _contrast(graph, small, fitted.center, border + 0.5, own.AROUND)
    before = border < fitted.radius - float(own.ACROSS + 1)
    return (inside & (border > 0) & before & (contrast > own.SHARP)).to(np.float32)


def _sectors(graph: Graph, lit: Value, center: Value) -> Value:
    """``(height, width)`` int64, the number of the direction that each pixel lies in, seen from a center."""
    rows, columns = _from_center(lit, center)
    safe = graph.where(abs(columns) > 1e-6, columns, 1e-6)
    half = ((rows >= 0).to(np.float32) * 2.0 - 1.0) * float(np.pi)
    angles = graph.node("Atan", rows / safe) + graph.where(safe < 0, half, 0.0)
    turns = graph.node("Round", angles * (own.AROUND / (2 * np.pi))).to(np.int64)
    return graph.where(turns < 0, turns + own.AROUND, turns)


def _disc(graph: Graph, fitted: _Fitted, step: Value, colors: Value) -> Value:
    """``(height, width)`` bool, the disc of a circle at the picture's size, in whole half pixels."""
    scale = step.to(np.float32)
    middle = (step // 2).to(np.float32)
    places = graph.node("Floor", 2.0 * (fitted.center * scale + middle) + own.BELOW_TIE).to(np.int64)
    radius = graph.node("Floor", 2.0 * scale * fitted.radius + own.BELOW_TIE).to(np.int64)
    deep, away = (abs(2 * graph.count_up(colors.size(axis + 1)) - places.pick(axis)) for axis in (0, 1))
    rest = radius * radius - deep * deep
    wide = graph.node("Sqrt", graph.larger(rest, 0).to(np.float32)).to(np.int64)
    wide = wide + ((wide + 1) * (wide + 1) <= rest).to(np.int64)
    wide = wide - (wide * wide > rest).to(np.int64)  # float32 knows the root to one
    return away.lifted(0) <= graph.where(rest >= 0, wide, -1).lifted(1)


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
    """The threshold of ``(n,)`` values, `gracile.transforms.field_of_view._otsu`."""
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
