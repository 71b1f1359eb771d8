"""A network's answers put together: of overlapping tiles, and of the same image mirrored and turned."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from gracile.transforms.turning import turned

Answer = Callable[[np.ndarray], np.ndarray]
"""From ``(channels, *spatial)`` to ``(classes, *spatial)``."""

Answered = Callable[[np.ndarray], None]
"""Told ``(classes, *spatial)`` probabilities."""

SHARPNESS = 0.125
"""Deviation of a tile's weights, as a share of its side."""

LEAST = 1e-3
"""Smallest weight of a tile's sample."""


def softmax(logits: np.ndarray, axis: int = 0) -> np.ndarray:
    """Probabilities that add up to 1 along an axis, float32."""
    raised = logits - logits.max(axis=axis, keepdims=True)
    np.exp(raised, out=raised)
    raised /= raised.sum(axis=axis, keepdims=True)
    return raised


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of a logit each, float32."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def overlapping(logits: np.ndarray, axis: int = 0) -> np.ndarray:
    """Probabilities of regions, each by itself, behind that of what is in none of them: one minus the largest.

    Args:
        logits: Of the regions along an axis; the answer has one map more along it.
        axis: Which one.
    """
    regions = sigmoid(logits)
    return np.concatenate([1.0 - regions.max(axis=axis, keepdims=True), regions], axis=axis)


def tiled(
    run: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    tile: Sequence[int],
    overlap: float,
    at_once: int = 1,
) -> np.ndarray:
    """A network's answers to overlapping tiles of an image, averaged with Gaussian weights.

    An image that is smaller than a tile is padded with zeros, alike on both sides.

    Args:
        run: From ``(batch, channels, *tile)`` to ``(batch, maps, *answered)``, of a tile's size or a whole part of it.
        image: ``(channels, *spatial)`` float32.
        tile: Samples of a tile along each axis.
        overlap: Share by which neighboring tiles overlap.
        at_once: Tiles of a batch.

    Returns:
        ``(maps, *spatial)`` float32; of a network that answers every second sample, half as many.
    """
    sizes = image.shape[1:]
    wider = [max(0, side - size) for side, size in zip(tile, sizes, strict=True)]
    padded = np.pad(image, [(0, 0), *((missing // 2, missing - missing // 2) for missing in wider)])
    starts = list(product(*(_starts(n, side, overlap) for n, side in zip(padded.shape[1:], tile, strict=True))))
    weights: np.ndarray | None = None
    for first in range(0, len(starts), at_once):
        some = starts[first : first + at_once]
        answers = run(np.stack([padded[(slice(None), *_box(start, tile))] for start in some]))
        if weights is None:
            answered = answers.shape[2:]
            steps = [side // own for side, own in zip(tile, answered, strict=True)]
            weights = tile_weights(answered)
            total = np.zeros(
                (answers.shape[1], *(n // s for n, s in zip(padded.shape[1:], steps, strict=True))), dtype=np.float32
            )
            counted = np.zeros(total.shape[1:], dtype=np.float32)
        for start, one in zip(some, answers, strict=True):
            box = _box([at // step for at, step in zip(start, steps, strict=True)], answered)
            total[(slice(None), *box)] += weights * one
            counted[box] += weights
    total /= counted
    before = [missing // 2 // step for missing, step in zip(wider, steps, strict=True)]
    return total[(slice(None), *_box(before, [-(-n // s) for n, s in zip(sizes, steps, strict=True)]))]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin along an axis; the last one ends where the image does."""
    step = side if side == length else max(1, int(side * (1.0 - overlap)))
    count = -(-(length - side) // step) + 1
    return [min(number * step, length - side) for number in range(count)]


def _box(start: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(at, at + size) for at, size in zip(start, sizes, strict=True))


def tile_weights(sizes: Sequence[int]) -> np.ndarray:
    """A Gaussian about the middle of a tile, 1 there."""
    weights = np.ones(())
    for size in sizes:
        off = (np.arange(size) - (size - 1) / 2) / (SHARPNESS * size)
        weights = weights[..., None] * np.exp(-0.5 * off**2)
    return np.maximum(weights, max(float(weights.min()), LEAST)).astype(np.float32)


def in_views(
    answer: Answer,
    image: np.ndarray,
    mirrorings: Sequence[tuple[int, ...]] = ((),),
    turns: Sequence[float] = (),
    opposites: Sequence[int] = (),
    left_right: int | None = None,
    each: Answered | None = None,
) -> np.ndarray:
    """The mean of the answers to an image and to its mirrored and turned copies, each brought back.

    Args:
        answer: From ``(channels, *spatial)`` to ``(classes, *spatial)`` probabilities.
        image: ``(channels, *spatial)`` float32.
        mirrorings: The spatial axes, counted from 0, along which each copy is mirrored.
        turns: Degrees by which a volume's further copies are turned about its third axis.
        opposites: Map that each map is in a mirror image, as opposed to a turn; empty where none changes.
        left_right: Of a volume, the axis along which a mirrored copy has its left on the right. None: a picture's does
            whichever axis it is mirrored along, as it may be turned, but not when it is mirrored along both.
        each: Told the answer to each copy, brought back; turned copies are told as one with their mirrored ones.
    """

    def changes_sides(mirroring: tuple[int, ...]) -> bool:
        return len(mirroring) % 2 == 1 if left_right is None else left_right in mirroring

    def mirrored(image: np.ndarray, told: Answered | None = None) -> np.ndarray:
        answers = []
        for mirroring in mirrorings:
            axes = tuple(axis + 1 for axis in mirroring)
            one = np.flip(answer(np.ascontiguousarray(np.flip(image, axes))), axes)
            answers.append(one[list(opposites)] if opposites and changes_sides(mirroring) else one)
            if told is not None:
                told(answers[-1])
        return _mean(answers)

    answers = [mirrored(image, each)]
    for angle in turns:
        answers.append(turned(mirrored(turned(image, angle)), -angle))
        if each is not None:
            each(answers[-1])
    return _mean(answers)


def _mean(answers: Sequence[np.ndarray]) -> np.ndarray:
    if len(answers) == 1:
        return np.ascontiguousarray(answers[0])
    total = answers[0] + answers[1]
    for answer in answers[2:]:
        total += answer
    total /= np.float32(len(answers))
    return total
