"""How unlike a model's training images an input is: one number, 1 where flags begin, and what differs most."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gracile.errors import BundleError
from gracile.io.model_card import UNLIKE
from gracile.trust.appearance import Trait, appearance, traits_of
from gracile.trust.input_samples import Samples

AGAIN = "Copy the bundle again."

FEWEST = 3
"""Cases from which on anything is told; they must be of two subjects at least."""

DIRECTIONS = 8
"""Most directions in which training images are known to vary."""

PARTS = 10
"""Into which subjects are parted to see how far images lie from those of others."""

MARGIN = 1.2
"""How much farther than 95 of 100 training images lie from those of other subjects an input must lie to be flagged.
The 99th percentile was 1.0 to 1.25 times the 95th one, and of a few images the latter is steadier. Few subjects say
little of the next one: of n the distance is taken 1 + 1/n times."""

CLOSEST = 0.35
"""Smallest distance that is flagged: a third of what differs between devices that take the same kind of input."""

FOREIGN = 1.5
"""Distance from which on an input may be of another kind. Images of one kind from devices that a model has not seen lay
at 0.5 to 1.1 for the most part, those of other kinds at 0.9 to 4 (`benchmarks/unlike.py`)."""

REFUSED = 2.0
"""The same from which on it is refused where a recipe asks for that. Photographs of the retina from cameras that a
model had not seen, one side of them darkened to nothing, lay at 1.8 at most."""

APART = 1.5, 2.0
"""The same two, at least so many times the distance at which flags begin."""

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]


@dataclass(frozen=True)
class Likeness:
    """How an input compares with training images.

    Args:
        unlike: How far it lies from them; flags begin at 1.
        foreign: Whether it may be of another kind than they are.
        refused: Whether that is certain enough to refuse it.
        differs: What differs most, such as ``its colors``.
    """

    unlike: float
    foreign: bool
    refused: bool
    differs: str

    @property
    def flag(self) -> str:
        """What a person should read of it; empty where it is like them."""
        if self.foreign:
            return f"the input may be of another kind than the training images: {self.differs}"
        return f"the input is unlike the training images: {self.differs}" if self.unlike >= 1 else ""


class _Row(BaseModel):
    """What is known of a trait: mean, spread between devices, and how it goes along with each direction."""

    model_config = ConfigDict(extra="forbid")

    mean: Number
    spread: Annotated[float, Field(gt=0, le=1e6)]
    along: Annotated[list[Number], Field(max_length=DIRECTIONS)]


class Known(BaseModel):
    """What the training images look like.

    A trait's distance from its mean is counted in its spread between devices. In the directions in which training
    images vary, an input must go farther to be as unlike: the distance is Mahalanobis's, of the covariance 1 + L Lᵀ
    with the directions L, as a root mean square over traits.

    Args:
        cases: Images that were looked at.
        subjects: Of so many subjects.
        flagged_from: Distance at which flags begin.
        foreign_from: Distance from which on an input may be of another kind.
        refused_from: Distance from which on it is refused where the recipe asks for that.
        traits: By name.
    """

    model_config = ConfigDict(extra="forbid")

    cases: Annotated[int, Field(ge=FEWEST)]
    subjects: Annotated[int, Field(ge=1)]
    flagged_from: Annotated[float, Field(gt=0, le=1e6)]
    foreign_from: Annotated[float, Field(gt=0, le=1e6)]
    refused_from: Annotated[float, Field(gt=0, le=1e6)]
    traits: Annotated[dict[str, _Row], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if len({len(row.along) for row in self.traits.values()}) > 1:
            raise ValueError("traits have different numbers of directions")
        return self

    def likeness(self, look: Mapping[str, float], words: Mapping[str, Trait]) -> Likeness | None:
        """Compare an appearance; None where it shares no trait with what is known."""
        names = [name for name in self.traits if name in look and name in words]
        if not names:
            return None
        rows = [self.traits[name] for name in names]
        scaled = np.array([(look[name] - row.mean) / row.spread for name, row in zip(names, rows, strict=True)])
        parts = scaled * _whitened(scaled[None], np.array([row.along for row in rows]))[0]
        distance = float(np.sqrt(max(parts.mean(), 0.0)))
        groups: dict[str, list[float]] = defaultdict(list)
        for name, part in zip(names, parts, strict=True):
            groups[words[name].words].append(float(part))
        most = max(groups, key=lambda group: sum(groups[group]) / len(groups[group]) ** 0.5)
        return Likeness(
            distance / self.flagged_from, distance >= self.foreign_from, distance >= self.refused_from, most
        )


class Unlike:
    """The measure of a model.

    Args:
        known: What the training images of each of its members look like; the nearest counts. Empty tells nothing.
        why_not: Why nothing was learned; empty where it was, or was never tried.
    """

    def __init__(self, known: Sequence[Known] = (), why_not: str = "") -> None:
        self.known = list(known)
        self.why_not = why_not

    @classmethod
    def of(cls, looks: Sequence[Mapping[str, float]], subjects: Sequence[str], volume: bool) -> Self:
        """Learn it from training images.

        Flags begin beyond how far images lie from those of other subjects, see `MARGIN`.

        Args:
            looks: Appearance of each.
            subjects: Of each; images of one subject resemble each other.
            volume: Whether they are volumes.
        """
        if len(looks) < FEWEST:
            return cls(why_not=f"{len(looks)} training images are too few")
        if len(set(subjects)) < 2:
            return cls(why_not="all training images are of one subject")
        traits = traits_of(volume)
        spread = np.array([trait.spread for trait in traits.values()])
        values = np.array([[look[name] for name in traits] for look in looks])
        if not values.std(axis=0).max() > 1e-9:
            return cls(why_not="all training images are alike")
        scaled = values / spread
        groups = sorted(set(subjects))
        parts = [np.isin(subjects, groups[first::PARTS]) for first in range(min(PARTS, len(groups)))]
        apart = np.concatenate([_distances(scaled[part], scaled[~part]) for part in parts])
        flagged = max(CLOSEST, MARGIN * (1 + 1 / len(groups)) * float(np.percentile(apart, 95)))
        along = _directions(scaled)
        rows = {
            name: _Row(mean=_rounded(mean), spread=trait.spread, along=[_rounded(number) for number in directions])
            for (name, trait), mean, directions in zip(traits.items(), values.mean(axis=0), along, strict=True)
        }
        known = Known(
            cases=len(looks),
            subjects=len(groups),
            flagged_from=_rounded(flagged),
            foreign_from=_rounded(max(FOREIGN, APART[0] * flagged)),
            refused_from=_rounded(max(REFUSED, APART[1] * flagged)),
            traits=rows,
        )
        return cls([known])

    @classmethod
    def from_cards(cls, cards: Sequence[Mapping[str, Any]]) -> Self:
        """Read what `as_card` wrote into the cards of a bundle's members. Raises BundleError."""
        known, why_not = [], ""
        for card in cards:
            content = card.get(UNLIKE)
            if isinstance(content, Mapping) and set(content) == {"why_not"} and isinstance(content["why_not"], str):
                why_not = content["why_not"]
            elif content is not None:
                try:
                    known.append(Known.model_validate(content))
                except ValidationError as error:
                    raise BundleError(f"The card's {UNLIKE} is no such measure: {error}.", AGAIN) from None
        return cls(known, "" if known else why_not)

    def as_card(self) -> dict[str, Any]:
        """Plain data for a bundle's card, of a model of one member."""
        return self.known[0].model_dump() if self.known else {"why_not": self.why_not}

    def likeness(self, samples: Samples | None) -> Likeness | None:
        """Compare an input with the training images; None where nothing is known of them or of it."""
        if samples is None or not self.known:
            return None
        look, words = appearance(samples), traits_of(len(samples.extent) == 3)
        some = [found for known in self.known if (found := known.likeness(look, words)) is not None]
        return min(some, key=lambda found: found.unlike, default=None)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _directions(scaled: np.ndarray) -> np.ndarray:
    """``(traits, directions)``: principal directions of the images, as long as their standard deviation along each."""
    _, lengths, directions = np.linalg.svd(scaled - scaled.mean(axis=0), full_matrices=False)
    deviations = lengths[:DIRECTIONS] / np.sqrt(max(len(scaled) - 1, 1))
    return np.asarray(directions[:DIRECTIONS].T * deviations)


def _whitened(scaled: np.ndarray, along: np.ndarray) -> np.ndarray:
    """``(images, traits)`` times the inverse of 1 + L Lᵀ, by Woodbury's formula."""
    inner = np.eye(along.shape[1]) + along.T @ along
    return np.asarray(scaled - np.linalg.solve(inner, along.T @ scaled.T).T @ along.T)


def _distances(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """``(images,)``, how far images lie from some others."""
    apart = images - others.mean(axis=0)
    return np.asarray(np.sqrt(np.maximum((apart * _whitened(apart, _directions(others))).mean(axis=1), 0.0)))
