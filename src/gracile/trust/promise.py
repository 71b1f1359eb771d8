"""A gate's threshold for a stated recall, and what may be promised of it: something about people, not about frames.

Frames of one person resemble each other, so that each person counts once. A person's loss at a threshold is the share
of its frames with the structures that do not pass; recall is one minus the mean loss over people. Who has no such frame
counts for nothing. Two forms can be promised of people like those that a threshold was chosen on:

- ``average``: over all such choices, a new person's frames are lost at the stated share in the mean;
- ``confidence``: but for the stated share of such choices, the mean loss over all people is at most the stated one.

Both need people. With fewer a threshold is what it was on those there are, a measured trade, and is called that.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gracile.errors import BundleError, DataError

Form = Literal["average", "confidence"]
MEASURED: Literal["measured"] = "measured"

_TINY = 1e-9
"""By which sums of rounded numbers may miss what they must reach."""

_BELOW, _HIGHEST = 1e-3, 1 - 1e-6
"""Share by which a threshold's odds lie below those of the frame that must pass, as rounding differs between machines;
and where a threshold ends, as a probability of 1 may come out a little lower."""

Keeps = Callable[[np.ndarray], bool]
"""Whether ``(people,)`` losses are small enough; where they are, smaller ones are too."""


@dataclass(frozen=True)
class Wish:
    """What a threshold shall be good for.

    Args:
        recall: Share of the frames with the structures that shall pass, from 0 to 1.
        form: What shall be promised of it.
        confidence: Of the form ``confidence``, above 0 and below 1.
    """

    recall: float = 0.95
    form: Form = "average"
    confidence: float = 0.95

    @property
    def people_needed(self) -> int | None:
        """The fewest people who can carry it, were no frame of theirs lost; None where no number of them can."""
        lost, doubt = 1.0 - self.recall, 1.0 - self.confidence
        if lost <= _TINY:
            return None
        if self.form == "average":
            return max(1, math.ceil(1.0 / lost - 1.0 - _TINY))
        return max(1, math.ceil(math.log(doubt) / math.log1p(-lost) - _TINY))

    @property
    def keeps(self) -> Keeps:
        """Whether losses keep the promise."""
        if self.form == "average":
            return lambda losses: kept_on_average(losses, 1.0 - self.recall)
        return lambda losses: kept_with_confidence(losses, 1.0 - self.recall, 1.0 - self.confidence)


@dataclass(frozen=True)
class Promise:
    """A threshold with what is promised of it.

    Args:
        form: ``average``, ``confidence``, or ``measured``: nothing is promised.
        asked: The form that was asked for.
        recall: Share of the frames with the structures that was asked to pass, in the mean over people.
        confidence: Of the form ``confidence``; None otherwise.
        people: Those with such frames, on whom it rests.
        needed: The fewest who could carry what was asked for; None where no number of them can.
        threshold: Probability from which on a frame passes.
        measured: Share of these people's frames that passes at it, in the mean over them.
    """

    form: Literal["average", "confidence", "measured"]
    asked: Form
    recall: float
    confidence: float | None
    people: int
    needed: int | None
    threshold: float
    measured: float

    @property
    def sentence(self) -> str:
        """What it says, for people."""
        share, rests = f"{100 * self.recall:g} %", f"it rests on {_people(self.people)}"
        if self.form == "average":
            return (
                f"Promised on average: in the mean over new people, {share} or more of the frames that show the "
                f"structures pass; {rests} (conformal risk control)."
            )
        if self.form == "confidence":
            return (
                f"Promised with {100 * (self.confidence or 0):g} % confidence: in the mean over people, {share} or "
                f"more of the frames that show the structures pass; {rests} (exact binomial bound)."
            )
        words = "on average" if self.asked == "average" else f"with {100 * (self.confidence or 0):g} % confidence"
        lacking = f"needs {_people(self.needed)}, and {self.people} showed the structures" if self.needed else ""
        lacking = lacking or "can be carried by no number of people"
        return (
            f"A measured trade, nothing is promised: a recall of {self.recall:g} {words} {lacking}. "
            f"Of the frames of these that show them, {100 * self.measured:.1f} % passed, in the mean over people."
        )

    def as_card(self) -> dict[str, Any]:
        """Plain data for a bundle's card."""
        return {**asdict(self), "threshold": round(self.threshold, 6), "measured": round(self.measured, 4)}

    @classmethod
    def from_card(cls, content: Mapping[str, Any]) -> Self:
        """Read what `as_card` wrote. Raises BundleError."""
        try:
            return TypeAdapter(cls).validate_python(content)
        except ValidationError as error:
            raise BundleError(f"The card's promise of a gate is none: {error}.", "Copy the bundle again.") from None


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def kept_on_average(losses: np.ndarray, most: float) -> bool:
    """Whether a new person's expected loss is at most ``most``: conformal risk control.

    ``n / (n + 1) * mean(losses) + 1 / (n + 1) <= most``, as a new person may lose everything (Angelopoulos, Bates,
    Fisch, Lei and Schuster, Conformal Risk Control, ICLR 2024, equation 4, with B = 1).
    """
    return bool((losses.sum() + 1.0) / (losses.size + 1) <= most + _TINY)


