"""What an input shows, in a few numbers: brightness, contrast, clipping, detail, color and extent."""

from collections.abc import Iterator

import numpy as np

from gracile.case import Case
from gracile.trust.figures import INPUT, Figures

SAMPLES = 96
"""Along each side of a picture, for figures of its values alone; `VOLUME_SAMPLES` along each of a volume."""

VOLUME_SAMPLES = 48

DETAIL_SIZE = 640
"""Longer side at which detail is looked at, in pixels; volumes are looked at voxel by voxel."""

LINES = 64
"""Along which detail is measured, for each other axis of a picture; a volume takes `VOLUME_LINES` of them."""

VOLUME_LINES = 24
_CLIPPED = 3 / 255  # of the full range: nearer to its ends counts as clipped, as a JPEG's black is not quite black
_STEPS = (1, 4, 16)
_HIGHEST = 99.9  # percentile: a few voxels of metal or flow would else darken all others


def input_figures(case: Case, region: np.ndarray | None) -> Figures:
    """Figures of an input's values inside a region, from a sample of them.

    - ``brightness`` and ``contrast``: mean and standard deviation over the full range: 0 to 255 of a picture, from
      the lowest value to the 99.9th percentile of a volume.
    - ``clipped_low``, ``clipped_high``: shares of values at either end of that range.
    - ``fineness``: mean difference of neighbors over that of samples four apart: near 1 for noise, a quarter for what
      is wholly smooth. ``coarseness``: the same of samples four and sixteen apart.
    - ``red``, ``blue``: their shares of the sum of the channels; ``color``: strongest less weakest channel.
    - ``extent_mm``: longest side of a volume.

    Args:
        case: The input.
        region: ``(*spatial)`` bool, what counts; None takes all.
    """
    if region is not None and region.all():
        region = None
    values = _sampled(case.image, region)
    if not values.size:
        return {}
    volume = case.image.ndim == 4
    low, span = _range(values, apart=case.shown is not None) if volume else (0.0, 255.0)
    values = np.minimum((values - low) / span, 1.0)
    figures = {
        "brightness": float(values.mean()),
        "contrast": float(values.std(axis=1).mean()),
        "clipped_low": float((values <= _CLIPPED).mean()),
        "clipped_high": float((values >= 1 - _CLIPPED).mean()),
        **_detail(case.image, region),
    }
    if values.shape[0] == 3 and case.shown is None:
        means = values.mean(axis=1)
        figures["red"], _, figures["blue"] = (float(mean / max(means.sum(), 1e-9)) for mean in means)
        figures["color"] = float(np.ptp(values, axis=0).mean())
    if volume and case.grid.spacing_mm is not None:
        sides = zip(case.grid.shape, case.grid.spacing_mm, strict=True)
        figures["extent_mm"] = float(max(length * spacing for length, spacing in sides))
    return {(INPUT, name): value for name, value in figures.items()}


def _range(values: np.ndarray, apart: bool) -> tuple[np.ndarray | float, np.ndarray | float]:
    """The lowest of a volume's values and the span above it; of channels of their own each its own."""
    if not apart:
        low = float(values.min())
        return low, max(float(np.percentile(values, _HIGHEST)) - low, 1e-9)
    lows = values.min(axis=1, keepdims=True)
    return lows, np.maximum(np.percentile(values, _HIGHEST, axis=1, keepdims=True) - lows, 1e-9)


def _sampled(image: np.ndarray, region: np.ndarray | None) -> np.ndarray:
    """``(channels, samples)`` float32 of an evenly spread part of the values."""
    wanted = SAMPLES if image.ndim == 3 else VOLUME_SAMPLES
    steps = tuple(slice(None, None, max(1, round(length / wanted))) for length in image.shape[1:])
    values = image[(slice(None), *steps)]
    inside = np.ones(values.shape[1:], bool) if region is None else region[steps]
    return values[:, inside].astype(np.float32)


def _detail(image: np.ndarray, region: np.ndarray | None) -> dict[str, float]:
    """Differences of near and far samples along lines of every axis; of a color picture in its green channel."""
    gray = image[image.shape[0] // 2]
    sums = np.zeros(len(_STEPS))
    for line, inside in _lines(gray, region):
        for number, step in enumerate(_STEPS):
            if len(line) <= step:
                continue
            difference = np.abs(line[step:] - line[:-step])
            if inside is not None:
                difference = difference[inside[step:] & inside[:-step]]
            sums[number] += float(difference.mean()) if difference.size else 0.0
    names = ("fineness", "coarseness")
    return {name: float(near / far) for name, near, far in zip(names, sums[:-1], sums[1:], strict=True) if far > 1e-6}


def _lines(gray: np.ndarray, region: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """``(samples, lines)`` float32 along each axis, with where they lie inside the region."""
    flat = gray.ndim == 2
    own = max(1, round(max(gray.shape) / DETAIL_SIZE)) if flat else 1
    for axis in range(gray.ndim):
        across = [max(own, round(length / (LINES if flat else VOLUME_LINES))) for length in gray.shape]
        across[axis] = own
        part = tuple(slice(step // 2, None, step) for step in across)
        line = np.moveaxis(gray[part], axis, 0).astype(np.float32)
        inside = None if region is None else np.moveaxis(region[part], axis, 0)
        yield line, inside
