"""From probabilities to classes, and what is mended in a decided mask."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from gracile.recipe import DecisionSpec, Recipe

MUCH = 0.05
"""Share of a structure above which a person should look at what was mended."""


def decide(probabilities: np.ndarray, spec: DecisionSpec, written: Sequence[int] = ()) -> np.ndarray:
    """Class indices ``(*spatial)`` uint8 from ``(maps, *spatial)`` probabilities by the recipe's rule.

    Args:
        probabilities: Of the classes; or of what is in no region and of the regions.
        spec: The rule.
        written: Of regions, the class index that each is written as where it reaches the threshold, the later over
            the earlier; empty: the maps are classes.
    """
    if written:
        mask = np.zeros(probabilities.shape[1:], dtype=np.uint8)
        for region, index in zip(probabilities[1:], written, strict=True):
            mask[region >= spec.threshold] = index
    elif spec.rule == "argmax":
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


def mend(mask: np.ndarray, probabilities: np.ndarray, recipe: Recipe, spec: DecisionSpec) -> list[str]:
    """Tidy a picture's mask, and hold its trees together where that is asked for; in place. Gives flags."""
    flags = tidy(mask, recipe.class_names, spec)
    if spec.hold_together:
        from gracile.stages.trees import hold_together  # graphs take time to import, and few recipes need them

        flags += hold_together(mask, probabilities, list(recipe.structures.values()))
    return flags


def tidy(mask: np.ndarray, names: list[str], spec: DecisionSpec) -> list[str]:
    """Keep the largest island of classes of a mask and fill their holes, where asked; in place.

    No class is left empty: where the largest island of all classes together has none of it, it stays as it is.

    Args:
        mask: ``(*spatial)`` class indices of a picture, or of a volume in its prepared orientation.
        names: Of the classes, the background first.
        spec: What is asked for.

    Returns:
        Flags where much was changed.
    """
    flags = []
    apart = _without_largest(mask > 0) if spec.largest_only == "together" else None
    for index, name in enumerate(names[1:], start=1):
        own = mask == index
        if apart is not None:
            dropped = own & apart
            dropped &= bool((own & ~apart).any())
        elif _is_asked(spec.largest_only, name):
            dropped = _without_largest(own)
        else:
            dropped = np.zeros_like(own)
        if dropped.any():
            if dropped.sum() > MUCH * own.sum():
                flags.append(f"{name}: what lay apart from its largest island was left out, more than {MUCH:.0%} of it")
            mask[dropped] = 0
            own &= ~dropped
        if _is_asked(spec.fill_holes, name) and (holes := _holes(own) & (mask == 0)).any():
            mask[holes] = index
            if holes.sum() > MUCH * own.sum():
                flags.append(f"{name}: holes in it were filled, more than {MUCH:.0%} of it")
    return flags


def _is_asked(asked: bool | str | list[str], name: str) -> bool:
    """Whether something is asked for a class."""
    return name in asked if isinstance(asked, list) else asked is True


def _without_largest(own: np.ndarray) -> np.ndarray:
    """The samples that are not of the largest island (8 neighbors, 26 in volumes)."""
    islands, count = ndimage.label(own, structure=np.ones((3,) * own.ndim))
    if count < 2:
        return np.zeros_like(own)
    sizes = np.bincount(islands.ravel())
    sizes[0] = 0
    return own & (islands != sizes.argmax())


def _holes(own: np.ndarray) -> np.ndarray:
    """Background enclosed by the structure; in volumes within slices across the third axis."""
    if own.ndim == 2:
        return ndimage.binary_fill_holes(own) & ~own
    filled = np.stack([ndimage.binary_fill_holes(own[..., k]) for k in range(own.shape[-1])], axis=-1)
    return filled & ~own
