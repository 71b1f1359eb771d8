"""Known ways of spoiling a good fundus photograph, each weak, middle and strong.

A weak one leaves a good photograph, a middle one a usable one, a strong one is to be rejected. Lengths are in extents
of the field of view, so that a degree is the same for every camera. What belongs to a file's pixels (JPEG's blocks,
noise) is done where the field of view is about `EXTENT` pixels wide.
"""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from photographs import Photograph, across, cropped, extent, shaded, with_values
from PIL import Image
from scipy import ndimage

EXTENT = 560
DEGREES = ("weak", "middle", "strong")
Range = tuple[float, float]


def _between(random: np.random.Generator, ends: Range) -> float:
    return float(random.uniform(*ends))


def blurred(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Out of focus: a Gaussian."""
    share = _between(random, ((0.0005, 0.0012), (0.003, 0.005), (0.01, 0.03))[degree])
    deviation = share * 2 * extent(photograph)[2]
    return with_values(
        photograph, ndimage.gaussian_filter(photograph.image.astype(np.float32), (deviation,) * 2 + (0,))
    )


def moved(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Moved while it was taken: a mean along a line."""
    share = _between(random, ((0.001, 0.003), (0.009, 0.014), (0.04, 0.09))[degree])
    length = max(1, round(share * 2 * extent(photograph)[2]))
    angle = _between(random, (0, np.pi))
    steps = np.linspace(-length / 2, length / 2, 2 * length + 1)
    kernel = np.zeros((length + 3, length + 3))
    for step in steps:
        kernel[round(step * np.sin(angle) + (length + 2) / 2), round(step * np.cos(angle) + (length + 2) / 2)] += 1
    kernel /= kernel.sum()
    values = photograph.image.astype(np.float32)
    taps = [(row - (length + 2) // 2, column - (length + 2) // 2, kernel[row, column])
            for row, column in np.argwhere(kernel > 0)]  # fmt: skip
    total = sum(
        weight * ndimage.shift(values, (row, column, 0), order=0, mode="nearest") for row, column, weight in taps
    )
    return with_values(photograph, total)


def darkened(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Too little light."""
    gain = _between(random, ((0.75, 0.95), (0.3, 0.42), (0.04, 0.11))[degree])
    return with_values(photograph, photograph.image * gain)


def overexposed(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Too much light, clipped."""
    gain = _between(random, ((1.02, 1.12), (1.6, 2.0), (4.0, 8.0))[degree])
    return with_values(photograph, photograph.image * gain)


def bent(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Another gamma, darker or brighter."""
    darker, brighter = (((1.05, 1.2), (0.85, 0.95)), ((1.7, 2.1), (0.5, 0.6)), ((4.5, 6.5), (0.08, 0.16)))[degree]
    gamma = _between(random, darker if random.integers(2) else brighter)
    return with_values(photograph, 255 * (photograph.image / 255.0) ** gamma)


def dark_side(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """A side in the shadow of the iris."""
    begins, darkest = (((0.6, 0.75), (0.5, 0.7)), ((0.4, 0.5), (0.06, 0.12)), ((0.0, 0.15), (0.001, 0.01)))[degree]
    angle = _between(random, (0, 2 * np.pi))
    return shaded(photograph, angle, _between(random, begins), _between(random, darkest))


def cut(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """A part of the field of view lies outside of the frame."""
    sides = np.zeros(4)
    sides[random.integers(4)] = _between(random, ((0.01, 0.04), (0.16, 0.24), (0.48, 0.65))[degree])
    return cropped(photograph, *sides)


def in_blocks(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """A JPEG of low quality."""
    photograph = _smaller(photograph)
    file = io.BytesIO()
    quality = round(_between(random, ((80, 95), (18, 30), (1, 4))[degree]))
    Image.fromarray(photograph.image).save(file, "JPEG", quality=quality)
    return replace(photograph, image=np.asarray(Image.open(file)))


def noisy(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Noise of the sensor, in the surround as well."""
    photograph = _smaller(photograph)
    deviation = _between(random, ((1, 3), (10, 15), (45, 80))[degree])
    return with_values(photograph, photograph.image + random.normal(0, deviation, photograph.image.shape))


def stained(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Stains: soft or sharp blots, dark, gray or bright, on the lens or before the eye."""
    number, size, cover = (
        (1, (0.01, 0.02), (0.15, 0.3)),
        (2, (0.06, 0.09), (0.5, 0.8)),
        (4, (0.17, 0.24), (0.9, 1.0)),
    )[degree]
    row, column, radius = extent(photograph)
    rows, columns = np.indices(photograph.region.shape, sparse=True)
    left = np.ones(photograph.region.shape)
    angles = _between(random, (0, 2 * np.pi)) + np.arange(number) * 2 * np.pi / number
    for angle in angles:
        far, own = _between(random, (0.2, 0.65)) * radius, _between(random, size) * 2 * radius
        away = np.hypot(rows - row - far * np.sin(angle), columns - column - far * np.cos(angle)) / own
        soft = _between(random, (0.05, 0.4))
        left *= 1 - _between(random, cover) * np.clip((1 + soft - away) / (2 * soft), 0, 1)
    color = np.array([[10, 8, 6], [150, 140, 130], [245, 240, 225]][random.integers(3)], dtype=np.float32)
    values = photograph.image * left[..., None] + color * (1 - left[..., None]) * photograph.region[..., None]
    return with_values(photograph, values)


def lashes(photograph: Photograph, degree: int, random: np.random.Generator) -> Photograph:
    """Lid and lashes: dark arcs that reach in from the upper or lower border, and a bright haze behind them."""
    number, reach, thick, haze = ((2, 0.06, 0.004, 0.0), (6, 0.22, 0.012, 0.15), (22, 0.75, 0.026, 0.6))[degree]
    _, column, radius = extent(photograph)
    columns = np.arange(photograph.region.shape[1])[None]
    upper = bool(random.integers(2))
    depth = across(photograph, -np.pi / 2 if upper else np.pi / 2)
    depth = np.clip((depth - (1 - reach)) / reach, 0, 1)  # 1 at the border
    values = (
        photograph.image * (1 - haze * depth[..., None]) + 190 * haze * depth[..., None] * photograph.region[..., None]
    )
    left = np.ones(photograph.region.shape)
    for place in random.uniform(-0.85, 0.85, number):
        bow = _between(random, (-0.6, 0.6))
        middle = column + radius * (place + bow * (1 - depth) ** 2)
        width = thick * 2 * radius * np.sqrt(depth) * _between(random, (0.6, 1.4))
        left *= 1 - 0.9 * np.clip(1.5 - np.abs(columns - middle) / np.maximum(width, 1e-3), 0, 1) * (depth > 0)
    return with_values(photograph, values * left[..., None])


def _smaller(photograph: Photograph) -> Photograph:
    """Where the field of view is about `EXTENT` pixels wide."""
    factor = max(1, round(2 * extent(photograph)[2] / EXTENT))
    if factor == 1:
        return photograph
    image = np.asarray(Image.fromarray(photograph.image).reduce(factor))
    region = photograph.region[factor // 2 :: factor, factor // 2 :: factor]
    height, width = (min(sides) for sides in zip(image.shape, region.shape, strict=False))
    return replace(photograph, image=image[:height, :width], region=region[:height, :width])


WAYS: dict[str, Callable[[Photograph, int, np.random.Generator], Photograph]] = {
    "blurred": blurred, "moved": moved, "darkened": darkened, "overexposed": overexposed, "gamma": bent,
    "a dark side": dark_side, "cut": cut, "JPEG": in_blocks, "noise": noisy, "stains": stained, "lashes": lashes,
}  # fmt: skip
