"""What an input looks like, in some thirty numbers by which inputs of one kind are told from those of others."""

import math
from dataclasses import dataclass

import numpy as np

from gracile.geometry import axis_codes
from gracile.trust.input_samples import STEPS, Samples

SIZE, SHAPE, VOXELS = "its size", "its shape", "its voxel sizes"
BRIGHTNESS, CONTRAST, TEXTURE = "its brightness", "its contrast", "its texture"
LAYOUT, COLORS = "where it is bright and dark", "its colors"


@dataclass(frozen=True)
class Trait:
    """One number of an appearance.

    Args:
        words: What differs where it does.
        spread: How much it differs between images of one kind that were taken on different devices: the standard
            deviation over the sources of a kind, that within a source included, of the kind where it is largest
            (`benchmarks/unlike.py --spread`, rounded; where one kind alone was looked at, by judgment).
    """

    words: str
    spread: float


PICTURE_TRAITS: dict[str, Trait] = {
    "size": Trait(SIZE, 0.9), "aspect": Trait(SHAPE, 0.2), "filled": Trait(SHAPE, 0.6), "cover": Trait(SHAPE, 1.9),
    "brightness": Trait(BRIGHTNESS, 0.6), "black": Trait(BRIGHTNESS, 1.6), "white": Trait(BRIGHTNESS, 1.1),
    "contrast": Trait(CONTRAST, 0.3), "low": Trait(CONTRAST, 0.3), "high": Trait(CONTRAST, 0.25),
    "lowest": Trait(CONTRAST, 0.8), "highest": Trait(CONTRAST, 0.6),
    "down": Trait(LAYOUT, 0.2), "across": Trait(LAYOUT, 0.45),
    "outward": Trait(LAYOUT, 0.22), "corners": Trait(LAYOUT, 0.25),
    "detail 1": Trait(TEXTURE, 0.1), "detail 2": Trait(TEXTURE, 0.09), "detail 4": Trait(TEXTURE, 0.08),
    "detail 8": Trait(TEXTURE, 0.06), "detail 16": Trait(TEXTURE, 0.07),
    "grain 1": Trait(TEXTURE, 0.35), "grain 4": Trait(TEXTURE, 0.23), "grain 16": Trait(TEXTURE, 0.15),
    "edges 1": Trait(TEXTURE, 0.15), "edges 8": Trait(TEXTURE, 0.12),
    "red": Trait(COLORS, 0.37), "blue": Trait(COLORS, 0.31), "color": Trait(COLORS, 0.5), "colors": Trait(COLORS, 0.36),
    "red to green": Trait(COLORS, 0.8), "blue to green": Trait(COLORS, 0.6),
}  # fmt: skip
"""Of pictures."""

VOLUME_TRAITS: dict[str, Trait] = {
    "right": Trait(SIZE, 0.6), "anterior": Trait(SIZE, 0.9), "superior": Trait(SIZE, 0.8),
    "right step": Trait(VOXELS, 0.4), "anterior step": Trait(VOXELS, 0.4), "superior step": Trait(VOXELS, 1.2),
    "brightness": Trait(BRIGHTNESS, 0.5), "black": Trait(BRIGHTNESS, 2.5), "white": Trait(BRIGHTNESS, 0.5),
    "contrast": Trait(CONTRAST, 0.23), "low": Trait(CONTRAST, 0.46), "high": Trait(CONTRAST, 0.28),
    "lowest": Trait(CONTRAST, 0.5), "highest": Trait(CONTRAST, 0.7),
    "rightward": Trait(LAYOUT, 0.12), "forward": Trait(LAYOUT, 0.2), "upward": Trait(LAYOUT, 0.1),
    "outward": Trait(LAYOUT, 0.2),
    "detail 1": Trait(TEXTURE, 0.1), "detail 2": Trait(TEXTURE, 0.07), "detail 4": Trait(TEXTURE, 0.05),
    "grain right": Trait(TEXTURE, 0.5), "grain anterior": Trait(TEXTURE, 0.5),
    "edges 1": Trait(TEXTURE, 0.25), "edges 4": Trait(TEXTURE, 0.25),
}  # fmt: skip
"""Of volumes; axes are those that run nearest to the patient's."""

