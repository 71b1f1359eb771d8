"""Drawn inputs of several kinds, each seed another one of its kind."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from gracile.case import Case

SIDE = 160


def _noise(seed: int, *smooth: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    parts = [ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), s) for s in smooth]
    return sum(part / part.std() for part in parts)


def _colored(values: np.ndarray, tint: tuple[float, float, float]) -> Case:
    image = np.stack([values * channel for channel in tint], axis=-1)
    return Case.from_array(np.clip(np.rint(image), 0, 255).astype(np.uint8))


def tissue(seed: int, detail: float = 1.5, tint: tuple[float, float, float] = (1.4, 0.9, 0.6)) -> Case:
    """Warm and smooth, with brightness and color that vary a little."""
    random = np.random.default_rng(seed)
    bright, warm = random.normal(110, 8), random.normal(1, 0.05)
    return _colored(bright + 18 * _noise(seed, detail, 8), (tint[0] * warm, tint[1], tint[2] / warm))


def gray_tissue(seed: int) -> Case:
    """The same without color."""
    image = tissue(seed).image[1]
    return Case.from_array(image)


def speckle(seed: int) -> Case:
    """Gray and coarse grained, brighter at its top."""
    fall = np.linspace(1.3, 0.2, SIDE)[:, None]
    return Case.from_array(np.clip(90 * fall * np.exp(0.5 * _noise(seed, 1)), 0, 255).astype(np.uint8))


def text(seed: int) -> Case:
    """Black marks on white."""
    marks = np.random.default_rng(seed).random((SIDE // 8, SIDE // 4)) < 0.25
    page = np.where(np.kron(marks, np.ones((8, 4))) > 0, 20, 245).astype(np.uint8)
    return Case.from_array(np.repeat(page[..., None], 3, axis=2))


def green(seed: int) -> Case:
    """As tissue in all but its color."""
    return tissue(seed, tint=(0.6, 1.3, 0.7))


KINDS: dict[str, Callable[[int], Case]] = {"gray": gray_tissue, "speckle": speckle, "text": text, "green": green}
"""All kinds but tissue."""


def scan(seed: int, spacing: float = 1.0, shape: tuple[int, int, int] = (40, 36, 28)) -> Case:
    """A volume of smooth noise in air."""
    random = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(random.normal(size=shape), 1.5)
    inside = sum(((np.indices(shape)[axis] / shape[axis] - 0.5) * 2.4) ** 2 for axis in range(3)) < 1
    volume = np.where(inside, 400 + 60 * values / values.std() + 20 * random.normal(), 0)
    return Case.from_volume(volume, np.diag([spacing, spacing, 1.5 * spacing, 1.0]))
