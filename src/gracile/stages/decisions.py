"""From probabilities to classes, and what is mended in a decided mask."""

import numpy as np
from scipy import ndimage

from gracile.recipe import DecisionSpec

MUCH = 0.05
"""Share of a structure above which a person should look at what was mended."""


def decide(probabilities: np.ndarray, spec: DecisionSpec) -> np.ndarray:
    """Class indices ``(*spatial)`` uint8 from ``(classes, *spatial)`` probabilities by the recipe's rule."""
    if spec.rule == "argmax":
        mask = _likeliest(probabilities)
    else:
        likeliest = _likeliest(probabilities[1:]) + np.uint8(1)
        mask = np.where(1.0 - probabilities[0] >= spec.threshold, likeliest, np.uint8(0))
    if spec.smallest:
        islands, _ = ndimage.label(mask > 0, structure=np.ones((3,) * mask.ndim))
        mask[np.bincount(islands.ravel())[islands] < spec.smallest] = 0
    return mask


def _likeliest(probabilities: np.ndarray) -> np.ndarray:
    """``argmax`` over the first axis as uint8; numpy's own takes many times as long over so short an axis."""
    index = np.zeros(probabilities.shape[1:], dtype=np.uint8)
    best = probabilities[0]
    for number in range(1, len(probabilities)):
        np.copyto(index, np.uint8(number), where=probabilities[number] > best)
        if number + 1 < len(probabilities):
            best = np.maximum(best, probabilities[number])
    return index


def tidy(mask: np.ndarray, names: list[str], spec: DecisionSpec) -> list[str]:
    """Keep the largest island of each class of a volume's mask and fill its holes, where asked; in place.

    Returns:
        Flags where much was changed.
    """
    flags = []
    for index, name in enumerate(names[1:], start=1):
        own = mask == index
        if spec.largest_only and (dropped := _without_largest(own)).any():
            if dropped.sum() > MUCH * own.sum():
                flags.append(f"{name}: what lay apart from its largest island was left out, more than {MUCH:.0%} of it")
            mask[dropped] = 0
            own &= ~dropped
        if spec.fill_holes and (holes := _holes(own) & (mask == 0)).any():
            mask[holes] = index
            if holes.sum() > MUCH * own.sum():
                flags.append(f"{name}: holes in it were filled, more than {MUCH:.0%} of it")
    return flags


def _without_largest(own: np.ndarray) -> np.ndarray:
    """The voxels that are not of the largest island (26 neighbors)."""
    islands, count = ndimage.label(own, structure=np.ones((3, 3, 3)))
    if count < 2:
        return np.zeros_like(own)
    sizes = np.bincount(islands.ravel())
    sizes[0] = 0
    return own & (islands != sizes.argmax())


def _holes(own: np.ndarray) -> np.ndarray:
    """Background enclosed by the structure within slices across the third axis."""
    filled = np.stack([ndimage.binary_fill_holes(own[..., k]) for k in range(own.shape[-1])], axis=-1)
    return filled & ~own
