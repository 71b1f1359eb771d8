"""Class probabilities of many windows of a volume's slices: exact, window by window in batches, or dense, shared."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
from scipy import ndimage

from gracile.runners.base import Runner
from gracile.stages.views import softmax
from gracile.stages.window_extremes import Extremes, gathered_extremes
from gracile.transforms.column import Box

BATCH = 16
"""Windows of one call in exact mode: as many as the caches of a processor's core hold."""

LARGEST_MAPS = 16_000_000
"""Values of the extremes' maps that are held at once."""

TILE, ROUND = 64, 8
"""Windows along the sides of a dense tile, at most: what is computed for it fits the processor's caches; and a number
of which they are a multiple, as engines make themselves ready anew for each size."""


class ExactWindows:
    """Each window by itself, as the network alone answers it to 1e-5.

    What the first layer makes of a slice is computed once; from there on windows go through the network in batches,
    one in each thread.

    Args:
        run: Answers ``(BATCH, 2, side, side)`` extremes with ``(BATCH, classes)`` logits.
        first: The first layer.
        size: Samples of a window's side.
        classes: Of the answer, the background among them.
    """

    def __init__(self, run: Runner, first: Extremes, size: int, classes: int) -> None:
        self.run = run
        self.first = first
        self.size = size
        self.classes = classes
        self.side = side_of_extremes(size, first.padded)
        self._threads = ThreadPoolExecutor(run.computed.threads)

    def grid(self, planes: np.ndarray, box: Box, step: int) -> np.ndarray:
        """Probabilities of the windows around every ``step``-th place of a box.

        Args:
            planes: ``(slices, height, width)`` from 0 to 1; outside of them windows see 0.
            box: Of the windows' middles.
            step: Places from middle to middle.

        Returns:
            ``(classes, slices, rows, columns)`` float32.
        """
        axes = [np.arange(side.start, side.stop, step) for side in box]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        found = self.at(planes, places.reshape(-1, 3))
        return np.moveaxis(found.reshape(*places.shape[:3], self.classes), -1, 0)

    def at(self, planes: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Probabilities ``(n, classes)`` float32 of the windows around ``(n, 3)`` places: slice, row, column."""
        logits = np.empty((len(places), self.classes), dtype=np.float32)
        for maps, local, members in self._maps(planes, places):
            parts = [slice(start, start + BATCH) for start in range(0, len(local), BATCH)]
            found = self._threads.map(self._answer, [maps] * len(parts), [local[part] for part in parts])
            for part, own in zip(parts, found, strict=True):
                logits[members[part]] = own
        return softmax(logits, axis=1)

    def _maps(self, planes: np.ndarray, places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Maps of a few slices at a time, the ``(n, 3)`` places in them, and which of all places these are."""
        if not len(places):
            return
        (top, left), (bottom, right) = places[:, 1:].min(axis=0), places[:, 1:].max(axis=0)
        reach = self.size // 2 + int(self.first.padded)
        rows, columns = slice(top - reach, bottom + reach + 1), slice(left - reach, right + reach + 1)
        wanted, numbers = np.unique(places[:, 0], return_inverse=True)
        at_once = max(1, LARGEST_MAPS // (8 * (rows.stop - rows.start) * (columns.stop - columns.start)))
        for start in range(0, len(wanted), at_once):
            maps = self.first.maps(cut_padded(planes, wanted[start : start + at_once], rows, columns))
            members = np.flatnonzero((numbers >= start) & (numbers < start + at_once))
            local = places[members] - (0, top, left)
            local[:, 0] = numbers[members] - start
            yield maps, local, members

    def _answer(self, maps: np.ndarray, places: np.ndarray) -> np.ndarray:
        extremes = np.zeros((BATCH, 2, self.side, self.side), dtype=np.float32)
        extremes[: len(places)] = gathered_extremes(maps, places, self.side)
        return self.run(extremes)[: len(places)]


class DenseWindows:
    """Windows of a network without padding: what overlapping ones have in common is computed once.

    Args:
        runs: By the step from window to window, what answers ``(1, 1, height, width)`` with the
            ``(1, classes, rows, columns)`` logits of its windows. 1 is among them.
        size: Samples of a window's side.
        classes: Of the answer, the background among them.
    """

    def __init__(self, runs: Mapping[int, Runner], size: int, classes: int) -> None:
        self.runs = dict(runs)
        self.size = size
        self.classes = classes
        self._threads = ThreadPoolExecutor(self.runs[1].computed.threads)

    def grid(self, planes: np.ndarray, box: Box, step: int) -> np.ndarray:
        """As `ExactWindows.grid`; ``step`` is one of those that it has a runner for."""
        slices, rows, columns = (np.arange(side.start, side.stop, step) for side in box)
        found = np.empty((self.classes, len(slices), len(rows), len(columns)), dtype=np.float32)

        def fill(corner: tuple[int, int, int]) -> None:
            number, y, x = corner
            part = found[:, number, y : y + TILE, x : x + TILE]
            part[:] = self._tile(planes, (slices[number], rows[y], columns[x]), part.shape[1:], step)

        corners = product(range(len(slices)), range(0, len(rows), TILE), range(0, len(columns), TILE))
        for _ in self._threads.map(fill, corners):
            pass
        return found

    def _tile(
        self, planes: np.ndarray, first: tuple[int, int, int], shape: tuple[int, ...], step: int
    ) -> np.ndarray:  # fmt: skip
        """Probabilities ``(classes, *shape)`` of the windows of a slice from a first one on."""
        number, *corner = first
        sides = []
        for place, count in zip(corner, shape, strict=True):
            rounded = count + -count % ROUND
            begin = int(place) - self.size // 2
            sides.append(slice(begin, begin + (rounded - 1) * step + self.size))
        tile = cut_padded(planes, np.array([number]), sides[0], sides[1])
        return softmax(self.runs[step](tile[None])[0][:, : shape[0], : shape[1]])

    def at(self, planes: np.ndarray, places: np.ndarray) -> np.ndarray:
        """As `ExactWindows.at`: places that touch are computed as one box."""
        answers = np.empty((len(places), self.classes), dtype=np.float32)
        if not len(places):
            return answers
        start = places.min(axis=0)
        numbers = np.full(places.max(axis=0) - start + 1, -1)
        numbers[tuple((places - start).T)] = np.arange(len(places))
        labels, _ = ndimage.label(numbers >= 0, structure=np.ones((3, 3, 3)))
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            own = labels[box] == label
            whole = tuple(slice(int(s.start + a), int(s.stop + a)) for s, a in zip(box, start, strict=True))
            answers[numbers[box][own]] = self.grid(planes, (whole[0], whole[1], whole[2]), 1)[:, own].T
        return answers


def side_of_extremes(size: int, padded: bool) -> int:
    """Side of the extremes of a window of ``size`` samples: half of what the first 3x3 leaves of it."""
    return (size if padded else size - 2) // 2


def cut_padded(planes: np.ndarray, slices: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Rows and columns of some slices, contiguous float32; what lies outside of them is 0."""
    height, width = planes.shape[1:]
    part = np.zeros((len(slices), rows.stop - rows.start, columns.stop - columns.start), dtype=np.float32)
    top, bottom = max(0, rows.start), min(height, rows.stop)
    left, right = max(0, columns.start), min(width, columns.stop)
    if top < bottom and left < right:
        inside = slice(top - rows.start, bottom - rows.start), slice(left - columns.start, right - columns.start)
        part[:, inside[0], inside[1]] = planes[slices, top:bottom, left:right]
    return part
