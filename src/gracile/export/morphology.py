"""What ``scipy.ndimage`` does to masks, in a graph: masks are ``(1, 1, height, width)`` float32 of 0 and 1."""

import numpy as np

from gracile.export.graph import Graph, Value


def thinned(graph: Graph, colors: Value, working_size: int) -> tuple[Value, Value]:
    """The brightest channel of every so many-th pixel of ``(channels, height, width)``.

    Returns:
        ``(1, 1, height, width)`` float32, and the number of pixels that one of them stands for.
    """
    longer = graph.larger(colors.size(1), colors.size(2)).to(np.float64)
    step = graph.larger(graph.node("Round", longer / float(working_size)), 1.0).to(np.int64)
    for axis in (1, 2):
        colors = colors.pick(graph.node("Range", step // 2, colors.size(axis), step), axis)
    return colors.to(np.float32).most(0).lifted(0, 1), step


def thickened(graph: Graph, mask: Value, step: Value, colors: Value) -> Value:
    """``(height, width)`` bool of the picture's size from a mask of its thinned copy."""
    for axis in (1, 2):
        last = mask.size(axis + 1) - 1
        mask = mask.pick(graph.smaller(graph.count_up(colors.size(axis)) // step, last), axis + 1)
    return mask.pick(0).pick(0) > 0.5


def highest(graph: Graph, image: Value, rows: int, columns: int) -> Value:
    """The highest value within so many rows and columns; nothing lies outside."""
    above, left = rows // 2, columns // 2
    return graph.node("MaxPool", image, kernel_shape=[rows, columns], pads=[above, left, above, left])


def lowest(graph: Graph, image: Value, rows: int, columns: int) -> Value:
    """The lowest value within so many rows and columns."""
    return -highest(graph, -image, rows, columns)


def dilated(graph: Graph, mask: Value, times: int = 1) -> Value:
    """Grown by neighbors along rows and columns."""
    for _ in range(times):
        mask = graph.larger(highest(graph, mask, 3, 1), highest(graph, mask, 1, 3))
    return mask


def eroded(graph: Graph, mask: Value, times: int = 1) -> Value:
    """Worn off from neighbors along rows and columns; the border is not, so pad with 0 first."""
    return 1.0 - dilated(graph, 1.0 - mask, times)


def framed(graph: Graph, mask: Value, width: int, fill: float = 0.0) -> Value:
    """With so many pixels around it."""
    pads = [0, 0, width, width, 0, 0, width, width]
    return graph.node("Pad", mask, pads, graph.constant(fill, np.float32), mode="constant")


def unframed(graph: Graph, mask: Value, width: int) -> Value:
    """Without so many pixels around it."""
    return graph.node("Slice", mask, [width, width], [-width, -width], [2, 3])


def islands(graph: Graph, mask: Value, diagonally: bool) -> Value:
    """Each island with a number of its own, as float32; 0 outside of them."""
    height, width = mask.size(2), mask.size(3)
    numbers = (graph.count_up(height * width) + 1).to(np.float32).reshape(1, 1, height, width)
    return spread(graph, numbers * mask, mask, diagonally)


def spread(graph: Graph, values: Value, mask: Value, diagonally: bool = False) -> Value:
    """The highest of the values, none below 0, that lie anywhere in each pixel's island.

    In each round they spread through whole runs along rows and along columns at once, so that rounds are few.
    """
    height, width = mask.size(2), mask.size(3)
    rows = _runs(graph, mask.reshape(height, width))
    columns = _runs(graph, graph.node("Transpose", mask.reshape(height, width), perm=[1, 0]))
    columns = graph.node("Transpose", columns.reshape(width, height), perm=[1, 0])
    count = (height * width + 1).reshape(1)

    def round_(values: Value) -> Value:
        flat = values.reshape(-1)
        for runs in (rows.reshape(-1), columns.reshape(-1)):
            # Made anew in each round: OpenVINO scatters into the very array that it is given from outside of a loop.
            nothing = graph.node("Expand", graph.constant([0.0], np.float32), count)
            highest_of = graph.node("ScatterElements", nothing, runs, flat, axis=0, reduction="max")
            flat = highest_of.pick(runs)
        values = flat.reshape(1, 1, height, width)
        return (highest(graph, values, 3, 3) if diagonally else values) * mask

    return graph.settled(values, round_)


def _runs(graph: Graph, mask: Value) -> Value:
    """``(height * width,)`` int64: the number of the run along its row that each pixel lies in; 0 outside."""
    lit = mask.to(np.int64)
    before = graph.node("Pad", lit, [0, 1, 0, -1], graph.constant(0, np.int64), mode="constant")
    begins = (lit * (1 - before)).reshape(-1)
    return graph.node("CumSum", begins, graph.constant(0, np.int64)) * lit.reshape(-1)


def commonest(graph: Graph, labels: Value, counted: Value) -> Value:
    """The number, other than 0, that most of the pixels that are counted have; 0 where none has one."""
    number = labels.size(2) * labels.size(3) + 1
    nothing = graph.node("Expand", graph.constant([0.0], np.float32), number.reshape(1))
    inside = (labels > 0).to(np.float32) * counted
    counts = graph.node(
        "ScatterElements", nothing, labels.to(np.int64).reshape(-1), inside.reshape(-1), axis=0, reduction="add"
    )
    return graph.node("ArgMax", counts, dtype=np.int64, axis=0, keepdims=0).to(np.float32)


def largest(graph: Graph, mask: Value, diagonally: bool = False) -> Value:
    """The largest island alone; nothing where there is none."""
    labels = islands(graph, mask, diagonally)
    return labels.equals(commonest(graph, labels, mask)).to(np.float32) * mask


def filled(graph: Graph, mask: Value) -> Value:
    """With its holes: all that is not reached from outside."""
    outside = 1.0 - framed(graph, mask, 1)
    border = framed(graph, mask * 0.0, 1, 1.0)
    return 1.0 - unframed(graph, (spread(graph, border, outside) > 0).to(np.float32), 1)


def histogram(graph: Graph, bins: Value, counted: Value) -> Value:
    """``(256,)`` float32: how many of ``(n,)`` whole numbers below 256 there are, of those that are counted (1, not 0).

    Of each number both halves of four bits are looked at alone, and their product counts exactly.
    """
    high = graph.node("Floor", bins / 16.0)
    digits = np.arange(16, dtype=np.float32)
    first = high.lifted(0).equals(digits[:, None]).to(np.float32) * counted.lifted(0)
    second = (bins - high * 16.0).lifted(1).equals(digits[None]).to(np.float32)
    return (first @ second).reshape(256)
