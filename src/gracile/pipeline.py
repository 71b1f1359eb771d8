"""A pipeline: the stages of a recipe in order, from a case to a result."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from gracile.case import Case
from gracile.devices import has_fast_bf16, resolve_device
from gracile.recipe import Recipe
from gracile.result import Result
from gracile.stages import Finding, Stage, build_stage
from gracile.transforms import Placement, prepare


class Pipeline:
    """The stages of a recipe, loaded once and applied to case after case.

    Args:
        recipe: What to do.
        stages: Its stages with their weights; built untrained when None.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    def __init__(self, recipe: Recipe, stages: list[Stage] | None = None, device: str = "cpu") -> None:
        self.recipe = recipe
        self.device = resolve_device(device)
        self.stages = stages if stages is not None else [build_stage(spec, recipe) for spec in recipe.stages]
        for stage in self.stages:
            stage.eval().to(self.device).to(memory_format=torch.channels_last)

    def __call__(self, case: Case, *, keep_probabilities: bool = False) -> Result:
        """Find the recipe's structures in a case.

        Args:
            case: What to look at.
            keep_probabilities: Also give the probability maps on the input's grid.

        Returns:
            The result on the input's own grid.

        Raises:
            DataError: The case cannot be used with this recipe.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "prepare"):
            prepared, region = prepare(case, self.recipe)
        assert prepared.placement is not None
        finding = Finding()
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=has_fast_bf16(self.device)),
        ):
            for stage in self.stages:
                with _timed(seconds, stage.name):
                    finding = stage.find(prepared, finding)
                if len(finding.closed) == len(self.recipe.classes) - 1:
                    break
        result = Result(
            case.id, "found", case.grid, self.recipe.class_names, region=region, gates=finding.gates,
            gate_decisions=finding.decisions, extras=finding.extras,
            flags=[*(prepared.flags or []), *finding.notes], seconds=seconds,
        )  # fmt: skip
        if self.recipe.ungated:
            result.flags.append(f"not gated: {self.recipe.ungated}")
        with _timed(seconds, "restore"):
            self._restore(result, finding, prepared.placement, region, keep_probabilities)
        return result

    def _restore(
        self, result: Result, finding: Finding, placement: Placement, region: np.ndarray, keep_probabilities: bool
    ) -> None:
        background = (1.0, *[0.0] * (len(self.recipe.classes) - 1))
        if finding.probabilities is None and not finding.closed:
            return  # a recipe of gates alone: what kind of frame it is, is the answer
        if finding.probabilities is None:
            result.mask = np.zeros(region.shape, dtype=np.uint8)
        else:
            for index in finding.closed:
                finding.probabilities[0] += finding.probabilities[index]
                finding.probabilities[index] = 0.0
            probabilities = placement.restore(finding.probabilities, outside=background)
            result.mask = self.stages[-1].decide(probabilities)
            result.mask[~region] = 0
            if keep_probabilities:
                result.probabilities = probabilities
        if not result.mask.any():
            result.status = "absent"
            reasons = dict.fromkeys(finding.closed.values())
            result.reason = "; ".join(reasons) or "no pixel was assigned to a structure"
        else:
            closed = [f"{self.recipe.class_names[index]}: {why}" for index, why in finding.closed.items()]
            result.flags += closed


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
