"""A gate's memory and its threshold on clips, chosen by what the gate said of people that it had not seen."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gracile.trust.gate_calibration import Calibration
from gracile.trust.promise import Promise, Wish, promised


class RememberingGate(Protocol):
    """What is asked of a gate, see `gracile.stages.gate.GateStage`."""

    def learned_memory(
        self, presence: np.ndarray, positive: np.ndarray, clips: np.ndarray, times: np.ndarray, subjects: np.ndarray,
        temperature: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
        """The numbers of the memory that labeled clips teach, and ``(frames,)`` what it says; NaN of no clip."""


@dataclass(frozen=True)
class OnClips:
    """What was chosen for clips.

    Args:
        numbers: ``(2,)`` of the memory.
        promise: The threshold of remembered probabilities, and what is promised of it; None where no frame of a clip
            shows the structures, so that the threshold of single pictures holds.
        presence: ``(frames,)`` remembered probabilities; NaN for frames of no clip.
    """

    numbers: np.ndarray
    promise: Promise | None
    presence: np.ndarray

    def threshold(self, chosen: Calibration) -> float:
        """Of remembered probabilities: that of single pictures where clips gave none."""
        return chosen.threshold if self.promise is None else self.promise.threshold

    def as_card(self) -> dict[str, Any]:
        """Plain data for a bundle's card, beside what `Calibration.as_card` tells of single pictures."""
        names = ("wander", "sharpness")
        content: dict[str, Any] = {name: round(float(v), 4) for name, v in zip(names, self.numbers, strict=True)}
        return {**content, "frames": int(np.isfinite(self.presence).sum())} | (
            {} if self.promise is None else {"promise": self.promise.as_card()}
        )


def calibrated_on_clips(gate: RememberingGate, chosen: Calibration, wish: Wish) -> OnClips | None:
    """Choose what a gate's memory needs; None of a gate without one, and where no clip teaches it.

    The memory's two numbers and its threshold rest on the same people. That is no part of what the promise's proofs
    allow; two numbers, of a few values each, can hardly be fitted to single people.

    Args:
        gate: Of an ensemble, its first member.
        chosen: Its calibration for single pictures.
        wish: What the threshold shall be good for.
    """
    first = chosen.scores[0]
    learned = gate.learned_memory(
        chosen.presence, chosen.positive, first.clips, first.times, first.subjects, chosen.temperatures[0]
    )
    if learned is None:
        return None
    numbers, presence = learned
    rows = np.isfinite(presence)
    shows = bool(chosen.positive[rows].any())
    promise = promised(presence[rows], chosen.positive[rows], first.subjects[rows], wish) if shows else None
    return OnClips(numbers, promise, presence)
