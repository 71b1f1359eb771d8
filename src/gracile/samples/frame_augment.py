"""Augmentation of whole frames for classification: a few random operations, all of one magnitude.

After Cubuk et al., RandAugment: Practical automated data augmentation with a reduced search space, CVPR Workshops 2020
(arXiv:1909.13719). As there, ``n`` operations are drawn uniformly, with replacement, and one magnitude from 0 to 10
steers them all; the operations and their ranges are ours, for standardized float images. What moves pixels is joined
into one map, so that a frame is interpolated once at most.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional

from gracile.errors import RecipeError

LARGEST_MAGNITUDE = 10.0

Warp = Callable[[float, Generator], Tensor]
Tone = Callable[[Tensor, float, Generator], Tensor]


def augment_frame(image: Tensor, n: int, magnitude: float, generator: Generator, mirror: bool = True) -> Tensor:
    """Vary a frame by ``n`` random operations.

    Args:
        image: ``(channels, height, width)`` float32, standardized: mean near 0, standard deviation near 1.
        n: Number of operations; 0 leaves the frame as it is.
        magnitude: From 0, which leaves the frame as it is, to 10.
        generator: Source of all randomness; the same state gives the same frame.
        mirror: Whether ``flip`` is among the operations.

    Returns:
        A frame of the same shape. What comes in from beyond its border is 0, the mean of a standardized frame.

    Raises:
        RecipeError: ``n`` is negative, or ``magnitude`` is not from 0 to 10.
    """
    if n < 0 or not 0 <= magnitude <= LARGEST_MAGNITUDE:
        raise RecipeError(
            f"Frames cannot be varied by {n} operations of magnitude {magnitude}.",
            "Take 0 or more operations and a magnitude from 0 to 10.",
        )
    strength = magnitude / LARGEST_MAGNITUDE
    if strength == 0:
        return image
    names = [name for name in (*WARPS, *TONES) if mirror or name != "flip"]
    chosen = [names[int(i)] for i in torch.randint(len(names), (n,), generator=generator)]
    warp = torch.eye(3)
    for name in chosen:
        if name in WARPS:
            warp = warp @ WARPS[name](strength, generator)
    image = warped(image, warp)
    for name in chosen:
        if name in TONES:
            image = TONES[name](image, strength, generator)
    return image


def warped(image: Tensor, warp: Tensor) -> Tensor:
    """Interpolate a frame linearly where a map says.

    Args:
        image: ``(channels, height, width)``.
        warp: ``(3, 3)``, takes each place (x, y, 1) of the answer to its place in the image, in units of half the
            frame's longer side around its center, so that angles are kept.
    """
    if torch.equal(warp, torch.eye(3)):
        return image
    height, width = image.shape[-2:]
    half = max(height, width) / 2
    rows, columns = torch.meshgrid(*(torch.arange(m) - (m - 1) / 2 for m in (height, width)), indexing="ij")
    places = torch.stack((columns, rows, torch.full_like(rows, half)), dim=-1) / half @ warp.T
    # From half the longer side to half of each side, the unit of grid_sample without aligned corners.
    grid = places[..., :2] * torch.tensor([2 * half / width, 2 * half / height])
    return functional.grid_sample(image[None], grid[None], mode="bilinear", align_corners=False)[0]


def rotate(strength: float, generator: Generator) -> Tensor:
    """Up to 30 degrees either way."""
    angle = _signed(strength * math.radians(30), generator)
    cosine, sine = math.cos(angle), math.sin(angle)
    return torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def translate(strength: float, generator: Generator) -> Tensor:
    """Up to 0.3 of half the longer side along each axis, either way."""
    x, y = (_signed(strength * 0.3, generator) for _ in range(2))
    return torch.tensor([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def shear(strength: float, generator: Generator) -> Tensor:
    """Up to 0.3 along x, either way; with a rotation it is one along any axis."""
    return torch.tensor([[1.0, _signed(strength * 0.3, generator), 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def scale(strength: float, generator: Generator) -> Tensor:
    """Up to 1.4 times as large or as small."""
    factor = math.exp(_signed(strength * math.log(1.4), generator))
    return torch.diag(torch.tensor([factor, factor, 1.0]))


def flip(strength: float, generator: Generator) -> Tensor:
    """Mirror left and right, in up to half of the cases: a flip has no size, its share has."""
    mirrored = bool(torch.rand((), generator=generator) < 0.5 * strength)
    return torch.diag(torch.tensor([-1.0 if mirrored else 1.0, 1.0, 1.0]))


def brightness(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Up to one standard deviation brighter or darker."""
    return image + _signed(strength, generator)


def contrast(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Up to twice or half the distance from the mean of each channel."""
    mean = image.mean(dim=(1, 2), keepdim=True)
    return mean + (image - mean) * 2.0 ** _signed(strength, generator)


def tone_curve(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Bends the tones as a gamma would, yet is defined for negative values; it never turns their order around."""
    bend = _signed(0.2 * strength, generator)
    return image + bend * (image.clamp(-2.5, 2.5).square() - 1.0)


def posterize(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Few tones: as far as half a standard deviation apart, at places that are drawn."""
    step = 0.5 * strength
    if step < 1e-4:  # below what can be seen, where the division runs out of digits
        return image
    offset = step * float(torch.rand((), generator=generator))
    return ((image - offset) / step).round() * step + offset


def sharpness(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Blurs or sharpens: up to 0.9 of the way to the mean of 3x3 pixels, or away from it."""
    smooth = functional.avg_pool2d(functional.pad(image[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
    return torch.lerp(image, smooth, _signed(0.9 * strength, generator))


def noise(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Independent normal noise in each pixel, up to 0.5 standard deviations."""
    return image + 0.5 * strength * torch.randn(image.shape, generator=generator)


def cutout(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """A square of up to half the shorter side becomes 0, the mean (DeVries and Taylor, arXiv:1708.04552).

    Its center lies anywhere, so that part of it may lie beyond the border.
    """
    height, width = image.shape[-2:]
    side = round(0.5 * strength * min(height, width))
    top, left = (int(torch.randint(length, (), generator=generator)) - side // 2 for length in (height, width))
    image = image.clone()
    image[:, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = 0.0
    return image


WARPS: dict[str, Warp] = {"rotate": rotate, "translate": translate, "shear": shear, "scale": scale, "flip": flip}
"""What moves pixels: each gives a ``(3, 3)`` map from places of the answer to places of the frame."""

TONES: dict[str, Tone] = {
    "brightness": brightness,
    "contrast": contrast,
    "tone-curve": tone_curve,
    "posterize": posterize,
    "sharpness": sharpness,
    "noise": noise,
    "cutout": cutout,
}
"""What changes pixels where they are."""


def _signed(amount: float, generator: Generator) -> float:
    """The amount or its negative; as in the paper the magnitude is fixed and the sign is drawn."""
    return amount if torch.rand((), generator=generator) < 0.5 else -amount