def kept_with_confidence(losses: np.ndarray, most: float, doubt: float) -> bool:
    """Whether it can be said, wrongly in at most a share ``doubt`` of all cases, that the mean loss is below ``most``.

    One frame of each person, drawn by lot, is lost or not with exactly the person's loss as its probability. So the
    number lost is binomial, and up to ``allowed`` of them reject a mean loss of ``most`` (Clopper and Pearson,
    Biometrika 1934). Over all draws, the share of them that rejects it, divided by the probability of that, is an
    e-value, as means of e-values are; it must reach ``1 / doubt`` (Vovk and Wang, Annals of Statistics 2021, section
    2). No lot decides, and where all of a person's frames are lost or none, it is the exact bound.
    """
    from scipy.special import bdtr  # slow to import

    rejected = bdtr(np.arange(losses.size), losses.size, most)  # P(lost <= k) at a mean loss of ``most``
    allowed = int((rejected <= doubt + _TINY).sum()) - 1
    if allowed < 0:
        return False
    lost = np.eye(1, allowed + 1)[0]  # probabilities of 0, 1, ... lost of the people so far
    for loss in losses:
        lost = lost * (1.0 - loss) + np.concatenate([[0.0], lost[:-1]]) * loss
    return bool(lost.sum() >= min(1.0, rejected[allowed] / doubt) - _TINY)


def people_with(presence: np.ndarray, positive: np.ndarray, subjects: np.ndarray) -> list[np.ndarray]:
    """Sorted probabilities of the frames with the structures, of each person who has such frames.

    Args:
        presence: ``(frames,)`` probabilities that the structures are there.
        positive: ``(frames,)`` bool: they are.
        subjects: ``(frames,)`` names of people.
    """
    there, of = presence[positive], subjects[positive]
    return [np.sort(there[of == person]) for person in np.unique(of)]


def losses_at(people: Sequence[np.ndarray], threshold: float) -> np.ndarray:
    """``(people,)`` share of each person's frames below a threshold; see `people_with`."""
    return np.array([np.searchsorted(frames, threshold) / frames.size for frames in people])


def promised(presence: np.ndarray, positive: np.ndarray, subjects: np.ndarray, wish: Wish) -> Promise:
    """The highest threshold that keeps what is wished for, or the measured trade where too few people can carry it.

    Thresholds are tried from below on. That is one test, not many: a higher threshold loses no fewer frames, so that
    it cannot keep a promise that a lower one breaks, and the first that breaks it is the only one whose test could have
    been wrong (Bates, Angelopoulos, Lei, Malik and Jordan, Distribution-free, Risk-controlling Prediction Sets, Journal
    of the ACM 2021, theorem 1).

    Args:
        presence: ``(frames,)`` probabilities that the structures are there, by a gate that saw none of these people.
        positive: ``(frames,)`` bool: they are.
        subjects: ``(frames,)`` names of people.
        wish: What the threshold shall be good for.

    Raises:
        DataError: No frame shows the structures.
    """
    people = people_with(presence, positive, subjects)
    if not people:
        raise DataError(
            "No frame shows the structures, and a threshold is chosen on frames that do.", "Add frames that show them."
        )
    needed = wish.people_needed
    carried = needed is not None and len(people) >= needed
    keeps = wish.keeps if carried else lambda losses: bool(losses.mean() <= 1.0 - wish.recall + _TINY)
    tried = np.unique(np.concatenate(people))
    low, high = 0, tried.size - 1  # at the lowest nothing is lost
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if keeps(losses_at(people, tried[middle])) else (low, middle - 1)
    passes = float(tried[low])
    threshold = min(passes * (1.0 - _BELOW) / (1.0 - passes * _BELOW), _HIGHEST)
    return Promise(
        wish.form if carried else MEASURED, wish.form, wish.recall,
        wish.confidence if wish.form == "confidence" else None, len(people), needed, threshold,
        1.0 - float(losses_at(people, threshold).mean()),
    )  # fmt: skip


def left_out_thresholds(
    presence: np.ndarray, positive: np.ndarray, subjects: np.ndarray, wish: Wish
) -> dict[str, float]:  # fmt: skip
    """For each person the threshold that the others give, so that a person is judged by what it had no part in.

    Arguments as of `promised`; empty where none of the others show the structures.
    """
    thresholds = {}
    for person in np.unique(subjects):
        others = subjects != person
        if not (positive & others).any():
            return {}
        thresholds[person] = promised(presence[others], positive[others], subjects[others], wish).threshold
    return thresholds
