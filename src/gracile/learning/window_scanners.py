"""Class probabilities of many windows of a volume's slices: exact, window by window in batches, or dense, shared."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from gracile.learning.window_engines import BATCH, EngineName, build_engine
from gracile.networks.smicnet import SMICNet
from gracile.networks.smicnet_dense import dense_logits
from gracile.networks.smicnet_folded import FoldedSMICNet
from gracile.transforms.column import Box

LARGEST_MAPS = 16_000_000
"""Values of the extremes' maps that are held at once."""

TILE = 64
"""Windows along the sides of a dense tile, at most: what is computed for it fits the processor's caches."""


class ExactWindows:
    """Each window by itself, as the network alone answers it to 1e-5.

    What the first layer makes of a slice is computed once; from there on windows go through the engine in batches,
    which are handed out to as many threads as PyTorch may use.

    Args:
        network: A trained network, padded or not.
        size: Samples of a window's side.
        engine: What computes the batches.
    """

    def __init__(self, network: SMICNet, size: int, engine: EngineName = "auto") -> None:
        self.network = FoldedSMICNet(network, size)
        self.classes = network.classes.out_features
        self.device = network.classes.weight.device
        self.engine = build_engine(self.network, engine, self.device)

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
        answers = np.empty((len(places), self.classes), dtype=np.float32)
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            for maps, local, members in self._maps(planes, places):
                parts = [slice(start, start + BATCH) for start in range(0, len(local), BATCH)]
                found = threads.map(self._answer, [maps] * len(parts), [local[part] for part in parts])
                for part, probabilities in zip(parts, found, strict=True):
                    answers[members[part]] = probabilities
        return answers

    def _maps(self, planes: np.ndarray, places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Maps of a few slices at a time, the ``(n, 3)`` places in them, and which of all places these are."""
        if not len(places):
            return
        (top, left), (bottom, right) = places[:, 1:].min(axis=0), places[:, 1:].max(axis=0)
        reach = self.network.size // 2 + int(self.network.padded)
        rows, columns = slice(top - reach, bottom + reach + 1), slice(left - reach, right + reach + 1)
        wanted, numbers = np.unique(places[:, 0], return_inverse=True)
        at_once = max(1, LARGEST_MAPS // (8 * (rows.stop - rows.start) * (columns.stop - columns.start)))
        for start in range(0, len(wanted), at_once):
            part = cut_padded(planes, wanted[start : start + at_once], rows, columns)
            with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
                maps = self.network.extreme_maps(torch.from_numpy(part).to(self.device)).cpu().numpy()
            members = np.flatnonzero((numbers >= start) & (numbers < start + at_once))
            local = places[members] - (0, top, left)
            local[:, 0] = numbers[members] - start
            yield maps, local, members

    def _answer(self, maps: np.ndarray, places: np.ndarray) -> np.ndarray:
        side = self.network.side
        extremes = np.zeros((BATCH, 2, side, side), dtype=np.float32)
        extremes[: len(places)] = gathered_extremes(maps, places, side)
        return _softmax(self.engine(extremes)[: len(places)])


class DenseWindows:
    """Windows of a network without padding: what overlapping ones have in common is computed once.

    Args:
        network: A trained network without padding.
        size: Samples of a window's side.
    """

    def __init__(self, network: SMICNet, size: int) -> None:
        self.network = FoldedSMICNet(network, size)
        self.classes = network.classes.out_features
        self.device = network.classes.weight.device

    def grid(self, planes: np.ndarray, box: Box, step: int) -> np.ndarray:
        """As `ExactWindows.grid`; ``step`` is a power of two."""
        slices, rows, columns = (np.arange(side.start, side.stop, step) for side in box)
        found = np.empty((self.classes, len(slices), len(rows), len(columns)), dtype=np.float32)
        half = self.network.size // 2
        for number, plane in enumerate(slices):
            for y in range(0, len(rows), TILE):
                for x in range(0, len(columns), TILE):
                    places = rows[y : y + TILE], columns[x : x + TILE]
                    sides = [slice(int(side[0]) - half, int(side[-1]) + half + 1) for side in places]
                    tile = torch.from_numpy(cut_padded(planes, np.array([plane]), *sides)).to(self.device)
                    with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
                        answer = dense_logits(self.network, tile, step)[0].softmax(dim=-1).permute(2, 0, 1)
                    found[:, number, y : y + TILE, x : x + TILE] = answer.cpu().numpy()
        return found

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


def gathered_extremes(maps: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """The extremes of single windows from the maps of slices.

    Args:
        maps: Of `gracile.networks.smicnet_folded.FoldedSMICNet.extreme_maps`, of slices that reach so far beyond the
            places that a window's first extremes lie at its place.
        places: ``(n, 3)`` slice, row, column.
        side: Of a window's extremes.

    Returns:
        ``(n, 2, side, side)`` float32.
    """
    slices, rows, columns = places.T
    long = 2 * side - 1
    inner = sliding_window_view(maps[0], (long, long), axis=(2, 3))[..., ::2, ::2]
    found = inner[slices, :, rows, columns]
    if len(maps) > 1:  # a padded window's first row and column see zeros outside of it
        found[:, :, 0, :] = sliding_window_view(maps[1], long, axis=3)[..., ::2][slices, :, rows, columns]
        found[:, :, :, 0] = sliding_window_view(maps[2], long, axis=2)[..., ::2][slices, :, rows, columns]
        found[:, :, 0, 0] = maps[3][slices, :, rows, columns]
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
