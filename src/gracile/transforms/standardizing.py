"""Intensities brought to one scale, channel by channel, and what of a training set some ways need."""

from collections.abc import Iterable

import numpy as np

from gracile.errors import DataError
from gracile.recipe import ChannelIntensity, PrepareSpec, TrainingSetSpec, WindowSpec

PERCENTILES = (1, 99)
"""What the intensity option ``percentile`` brings to 0 and 1."""

STRUCTURE_PERCENTILES = (0.5, 99.5)
"""At which ``training-set`` cuts intensities, of what lies within the structures."""

LEAST_SPAN = 1e-3
"""Smallest span that intensities are divided by."""

MIDDLE = 127.0
"""Gray level to which the intensity option ``median-shift`` brings a channel's median."""

AT_ONCE = 1_000_000
"""Numbers that are summed at once."""

VALUES_OF_A_CASE = 10_000
"""Intensities that are looked at of each case to learn those of the structures, as in nnU-Net."""


def standardized(image: np.ndarray, region: np.ndarray, spec: PrepareSpec) -> np.ndarray:
    """Intensities brought to one scale by channel, as the recipe says, by the samples inside the region; 0 outside it.

    - ``zscore``: less the mean, over the deviation. ``unit``: over 255.
    - ``percentile``: the 1st becomes 0, the 99th 1.
    - ``median-shift``: (shifted - 127) / 255; the region's median is 0 and all lies from -127/255 to 128/255.
    - ``window``: ``low`` becomes 0, ``high`` 1, and what lies beyond is cut.
    - ``training-set``: cut at ``low`` and ``high``, less ``mean``, over ``deviation``.

    Args:
        image: ``(channels, *spatial)``.
        region: ``(*spatial)`` bool.
        spec: The recipe's preparation.

    Returns:
        ``(channels, *spatial)`` float32.
    """
    result = np.zeros(image.shape, dtype=np.float32)
    for channel, values in enumerate(image):
        result[channel] = _standardized(values, region, spec.intensity_of(channel))
    result *= region
    return result


def _standardized(values: np.ndarray, region: np.ndarray, how: ChannelIntensity) -> np.ndarray:
    if isinstance(how, WindowSpec):
        return (np.clip(values, how.low, how.high) - how.low) / (how.high - how.low)
    if isinstance(how, TrainingSetSpec):
        return (np.clip(values, how.low, how.high) - how.mean) / how.deviation
    if how == "median-shift":
        return (median_shift(values, region) - MIDDLE) / 255.0
    inside = values[region]
    if how == "zscore":
        low, span = mean_and_deviation(inside)
    elif how == "percentile":
        low, high = np.percentile(inside, PERCENTILES)
        span = high - low
    else:
        low, span = 0.0, 255.0
    near = np.float32(low)  # what it rounds away is taken off as well: of large values it is a share of the span
    scaled: np.ndarray = values - near
    scaled -= np.float32(float(low) - float(near))
    scaled /= np.float32(max(float(span), LEAST_SPAN))
    return scaled


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Of ``(n,)`` numbers, summed in float64 piece by piece: sums of millions of large ones lose their digits else."""
    pieces = [slice(start, start + AT_ONCE) for start in range(0, len(values), AT_ONCE)]
    mean = sum(float(values[piece].sum(dtype=np.float64)) for piece in pieces) / len(values)
    squares = sum(float(np.square(values[piece].astype(np.float64) - mean).sum()) for piece in pieces)
    return mean, float(np.sqrt(squares / len(values)))


def median_shift(image: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    """Shift each channel so that its median is 127: ``image - median + 127``, clipped to 0 to 255.

    Args:
        image: Gray levels from 0 to 255, ``(height, width)`` or ``(channels, height, width)``.
        region: ``(height, width)`` bool, the pixels whose median is taken; None takes all.

    Returns:
        The shape of ``image``, float32; pixels outside the region are shifted with the others.
    """
    values = image[..., region] if region is not None else image.reshape(*image.shape[:-2], -1)
    shift = MIDDLE - np.median(values, axis=-1).astype(np.float32)
    return np.clip(image.astype(np.float32) + shift[..., None, None], 0.0, 255.0)


def structure_levels(cases: Iterable[tuple[np.ndarray, np.ndarray]], seed: int = 0) -> TrainingSetSpec:
    """The settings of ``training-set`` for one channel: of what lies within the structures of some cases.

    At most 10,000 values of each case are looked at, drawn at random, so that large structures do not outweigh others
    and memory stays small.

    Args:
        cases: One after the other, a channel's intensities ``(*spatial)`` as read, and where the structures are,
            ``(*spatial)`` bool.
        seed: Of the values that are drawn.

    Raises:
        DataError: No case shows a structure, or all values within them are the same.
    """
    generator = np.random.default_rng(seed)
    kept = [np.zeros(0, dtype=np.float32)]
    for image, within in cases:
        values = image[within].astype(np.float32)
        values = values[np.isfinite(values)]
        if len(values) > VALUES_OF_A_CASE:
            values = values[generator.choice(len(values), VALUES_OF_A_CASE, replace=False, shuffle=False)]
        kept.append(values)
    known = np.concatenate(kept).astype(np.float64)
    if not len(known):
        raise DataError("No case shows a structure, whose intensities are asked for.", "Take prepare.intensity=zscore.")
    low, high = (float(value) for value in np.percentile(known, STRUCTURE_PERCENTILES))
    if not low < high:
        raise DataError(
            f"All that lies within the structures is {low:g}, which is no range of intensities.",
            "Take prepare.intensity=zscore.",
        )
    return TrainingSetSpec(low=low, high=high, mean=float(known.mean()), deviation=float(known.std()))
