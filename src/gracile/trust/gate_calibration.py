"""A gate's temperature and threshold, chosen by what it said of people that it had not seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gracile.trust.gate_scores import GateScores
from gracile.trust.promise import MEASURED, Promise, Wish, left_out_thresholds, promised

_MOST_LEFT_OUT = 200
"""People up to whom each is judged by the others' threshold."""

LONE_FRAMES = (
    "the data names nobody for more than one frame, so that each counts as a person: where some are of one person, "
    "less is promised than this says"
)


class Gate(Protocol):
    """What is asked of a gate, see `gracile.stages.gate.GateStage`."""

    open_for: list[int]
    """Indices of the kinds in which the structures are there."""

    temperature: float
    threshold: float

    def with_prior(self, logits: np.ndarray) -> np.ndarray:
        """``(..., kinds)`` logits, kinds as frequent as they were in training."""

    def probabilities(self, logits: np.ndarray, temperature: float | None = None) -> np.ndarray:
        """Calibrated probabilities ``(..., kinds)``."""

    def presence(self, probabilities: np.ndarray) -> np.ndarray:
        """``(...,)`` probability that the structures are there."""


@dataclass(frozen=True)
class Calibration:
    """What was chosen for a gate, or for that of an ensemble, whose members' probabilities are averaged.

    Args:
        temperatures: By which each member's logits are divided.
        threshold: Probability from which on the gate is open.
        promise: What is promised of the threshold; None where no frame shows the structures, so that it stayed.
        wish: What the threshold shall be good for.
        scores: What each member said of the same frames.
        presence: ``(frames,)`` calibrated probabilities that the structures are there.
        positive: ``(frames,)`` bool: they are.
        notes: What else a reader must know, as sentences without a full stop.
    """

    temperatures: list[float]
    threshold: float
    promise: Promise | None
    wish: Wish
    scores: list[GateScores]
    presence: np.ndarray
    positive: np.ndarray
    notes: list[str] = field(default_factory=list)

    @property
    def subjects(self) -> np.ndarray:
        """``(frames,)`` names of people."""
        return self.scores[0].subjects

    @property
    def figures(self) -> dict[str, float]:
        """What a card tells beside the epochs of a training.

        ``temperature``, ``threshold``, how many frames it was ``calibrated_on``, and at the threshold ``recall``, the
        mean over people, and ``false_alarm_rate``, of the frames without the structures; where defined.
        """
        figures = {"temperature": self.temperatures[0], "calibrated_on": float(self.scores[0].frames)}
        if self.promise is not None:
            figures["recall"] = self.promise.measured
        if not self.positive.all():
            figures["false_alarm_rate"] = float((self.presence[~self.positive] >= self.threshold).mean())
        return {**figures, "threshold": self.threshold}

    @property
    def sentences(self) -> list[str]:
        """What is promised, and the notes."""
        stays = "No frame shows the structures: the threshold stays as it was, and nothing is promised."
        first = stays if self.promise is None else self.promise.sentence
        return [first, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)]

    def left_out(self) -> tuple[float, float | None] | None:
        """Recall and false alarm rate were each person judged by the threshold that the others give.

        None where nobody else shows the structures, or where so many people are there that it says nothing new.
        """
        people = np.unique(self.subjects)
        if len(people) > _MOST_LEFT_OUT or not self.positive.any():
            return None
        thresholds = left_out_thresholds(self.presence, self.positive, self.subjects, self.wish)
        if not thresholds:
            return None
        passed = self.presence >= np.array([thresholds[person] for person in self.subjects])
        recalls = [passed[own & self.positive].mean() for own in (self.subjects == person for person in people)
                   if (own & self.positive).any()]  # fmt: skip
        alarms = None if self.positive.all() else float(passed[~self.positive].mean())
        return float(np.mean(recalls)), alarms

    @property
    def is_promised(self) -> bool:
        """Whether more is known than how it was on these people."""
        return self.promise is not None and self.promise.form != MEASURED

    def as_card(self) -> dict[str, Any]:
        """Plain data for a bundle's card: what is promised, in words too, and of whom."""
        people = {"people": len(np.unique(self.subjects)), "frames": self.scores[0].frames}
        content = {} if self.promise is None else {"promise": self.promise.as_card()}
        return {"in_words": " ".join(self.sentences), **people, **content}


def calibrated(gates: Sequence[Gate], scores: Sequence[GateScores], wish: Wish) -> Calibration:
    """Choose a gate's temperature, then its threshold; of an ensemble's, each temperature and the mean's threshold.

    With two kinds of frames one gate's temperature leaves their order as it is, so that what is promised of a threshold
    holds although the same people chose both; otherwise it does so but for these few numbers.

    Args:
        gates: Of the members; a gate by itself is one. They give the prior, and what stays where nothing can be chosen.
        scores: What each of them said, or gates like it, of people that they had not seen; of the same frames.
        wish: What the threshold shall be good for.
    """
    first = scores[0]
    notes = [LONE_FRAMES] if first.names_nobody else []
    temperatures = [gate.temperature for gate in gates]
    if len(np.unique(first.targets)) > 1:
        temperatures = [
            best_temperature(gate.with_prior(said.logits), said.targets)
            for gate, said in zip(gates, scores, strict=True)
        ]
    else:
        notes.append("every frame is of one kind: the temperature stays as it was")
    each = [
        gate.presence(gate.probabilities(said.logits, temperature))
        for gate, said, temperature in zip(gates, scores, temperatures, strict=True)
    ]
    presence, positive = np.mean(each, axis=0), np.isin(first.targets, gates[0].open_for)
    promise = promised(presence, positive, first.subjects, wish) if positive.any() else None
    if positive.all():
        notes.append("every frame shows the structures: of false alarms nothing is known")
    threshold = gates[0].threshold if promise is None else promise.threshold
    return Calibration(temperatures, threshold, promise, wish, list(scores), presence, positive, notes)


def best_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature from 0.05 to 20 with the smallest cross-entropy (Guo et al., ICML 2017).

    The cross-entropy is convex in the inverse temperature; a fine logarithmic grid is exact enough and cannot diverge.

    Args:
        logits: ``(frames, kinds)``.
        targets: ``(frames,)`` indices of the true kinds.
    """
    behind = np.asarray(logits, dtype=np.float64)
    behind = behind - behind[np.arange(len(targets)), targets][:, None]  # by how much each kind beats the true one
    grid = np.logspace(math.log10(0.05), math.log10(20), 400)
    entropies = [float(np.logaddexp.reduce(behind / temperature, axis=1).mean()) for temperature in grid]
    return float(grid[int(np.argmin(entropies))])
