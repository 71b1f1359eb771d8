"""How alike the answers to the mirrored and turned copies of a case are, whose mean is what it is decided from."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np

from gracile.recipe import Recipe

Members = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
"""By structure: its maps of probabilities, and its classes in a mask."""

CLEARLY = 0.6
"""Share of the samples that copies disagree on which lie in one third of a structure, from which on that is said."""

_ENDS = {"S": "upper", "I": "lower", "A": "front", "P": "back", "L": "left", "R": "right"}
_OTHER = {"S": "I", "I": "S", "A": "P", "P": "A", "L": "R", "R": "L"}


def members_of(recipe: Recipe) -> Members:
    """The maps and the classes of each structure; a region has a map of its own."""
    if not recipe.regions:
        return {name: (classes, classes) for name, classes in recipe.structures.items()}
    return {name: ((number,), classes) for number, (name, classes) in enumerate(recipe.structures.items(), start=1)}


class Copies:
    """The masks that each of a case's copies alone would have been decided as.

    Args:
        decide: ``(maps, *spatial)`` probabilities to ``(*spatial)`` uint8 class indices.
    """

    def __init__(self, decide: Callable[[np.ndarray], np.ndarray]) -> None:
        self._decide = decide
        self.masks: list[np.ndarray] = []

    def take(self, probabilities: np.ndarray) -> None:
        """Keep what one copy is decided as."""
        self.masks.append(self._decide(probabilities))

    def signs(self, members: Members) -> dict[str, float]:
        """``agreement`` of each structure: the mean Dice over pairs of copies, 1 where no copy shows it."""
        if len(self.masks) < 2:
            return {}
        box = box_of(np.logical_or.reduce([mask > 0 for mask in self.masks]))
        if box is None:
            return dict.fromkeys((f"{name}: agreement" for name in members), 1.0)
        size = 2 + max(max(classes) for _, classes in members.values())  # one more, for classes of no structure
        masks = [np.minimum(mask[box], size - 1).ravel().astype(np.intp) for mask in self.masks]
        tables = [
            np.bincount(size * one + other, minlength=size**2).reshape(size, size)
            for one, other in combinations(masks, 2)
        ]
        return {
            f"{name}: agreement": fmean(_dice(table, list(classes)) for table in tables)
            for name, (_, classes) in members.items()
        }

    def by_slice(self, members: Members) -> dict[str, np.ndarray]:
        """The same in each slice across the third axis of a volume, ``(slices,)``."""
        if len(self.masks) < 2:
            return {}
        found = {}
        for name, (_, classes) in members.items():
            own = [np.isin(mask, classes) for mask in self.masks]
            counts = [one.sum(axis=(0, 1)) for one in own]
            each = []
            for one, other in combinations(range(len(own)), 2):
                both, sizes = (own[one] & own[other]).sum(axis=(0, 1)), counts[one] + counts[other]
                each.append(np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0))
            found[f"{name}: agreement"] = np.mean(each, axis=0)
        return found

    def place(self, ends: Sequence[tuple[str, str]]) -> str:
        """Where along the longest side of what was found the copies disagree, where that can be told in a word.

        Args:
            ends: Of each axis of a mask, what its first and its last third are called.
        """
        box = box_of(self.masks[0] > 0) if len(self.masks) > 1 else None
        if box is None:
            return ""
        first = self.masks[0][box]
        apart = np.logical_or.reduce([mask[box] != first for mask in self.masks[1:]])
        axis = int(np.argmax(first.shape))
        along = apart.sum(axis=tuple(other for other in range(apart.ndim) if other != axis))
        third, whole = max(1, len(along) // 3), int(along.sum())
        low, high = int(along[:third].sum()), int(along[-third:].sum())
        if not whole or max(low, high) < CLEARLY * whole:
            return ""
        return ends[axis][0] if low > high else ends[axis][1]


def ends_of(orientation: str = "") -> list[tuple[str, str]]:
    """What the first and the last third of each axis are called: of a volume by where its axes run to, as ``LAS``."""
    if not orientation:
        return [("at its upper end", "at its lower end"), ("at its left end", "at its right end")]
    return [(f"at its {_ENDS[_OTHER[letter]]} end", f"at its {_ENDS[letter]} end") for letter in orientation]


def box_of(there: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box that holds all that is there; None where nothing is."""
    box = []
    for axis in range(there.ndim):
        found = np.flatnonzero(there.any(axis=tuple(other for other in range(there.ndim) if other != axis)))
        if not found.size:
            return None
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)


def _dice(table: np.ndarray, classes: list[int]) -> float:
    """Dice of a structure from how often two masks say which classes."""
    sizes = int(table[classes].sum()) + int(table[:, classes].sum())
    return 2.0 * int(table[np.ix_(classes, classes)].sum()) / sizes if sizes else 1.0
