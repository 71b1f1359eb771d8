"""The gate stage: looks at the whole picture first and says whether the structures are there."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gracile.recipe import Recipe
from gracile.recipe.stages import PRESENT
from gracile.runners.base import Runner
from gracile.stages.base import Finding, Stage, State
from gracile.stages.views import softmax
from gracile.transforms import Prepared
from gracile.transforms.frames import Frame


class GateStage(Stage):
    """Tells kinds of frames apart, or frames with a structure from those without.

    Its network knows classes as equally frequent; the training frames' own shares come back in as a prior.
    Probabilities are calibrated by one temperature, and the gate is open from the stored threshold on.
    """

    kept = ("log_prior", "temperature", "threshold")
    looks_first = True

    def __init__(self, spec: Any, recipe: Recipe, run: Runner, state: State) -> None:
        super().__init__(spec, recipe, run, state)
        self.classes: list[str] = spec.kinds
        self.members = [recipe.class_names.index(name) for name in spec.structures]
        self.threshold = float(self.state["threshold"])
        self.peers: list[GateStage] = []

    def lead(self, peers: Sequence["GateStage"]) -> None:
        """Mean probabilities and the mean threshold decide."""
        self.peers = list(peers)
        self.threshold = float(np.mean([self.threshold, *(peer.threshold for peer in peers)]))

    def logits(self, prepared: Prepared) -> np.ndarray:
        """``(classes,)`` of a whole prepared picture, classes equally frequent."""
        frame = Frame.around(prepared.image.shape[-2:], self.spec.size)
        return self.run(frame.place(np.asarray(prepared.image, dtype=np.float32))[None])[0]

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities ``(..., classes)``, the training frames' shares as prior."""
        uniform = math.log(len(self.classes))
        return softmax((logits + self.state["log_prior"] + uniform) / self.state["temperature"], axis=-1)

    def presence(self, probabilities: np.ndarray) -> np.ndarray:
        """``(...,)`` probability that the structures are there."""
        open_for = self.spec.present or [PRESENT]
        return probabilities[..., [self.classes.index(name) for name in open_for]].sum(axis=-1)

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        if not self.spec.enabled:
            finding.notes.append(f"the gate {self.name} was switched off")
            return finding
        each = [gate.probabilities(gate.logits(prepared)) for gate in (self, *self.peers)]
        probabilities = np.mean(each, axis=0)
        present = float(self.presence(probabilities))
        is_open = present >= self.threshold
        if self.spec.classes:
            likeliest = int(probabilities.argmax())
            for index, name in enumerate(self.classes):
                finding.gates[name] = float(probabilities[index])
                finding.decisions[name] = index == likeliest
        else:
            finding.gates[self.spec.label] = present
            finding.decisions[self.spec.label] = is_open
        if not is_open:
            why = f"the gate {self.name} found it absent (probability {present:.3f}, needed {self.threshold:.3f})"
            finding.closed.update(dict.fromkeys(self.members, why))
        return finding

    def gate(self) -> dict[str, Any] | None:
        if not self.spec.enabled:
            return None
        return {
            "name": self.name,
            "present": list(self.spec.present) or [self.spec.label],
            "others": [kind for kind in self.spec.classes if kind not in self.spec.present],
            "threshold": round(self.threshold, 6),
        }
