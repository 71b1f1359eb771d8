"""The gate stage: looks at the whole picture first and says whether the structures are there."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.recipe import GateSpec, Recipe
from gracile.recipe.stages import NO, PRESENT, YES
from gracile.runners.base import Runner
from gracile.stages.base import Finding, Stage, State
from gracile.stages.memory import JudgedClip, Memory, learned_memory, rows_by_clip
from gracile.stages.views import softmax
from gracile.transforms import Prepared
from gracile.transforms.frames import Frame

MEMORY = ("memory", "memory_threshold")
"""What a memory keeps: its `wander` and `sharpness`, see `gracile.stages.memory`, and a threshold of its own."""


def kind_shown(spec: GateSpec, members: Sequence[int], case: Prepared) -> int | None:
    """Index of the kind of frame that a case is, by its data; None where they do not say.

    Args:
        spec: The gate.
        members: Indices of its structures among the recipe's classes.
        case: With its truth, where it has one.

    Raises:
        DataError: Its frame class is none of this gate's.
    """
    if spec.classes:
        return _named(spec, case.frame_class) if case.frame_class else None
    if case.frame_class:
        word = case.frame_class.casefold()
        if word in (*YES, *NO):
            return int(word in YES)
        return int(word in (name.casefold() for name in spec.structures))
    if case.truth is None:
        return None
    return int(float(case.truth[list(members)].sum()) > spec.smallest)


def _named(spec: GateSpec, name: str) -> int:
    folded = [kind.casefold() for kind in spec.classes]
    if name.casefold() not in folded:
        raise DataError(f"There is no frame class {name!r}.", f"The gate tells {', '.join(spec.classes)} apart.")
    return folded.index(name.casefold())


class GateStage(Stage):
    """Tells kinds of frames apart, or frames with a structure from those without.

    Its network knows classes as equally frequent; the training frames' own shares come back in as a prior.
    Probabilities are calibrated by one temperature, and the gate is open from the stored threshold on. On clips it may
    have a memory, with a threshold of its own; a single picture is decided without.
    """

    kept = ("log_prior", "temperature", "threshold")
    looks_first = True

    @classmethod
    def keeps(cls, spec: Any) -> tuple[str, ...]:
        return (*cls.kept, *MEMORY) if spec.memory != "none" else cls.kept

    def __init__(self, spec: Any, recipe: Recipe, run: Runner, state: State) -> None:
        super().__init__(spec, recipe, run, state)
        self.classes: list[str] = spec.kinds
        self.members = [recipe.class_names.index(name) for name in spec.structures]
        self.open_for = [self.classes.index(name) for name in spec.present or [PRESENT]]
        self.temperature = float(self.state["temperature"])
        self.threshold = float(self.state["threshold"])
        self.peers: list[GateStage] = []
        self.memory: Memory | None = None
        self.memory_threshold = self.threshold
        if spec.memory != "none" and (self.state["memory"] > 0).all():  # zeros where no clip taught it
            wander, sharpness = map(float, self.state["memory"])
            self.memory = Memory(wander, sharpness, self.prior(), spec.memory_delay)
            self.memory_threshold = float(self.state["memory_threshold"])

    def lead(self, peers: Sequence["GateStage"]) -> None:
        """Mean probabilities and the mean threshold decide; the memory is its own."""
        self.peers = list(peers)
        every = [self, *peers]
        self.threshold = float(np.mean([gate.threshold for gate in every]))
        self.memory_threshold = float(np.mean([gate.memory_threshold for gate in every]))

    def logits(self, prepared: Prepared) -> np.ndarray:
        """``(classes,)`` of a whole prepared picture, classes equally frequent."""
        frame = Frame.around(prepared.image.shape[-2:], self.spec.size)
        return self.run(frame.place(np.asarray(prepared.image, dtype=np.float32))[None])[0]

    def with_prior(self, logits: np.ndarray) -> np.ndarray:
        """``(..., classes)`` logits with the training frames' shares as prior."""
        return logits + self.state["log_prior"] + math.log(len(self.classes))

    def probabilities(self, logits: np.ndarray, temperature: float | None = None) -> np.ndarray:
        """Calibrated probabilities ``(..., classes)``, by another temperature than its own if asked."""
        return softmax(self.with_prior(logits) / (temperature or self.temperature), axis=-1)

    def presence(self, probabilities: np.ndarray) -> np.ndarray:
        """``(...,)`` probability that the structures are there."""
        return probabilities[..., self.open_for].sum(axis=-1)

    def said(self, prepared: Prepared) -> np.ndarray:
        """``(classes,)`` probabilities of a prepared picture, those of all members of an ensemble together."""
        return np.asarray(np.mean([gate.probabilities(gate.logits(prepared)) for gate in (self, *self.peers)], axis=0))

    def evidence(self, presence: np.ndarray, temperature: float | None = None) -> np.ndarray:
        """``(...,)`` log likelihood ratios of there and not there that probabilities of presence stand for.

        Args:
            presence: ``(...,)``, as calibrated by ``temperature``.
            temperature: Another one than its own.
        """
        present = np.clip(presence, 1e-12, 1.0 - 1e-12)
        return np.asarray(np.log(present / (1.0 - present)) - self.prior(temperature))

    def prior(self, temperature: float | None = None) -> float:
        """Log odds that the structures are there, before anything is seen."""
        share = float(self.presence(self.probabilities(np.zeros(len(self.classes)), temperature)))
        return math.log(share / (1.0 - share))

    def learned_memory(
        self, presence: np.ndarray, positive: np.ndarray, clips: np.ndarray, times: np.ndarray, subjects: np.ndarray,
        temperature: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
        """The numbers of the memory that labeled clips teach, and what it then says of their frames.

        Args:
            presence: ``(frames,)`` probabilities, as calibrated by ``temperature``, of people that it had not seen.
            positive: ``(frames,)`` bool: the structures are there.
            clips: ``(frames,)`` names of clips, no two people's alike.
            times: ``(frames,)`` seconds; NaN where not known.
            subjects: ``(frames,)`` names of people.
            temperature: Another one than its own.

        Returns:
            ``(2,)`` numbers as `MEMORY` has them, and ``(frames,)`` probabilities, NaN for frames of no clip; None
            where it has no memory, or no clip of several frames teaches it.
        """
        rows = rows_by_clip(clips, times) if self.spec.memory != "none" else []
        evidence = self.evidence(presence, temperature)
        judged = [JudgedClip(evidence[own], positive[own], times[own], str(subjects[own[0]])) for own in rows]
        memory = learned_memory(judged, self.prior(temperature), self.spec.memory_delay)
        if memory is None:
            return None
        told = np.full(len(presence), np.nan)
        for own, clip in zip(rows, judged, strict=True):
            told[own] = memory.of_clip(clip.evidence, clip.times)
        return np.array([memory.wander, memory.sharpness]), told

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        if not self.spec.enabled:
            finding.notes.append(f"the gate {self.name} was switched off")
            return finding
        remembered = finding.remembered.get(self.name)
        if remembered is None:
            probabilities, threshold = self.said(prepared), self.threshold
        else:
            probabilities, threshold = np.array([1.0 - remembered, remembered]), self.memory_threshold
        present = float(self.presence(probabilities))
        is_open = present >= threshold
        if self.spec.classes:
            likeliest = int(probabilities.argmax())
            for index, name in enumerate(self.classes):
                finding.gates[name] = float(probabilities[index])
                finding.decisions[name] = index == likeliest
        else:
            finding.gates[self.spec.label] = present
            finding.decisions[self.spec.label] = is_open
        if not is_open:
            why = f"the gate {self.name} found it absent (probability {present:.3f}, needed {threshold:.3f})"
            finding.closed.update(dict.fromkeys(self.members, why))
        return finding

    def gate(self) -> dict[str, Any] | None:
        if not self.spec.enabled:
            return None
        remembers = self.memory is not None
        return {
            "name": self.name,
            "present": list(self.spec.present) or [self.spec.label],
            "others": [kind for kind in self.spec.classes if kind not in self.spec.present],
            "threshold": round(self.memory_threshold if remembers else self.threshold, 6),
            **({"delay_s": self.spec.memory_delay} if remembers else {}),
        }
