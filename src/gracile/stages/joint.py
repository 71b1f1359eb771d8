"""What the members of an ensemble found, as one finding: maps and points are averaged before anything is decided."""

from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np

from gracile.recipe import Recipe
from gracile.result import Landmark
from gracile.stages.base import Finding
from gracile.stages.signs import joined_signs

DISAGREE_MM = 3.0
"""Distance in mm of a member's point from the mean of all above which a person should look."""

Box = tuple[slice, ...]
Decide = Callable[[np.ndarray], np.ndarray]


class Joint:
    """Takes the findings of members one after the other; memory holds one sum of maps, and a mask for each member.

    Args:
        recipe: Names classes and landmarks.
        shape: ``(*spatial)`` of the prepared case.
        decide: ``(classes, *spatial)`` probabilities to ``(*spatial)`` class indices, to compare members by.
    """

    def __init__(self, recipe: Recipe, shape: Sequence[int], decide: Decide) -> None:
        self._structures = recipe.structures
        self._outside = np.ones(1, dtype=np.float32)
        self._shape = tuple(shape)
        self._decide = decide
        self._count = 0
        self._painted = False
        self._total: np.ndarray | None = None
        self._box: Box = ()
        self._masks: list[tuple[Box, np.ndarray]] = []
        self._members: list[Finding] = []

    def add(self, own: Finding) -> None:
        """Take a member's finding; its maps are used up.

        A class that it closed, or what it did not look at, is background to it.
        """
        maps, own.probabilities = own.probabilities, None
        self._painted |= maps is not None or bool(own.closed)
        box = own.box or tuple(slice(0, length) for length in self._shape)
        if maps is not None:
            for index in own.closed:
                maps[0] += maps[index]
                maps[index] = 0.0
            self._outside = np.array([1.0, *[0.0] * (len(maps) - 1)], dtype=np.float32)
            self._masks.append((box, self._decide(maps)))
            self._widen(box)
            assert self._total is not None
            inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, self._box, strict=True))
            everywhere = self._total.shape[1:] == maps.shape[1:]
            if not everywhere:
                self._total += self._lifted()
                maps = maps - self._lifted()
            self._total[(slice(None), *inner)] += maps
        elif self._painted:
            self._masks.append((tuple(slice(0, 0) for _ in self._shape), np.zeros((0,) * len(self._shape), np.uint8)))
            if self._total is not None:
                self._total += self._lifted()
        self._count += 1
        self._members.append(own)

    def _lifted(self) -> np.ndarray:
        """Probabilities of what was not looked at, to be added to maps."""
        return self._outside.reshape(-1, *[1] * len(self._shape))

    def _widen(self, box: Box) -> None:
        """Let the sum cover a box too; members so far looked at none of what is new."""
        if self._total is None:
            wider, before = box, None
        else:
            before = self._box
            wider = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(before, box, strict=True))
            if wider == before:
                return
        total = np.empty((len(self._outside), *(side.stop - side.start for side in wider)), dtype=np.float32)
        total[:] = self._lifted() * self._count
        if before is not None:
            inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(before, wider, strict=True))
            total[(slice(None), *inner)] = self._total
        self._total, self._box = total, wider

    def finding(self, first: Finding) -> Finding:
        """All of it, added to what was found before any member looked: flags, notes and gates go on behind it."""
        members, joint = self._members, first
        if self._total is not None:
            joint.probabilities = self._total / np.float32(self._count)
            whole = all(side == slice(0, length) for side, length in zip(self._box, self._shape, strict=True))
            joint.box = None if whole else self._box  # type: ignore[assignment]
        for name in dict.fromkeys(name for own in members for name in own.gates):
            joint.gates[name] = fmean(own.gates[name] for own in members if name in own.gates)
            joint.decisions[name] = 2 * sum(own.decisions.get(name, False) for own in members) >= len(members)
        for index in members[0].closed:
            if all(index in own.closed for own in members):
                joint.closed.setdefault(index, members[0].closed[index])
        for own in members:
            for name, line in own.lines.items():
                joint.lines.setdefault(name, line)
            for name, maps in own.extras.items():
                joint.extras.setdefault(name, maps)
        joint.flags += dict.fromkeys(flag for own in members for flag in own.flags)
        joint.notes += dict.fromkeys(note for own in members for note in own.notes)
        joint.agreement = self._agreement()
        joint.signs |= joined_signs([own.signs for own in members])
        for own in members:
            joint.places |= {name: place for name, place in own.places.items() if name not in joint.places}
        joint.slices, joint.first_slice = members[0].slices, members[0].first_slice
        self._add_landmarks(joint)
        return joint

    def _agreement(self) -> float | None:
        """Mean Dice over structures and pairs of members; two empty masks agree."""
        if len(self._masks) < 2:
            return None
        pairs = combinations(self._masks, 2)
        return fmean(_dice(one, other, classes) for one, other in pairs for classes in self._structures.values())

    def _add_landmarks(self, joint: Finding) -> None:
        found = [own for own in self._members if own.landmarks]
        if not found:
            return
        for same in zip(*(own.landmarks for own in found), strict=True):
            landmark, farthest = joined(same)
            joint.landmarks.append(landmark)
            if farthest > DISAGREE_MM:
                joint.flags.append(f"{landmark.name}: the members disagree by up to {farthest:.1f} mm from their mean")
        makers = [own.landmark_maps for own in found if own.landmark_maps is not None]
        if makers:
            joint.landmark_maps = lambda number: np.asarray(
                np.mean([make(number) for make in makers], axis=0), dtype=np.float32
            )


def joined(members: Sequence[Landmark]) -> tuple[Landmark, float]:
    """One landmark as members found it: the mean of its places, weighted by their probabilities.

    It is found where at least half of the members found it.

    Returns:
        The landmark, whose uncertainty holds the members' spread too, and the largest distance in mm of a member's
        place from the mean.
    """
    placed = [(one.point_mm, one) for one in members if one.point_mm is not None]
    sure = fmean(one.probability for one in members)
    if 2 * len(placed) < len(members):
        why = next(one.note for one in members if one.point_mm is None)
        said = f"{len(placed)} of {len(members)} members found it"
        return Landmark(members[0].name, None, sure, None, f"{said}: {why}" if why else said), 0.0
    places = np.stack([place for place, _ in placed])
    weights = np.array([max(one.probability, 1e-6) for _, one in placed])
    mean = np.average(places, axis=0, weights=weights)
    away = np.linalg.norm(places - mean, axis=1)
    own = np.array([one.uncertainty_mm or 0.0 for _, one in placed])
    spread = float(np.sqrt(np.average(own**2 + away**2, weights=weights)))
    note = next((one.note for _, one in placed if one.note), "")
    return Landmark(members[0].name, mean, sure, spread, note), float(away.max())


def _dice(one: tuple[Box, np.ndarray], other: tuple[Box, np.ndarray], classes: tuple[int, ...]) -> float:
    """Dice of a structure in two masks, each of a box of its own, outside of which it is not."""
    first, second = np.isin(one[1], classes), np.isin(other[1], classes)
    sizes = int(first.sum()) + int(second.sum())
    if not sizes:
        return 1.0
    common = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one[0], other[0], strict=True)
    )  # fmt: skip
    if any(side.stop <= side.start for side in common):
        return 0.0
    parts = [
        mask[tuple(slice(c.start - b.start, c.stop - b.start) for c, b in zip(common, box, strict=True))]
        for mask, box in ((first, one[0]), (second, other[0]))
    ]
    return 2.0 * int((parts[0] & parts[1]).sum()) / sizes