_BLACK, _WHITE = 3 / 255, 252 / 255
_AIR = 0.08  # of a volume's range: what lies below is air, or nothing
_CORNER = 0.85  # of the way from the middle to the border along both axes, where a corner begins
_DIFFERENCE = 1e-4  # of the full range: differences below it are told apart from none by no trait


def traits_of(volume: bool) -> dict[str, Trait]:
    """The traits of pictures or of volumes."""
    return VOLUME_TRAITS if volume else PICTURE_TRAITS


def appearance(samples: Samples) -> dict[str, float]:
    """The traits of an input, on scales on which inputs of one kind are distributed about normally.

    Of values: how bright, how much black and white, the standard deviation, how far the percentiles 1, 10, 90 and 99
    lie from the median, and the correlation of values with their place. Of detail, which is the power spectrum in
    octaves as differences of samples 1 to 32 apart show it: the logarithm of each octave's difference over the next
    one's (``detail``), of differences along one axis over those along another (``grain``), and of root mean square over
    mean differences (``edges``, which a few sharp ones raise).
    """
    volume = len(samples.extent) == 3
    return {
        **(_volume_form(samples) if volume else _picture_form(samples)),
        **_values(samples.gray, _lit(samples.gray) if volume else samples.gray),
        **(_volume_detail(samples) if volume else _picture_detail(samples)),
        **({} if volume else _colors(samples)),
    }


def _logit(share: float, floor: float) -> float:
    share = min(max(share, floor), 1 - floor)
    return math.log(share / (1 - share))


def _correlation(a: np.ndarray, b: np.ndarray, of_none: float = 0.0) -> float:
    """Pearson's correlation; near ``of_none`` where values hardly vary."""
    a, b, least = a - a.mean(), b - b.mean(), 1e-6 * len(a)
    return float((float(a @ b) + least * of_none) / (math.sqrt(float(a @ a) * float(b @ b)) + least))


def _lit(gray: np.ndarray) -> np.ndarray:
    """The values of a volume that are no air, of which a crop has less; all where there are hardly others."""
    lit = gray[gray > _AIR]
    return lit if len(lit) > 0.01 * len(gray) else gray


def _values(gray: np.ndarray, lit: np.ndarray) -> dict[str, float]:
    spread = float(lit.std()) + 0.005
    first, tenth, middle, ninetieth, last = (float(p) for p in np.percentile(lit, (1, 10, 50, 90, 99)))
    return {
        "brightness": _logit(float(lit.mean()), 0.01),
        "black": _logit(float((gray <= _BLACK).mean()), 3e-3),
        "white": _logit(float((gray >= _WHITE).mean()), 3e-3),
        "contrast": math.log(spread),
        "low": (middle - tenth) / spread,
        "high": (ninetieth - middle) / spread,
        "lowest": math.log((tenth - first) / spread + 0.05),
        "highest": math.log((last - ninetieth) / spread + 0.05),
    }


def _picture_form(samples: Samples) -> dict[str, float]:
    height, width = samples.extent
    down, across = samples.places
    return {
        "size": math.log(max(height, width)),
        "aspect": math.log(height / width),
        "filled": _logit(samples.filled, 0.01),
        "cover": _logit(height * width / math.prod(samples.case.grid.shape), 0.01),
        "down": _correlation(samples.gray, down),
        "across": _correlation(samples.gray, across),
        "outward": _correlation(samples.gray, down**2 + across**2),
        "corners": _corners(samples.gray, down, across),
    }


def _corners(gray: np.ndarray, down: np.ndarray, across: np.ndarray) -> float:
    """Logarithm of the brightness of the corners over that of all; 0 where the region has none."""
    corners = gray[np.minimum(np.abs(down), np.abs(across)) > _CORNER]
    return math.log((float(corners.mean()) + 0.01) / (float(gray.mean()) + 0.01)) if corners.size else 0.0


