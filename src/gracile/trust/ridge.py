"""Ridge regression of few signs whose weights keep a known direction; signs are added while cross-validation gains."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PENALTIES = (0.01, 0.03, 0.1, 0.3)
"""What a weight's square costs, beside the mean squared error of a target of variance 1."""

GAIN = 0.01
"""Share of the error by which a further sign must lower it."""

ROUNDS = 60


class Chosen(NamedTuple):
    """Numbers of the chosen signs, and the penalty of their weights."""

    signs: list[int]
    penalty: float


def ridge(gram: np.ndarray, products: np.ndarray, free: np.ndarray, penalty: float) -> np.ndarray:
    """Weights of many small problems at once, by coordinate descent; those that are not free are at least 0.

    Args:
        gram: ``(..., n, n)`` mean products of the signs with each other.
        products: ``(..., n)`` with the target.
        free: ``(..., n)`` bool.
        penalty: Of the weights' squares.
    """
    weights = np.zeros(products.shape)
    size = products.shape[-1]
    slopes = np.diagonal(gram, axis1=-2, axis2=-1) + penalty
    for _ in range(ROUNDS if size > 1 else 1):
        before = weights.copy()
        for index in range(size):
            rest = products[..., index] - (gram[..., index, :] * weights).sum(axis=-1)
            rest = rest + gram[..., index, index] * weights[..., index]
            value = rest / np.maximum(slopes[..., index], 1e-12)
            weights[..., index] = np.where(free[..., index], value, np.maximum(value, 0.0))
        if np.abs(weights - before).max(initial=0.0) < 1e-6:
            break
    return weights


def fitted(
    signs: np.ndarray, target: np.ndarray, weights: np.ndarray, free: np.ndarray, penalty: float
) -> np.ndarray:  # fmt: skip
    """``(n,)`` weights of signs.

    Args:
        signs: ``(rows, n)``, turned so that more of each is better unless it is free.
        target: ``(rows,)``.
        weights: ``(rows,)`` of the rows.
        free: ``(n,)`` bool, signs whose weights may be of either direction.
        penalty: Of the weights' squares.
    """
    gram, products = _moments(signs, target, weights)
    return ridge(gram, products, free, penalty)


def chosen_signs(
    signs: np.ndarray, target: np.ndarray, weights: np.ndarray, folds: Sequence[np.ndarray], free: np.ndarray, most: int
) -> Chosen:  # fmt: skip
    """The signs that predict a target best in folds that they were not fitted to, at most so many.

    Args:
        signs: As in `fitted`.
        target: ``(rows,)`` of about variance 1.
        weights: ``(rows,)`` of the rows.
        folds: ``(rows,)`` bool each: which rows are held back.
        free: ``(n,)`` bool.
        most: Largest number of signs.
    """
    moments = [_moments(signs[~held], target[~held], weights[~held]) for held in folds]
    grams, products = np.stack([gram for gram, _ in moments]), np.stack([product for _, product in moments])
    # Centered on the rows that are fitted, so that a constant need not be.
    centered = []
    for held in folds:
        shares = weights[~held] / weights[~held].sum()
        centered.append((signs[held] - shares @ signs[~held], target[held] - shares @ target[~held], weights[held]))
    best: tuple[float, Chosen] = (np.inf, Chosen([], PENALTIES[0]))
    for penalty in PENALTIES:
        found = _forward(grams, products, centered, free, penalty, most)
        if found[0] < best[0] * (1 - 1e-9):
            best = found
    return best[1]


def _forward(
    grams: np.ndarray, products: np.ndarray, held: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    free: np.ndarray, penalty: float, most: int,
) -> tuple[float, Chosen]:  # fmt: skip
    """Signs added one by one, and the mean squared error of held-back rows."""
    total = sum(float(weights.sum()) for _, _, weights in held)
    chosen: list[int] = []
    error = sum(float(weights @ target**2) for _, target, weights in held) / total
    while len(chosen) < min(most, grams.shape[-1]):
        rest = [index for index in range(grams.shape[-1]) if index not in chosen]
        tried = np.array([[*chosen, index] for index in rest])
        allowed = np.broadcast_to(free[tried], (len(grams), *tried.shape))
        found = ridge(grams[:, tried[:, :, None], tried[:, None, :]], products[:, tried], allowed, penalty)
        errors = np.zeros(len(rest))
        for number, (signs, target, weights) in enumerate(held):
            predicted = np.einsum("rcn,cn->rc", signs[:, tried], found[number])
            errors += weights @ (target[:, None] - predicted) ** 2
        errors /= total
        best = int(errors.argmin())
        if errors[best] > error * (1 - GAIN):
            break
        chosen.append(rest[best])
        error = float(errors[best])
    return error, Chosen(chosen, penalty)


def _moments(signs: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean products of centered signs with each other and with the target."""
    shares = weights / weights.sum()
    off, aim = signs - shares @ signs, target - shares @ target
    return off.T @ (off * shares[:, None]), off.T @ (aim * shares)
