"""What the gates of a bundle say of labeled cases, and what its other stages would paint without them."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gracile.bundle import Bundle
from gracile.case import Moment
from gracile.data import CaseFiles, read_case
from gracile.errors import GracileError
from gracile.evaluation import GatedFrames
from gracile.pipeline import Pipeline
from gracile.recipe import GateSpec, recipe_with
from gracile.result import Result
from gracile.runners import Computing
from gracile.stages.gate import GateStage, kind_shown
from gracile.transforms import Prepared, prepare
from gracile.trust import Calibration, GateScores, OnClips
from gracile.trust.gate_scores import clips_and_times

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
"""Told how many cases are done, of how many, and the name of the last."""


@dataclass
class GateAnswers:
    """What a gate said of the cases whose kind is known, one by one.

    Args:
        gate: The gate; of an ensemble that of each member.
    """

    gate: list[GateStage]
    subjects: list[str] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    logits: list[list[np.ndarray]] = field(default_factory=list)
    moments: list[Moment | None] = field(default_factory=list)
    painted: list[bool | None] = field(default_factory=list)
    gate_seconds: list[float] = field(default_factory=list)
    other_seconds: list[float] = field(default_factory=list)

    @property
    def scores(self) -> list[GateScores]:
        """As a calibration takes them, of each member."""
        subjects, targets = np.array(self.subjects, dtype=str), np.array(self.targets, dtype=int)
        clips, times = clips_and_times(self.moments, self.subjects)
        kinds = len(self.gate[0].classes)
        logits = [
            np.array([said[member] for said in self.logits]).reshape(-1, kinds) for member in range(len(self.gate))
        ]
        return [GateScores(subjects, targets, said, clips, times) for said in logits]

    @property
    def timed(self) -> bool:
        """Whether all are frames of clips whose times are known."""
        return all(moment is not None and moment.time_s is not None for moment in self.moments)

    def frames(self, chosen: Calibration, on_clips: OnClips | None = None) -> GatedFrames | None:
        """These frames with what a calibration decides of them; None where the recipe paints nothing."""
        if not self.painted or None in self.painted:
            return None
        own = slice(-len(self.targets), None)  # a bundle's kept scores come first, where they are joined
        is_open = chosen.presence[own] >= chosen.threshold
        if on_clips is not None:
            remembered = on_clips.presence[own]
            is_open = np.where(np.isfinite(remembered), remembered >= on_clips.threshold(chosen), is_open)
        return GatedFrames(
            np.array(self.subjects), chosen.positive[own], is_open, np.array(self.painted, dtype=bool),
            np.array(self.gate_seconds), np.array(self.other_seconds),
        )  # fmt: skip


def answer_gates(
    bundle: Bundle, cases: Sequence[CaseFiles], device: str = "auto", progress: Progress | None = None
) -> dict[str, GateAnswers]:
    """Look at labeled cases with all gates of a bundle, and with its other stages as if there were no gates.

    Networks are computed in float32, by which thresholds are chosen everywhere.

    Args:
        bundle: With at least one gate.
        cases: It was not trained on them. Those that cannot be answered are left out with a warning.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Told after each case.

    Returns:
        By the name of the gate, what it said.
    """
    gates = bundle.recipe.gates
    off = recipe_with(bundle.recipe, {f"stages.{gate.name}.enabled": False for gate in gates})
    pipeline = Pipeline.from_bundle(bundle.model_copy(update={"recipe": off}), Computing("auto", "float32", 0, device))
    said = {gate.name: GateAnswers(_members(pipeline, gate)) for gate in gates}
    warm = False
    for done, files in enumerate(cases, start=1):
        try:
            case = read_case(files, bundle.recipe)
            prepared, _ = prepare(case, bundle.recipe)
            unlabeled = replace(case, truth=None, points={})
            result = pipeline(unlabeled)
            if not warm:  # the first answer of an engine takes longer than all others
                result, warm = pipeline(unlabeled), True
            for gate in gates:
                _take(said[gate.name], gate, files, prepared, result)
        except GracileError as error:
            log.warning("%s is left out: %s", files.id, error)
        if progress is not None:
            progress(done, len(cases), files.id)
    return said


def _members(pipeline: Pipeline, gate: GateSpec) -> list[GateStage]:
    """The gate as each member has it; one that was trained without it has none."""
    found = [stage for stages in pipeline.members for stage in stages if stage.name == gate.name]
    return [stage for stage in found if isinstance(stage, GateStage)]


def _take(answers: GateAnswers, gate: GateSpec, files: CaseFiles, prepared: Prepared, result: Result) -> None:
    """Ask a gate about a case; one whose kind is not known tells it nothing."""
    first = answers.gate[0]
    target = kind_shown(gate, first.members, prepared)
    if target is None:
        return
    if not answers.targets:
        first.logits(prepared)  # likewise
    begun = time.perf_counter()
    answers.logits.append([member.logits(prepared) for member in answers.gate])
    answers.gate_seconds.append(time.perf_counter() - begun)
    answers.targets.append(target)
    answers.subjects.append(files.subject)
    answers.moments.append(files.moment)
    answers.painted.append(None if result.mask is None else bool(np.isin(result.mask, first.members).any()))
    answers.other_seconds.append(_behind(result.seconds, {*(spec.name for spec in first.recipe.gates), "prepare"}))


def _behind(seconds: dict[str, Any], before: set[str]) -> float:
    return sum(value for step, value in seconds.items() if step not in before)