def _picture_detail(samples: Samples) -> dict[str, float]:
    differences = _known(samples.differences)
    mean, root = differences.mean(axis=0), np.sqrt(_known(samples.squares)).mean(axis=0)
    grain = np.log(differences[0] / differences[1])
    return {
        **{f"detail {STEPS[k]}": float(np.log(mean[k] / mean[k + 1])) for k in range(5)},
        **{f"grain {STEPS[k]}": float(grain[k]) for k in (0, 2, 4)},
        **{f"edges {STEPS[k]}": float(np.log((root[k] + _DIFFERENCE) / mean[k])) for k in (0, 3)},
    }


def _known(along: np.ndarray) -> np.ndarray:
    """``(axes, steps)`` above 0; where an axis is too short for a step, what it has at the longest that fits."""
    filled = along.copy()
    for step in range(filled.shape[1]):
        missing = np.isnan(filled[:, step])
        filled[missing, step] = filled[missing, step - 1] if step else 0.0
    return filled + _DIFFERENCE


def _colors(samples: Samples) -> dict[str, float]:
    """Shares of red and blue, mean and deviation of colorfulness, how far channels go with the green one."""
    if not samples.colored:
        none, alike = math.log(0.01), math.log(0.02)
        return {"red": _logit(1 / 3, 0.01), "blue": _logit(1 / 3, 0.01), "color": none, "colors": none,
                "red to green": alike, "blue to green": alike}  # fmt: skip
    red, green, blue = samples.values
    means = samples.values.mean(axis=1)
    shares = means / max(float(means.sum()), 1e-6)
    color = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return {
        "red": _logit(float(shares[0]), 0.01),
        "blue": _logit(float(shares[2]), 0.01),
        "color": math.log(float(color.mean()) + 0.01),
        "colors": math.log(float(color.std()) + 0.01),
        "red to green": math.log(max(0.0, 1 - _correlation(red, green, 1.0)) + 0.02),
        "blue to green": math.log(max(0.0, 1 - _correlation(blue, green, 1.0)) + 0.02),
    }


def _anatomical(samples: Samples) -> list[tuple[int, int]]:
    """The file's axis that runs nearest to right, anterior and superior, and 1 or -1 for the way it runs."""
    affine = samples.case.grid.affine
    if affine is None:
        return [(axis, 1) for axis in range(3)]
    codes = axis_codes(affine)
    return [next((axis, 1 if code == ends[0] else -1) for axis, code in enumerate(codes) if code in ends)
            for ends in ("RL", "AP", "SI")]  # fmt: skip


def _volume_form(samples: Samples) -> dict[str, float]:
    spacing = samples.case.grid.spacing_mm or (1.0, 1.0, 1.0)
    traits = {"outward": _correlation(samples.gray, (samples.places**2).sum(axis=0))}
    runs = ("rightward", "forward", "upward")
    for (axis, way), name, run in zip(_anatomical(samples), ("right", "anterior", "superior"), runs, strict=True):
        step = max(spacing[axis], 1e-6)
        traits[name] = math.log(samples.extent[axis] * step)
        traits[f"{name} step"] = math.log(step)
        traits[run] = way * _correlation(samples.gray, samples.places[axis])
    return traits


def _volume_detail(samples: Samples) -> dict[str, float]:
    order = [axis for axis, _ in _anatomical(samples)]
    differences, squares = _known(samples.differences)[order], _known(samples.squares)[order]
    mean, root = differences.mean(axis=0), np.sqrt(squares).mean(axis=0)
    return {
        **{f"detail {STEPS[k]}": float(np.log(mean[k] / mean[k + 1])) for k in range(3)},
        "grain right": float(np.log(differences[0, 1] / differences[2, 1])),
        "grain anterior": float(np.log(differences[1, 1] / differences[2, 1])),
        **{f"edges {STEPS[k]}": float(np.log((root[k] + _DIFFERENCE) / mean[k])) for k in (0, 2)},
    }
