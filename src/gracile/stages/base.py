"""What every stage has when it is applied: its settings, a network as a function of arrays, and its answer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from gracile.errors import BundleError
from gracile.geometry import Centerline
from gracile.recipe import Recipe
from gracile.result import Landmark
from gracile.runners.base import Computing, Runner
from gracile.transforms import Prepared
from gracile.transforms.column import Box

State = Mapping[str, np.ndarray]
"""The weights of a stage by name, as a bundle stores them."""


@dataclass
class Finding:
    """What the stages have found so far, on the prepared grid.

    Args:
        probabilities: ``(maps, *spatial)`` float32, or None before anything was delineated. The maps are the classes;
            of a recipe with regions, what is in none of them, and the regions.
        box: The part of a prepared volume that ``probabilities`` cover; None where they cover all.
        lines: The line along a structure, by the stage that found it.
        boxes: The box around what a stage found, in prepared voxels, by the stage; None where it found nothing.
        landmarks: Every landmark that a stage looked for, found or not.
        landmark_maps: Gives the ``(*spatial)`` float32 probabilities of the landmark of a number on the whole prepared
            grid; each is computed when it is asked for.
        gates: Probabilities that the gates gave, by structure or kind of frame.
        decisions: What the gates decided, by the same names.
        remembered: Of a frame of a clip: probability of presence by the gate with a memory, its neighbors counted in.
        closed: Why a class is left empty, by the index of the class.
        agreement: How alike the masks of an ensemble's members are, from 0 to 1; None without several masks.
        flags: What a person should look at in this case.
        notes: What is true of every case of the run, such as that a gate is switched off.
        extras: Further maps by name that a stage was asked to keep, such as those of the network's own size.
        signed: Whether stages shall leave signs, which cost a little.
        signs: What the answer shows of how far it can be trusted, as ``nerve: agreement``, see `gracile.stages.signs`.
        places: Where a sign is worst, in words, by its name; where that can be told.
        slices: Of a stage that follows a line, signs by slice of the prepared volume, ``(slices,)`` each.
        first_slice: The first of these slices.
    """

    probabilities: np.ndarray | None = None
    box: tuple[slice, slice, slice] | None = None
    lines: dict[str, Centerline] = field(default_factory=dict)
    boxes: dict[str, Box | None] = field(default_factory=dict)
    landmarks: list[Landmark] = field(default_factory=list)
    landmark_maps: Callable[[int], np.ndarray] | None = None
    gates: dict[str, float] = field(default_factory=dict)
    decisions: dict[str, bool] = field(default_factory=dict)
    remembered: Mapping[str, float] = field(default_factory=dict)
    closed: dict[int, str] = field(default_factory=dict)
    agreement: float | None = None
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    signed: bool = False
    signs: dict[str, float] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    slices: dict[str, np.ndarray] = field(default_factory=dict)
    first_slice: int = 0

    def take_copies(self, signs: Mapping[str, float], place: str) -> None:
        """Take the signs of copies of the case, and where these disagree."""
        self.signs |= signs
        if place:
            self.places |= dict.fromkeys(signs, place)


class Stage(ABC):
    """One decision of a cascade, applied to prepared arrays. How it learns is the matter of its `Learner`.

    Args:
        spec: Its entry in the recipe.
        recipe: The whole recipe.
        run: Its network as a function of arrays: prepared images ``(batch, channels, *spatial)`` float32 to logits.
            Where it has several, the first that `networks` names.
        state: Its weights by name; of these it takes what `keeps` names.

    Raises:
        BundleError: A weight that it needs is not there.
    """

    kept: ClassVar[tuple[str, ...]] = ()
    """What it needs of its weights besides its network, such as a threshold."""

    others: Mapping[str, Runner] = MappingProxyType({})
    """The other networks that `networks` names, by these names."""

    looks_first: ClassVar[bool] = False
    """Whether it looks at the case alone, and says for all members of an ensemble whether the others shall look."""

    def __init__(self, spec: Any, recipe: Recipe, run: Runner, state: State) -> None:
        self.spec = spec
        self.recipe = recipe
        self.run = run
        self.name: str = spec.name
        kept = self.keeps(spec)
        missing = [name for name in kept if name not in state]
        if missing:
            raise BundleError(
                f"The weights do not fit the stage {self.name!r}: {missing[0]} is missing.",
                "Use the recipe they were trained with.",
            )
        self.state = {name: np.asarray(state[name], dtype=np.float64) for name in kept}

    @classmethod
    def keeps(cls, spec: Any) -> tuple[str, ...]:
        """What it takes of its weights, as its entry in the recipe is set."""
        return cls.kept

    @classmethod
    def networks(cls, spec: Any) -> tuple[str, ...]:
        """Names of the networks that it runs; the one that bears none but the stage's own is ``""``."""
        return ("",)

    @classmethod
    def computing(cls, spec: Any, asked: Computing) -> Computing:
        """How its networks are to be computed, where that is more than what was asked for."""
        return asked

    @abstractmethod
    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        """Add this stage's answer to what was found so far."""

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """``(maps, *spatial)`` probabilities to ``(*spatial)`` uint8 class indices."""
        raise NotImplementedError(f"the stage {self.name!r} gives no maps")

    def tidy(self, mask: np.ndarray, probabilities: np.ndarray) -> list[str]:
        """Mend a mask that was decided from probabilities, in place; gives flags where much was changed."""
        return []

    def lead(self, peers: Sequence[Any]) -> None:
        """Speak from now on for the same stage of an ensemble's other members too; asked of those that look first."""
        raise NotImplementedError(f"the stage {self.name!r} does not look first")

    def gate(self) -> dict[str, Any] | None:
        """Of a gate that is on, for clips: the kinds of frames that open it, the others, the probability that they need
        and, of one with a memory, how long a frame waits.
        """
        return None
