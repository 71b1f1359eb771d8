"""A pipeline: the stages of a recipe in order, from a case to a result."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import numpy as np
import torch

from gracile.bundle import Bundle
from gracile.case import Case
from gracile.devices import has_fast_bf16, in_fast_layout, resolve_device
from gracile.errors import BundleError
from gracile.networks.weights import tensors_of
from gracile.recipe import Recipe
from gracile.result import LandmarkMaps, Result
from gracile.stages import Finding, Stage, build_stage
from gracile.transforms import Placement, Prepared, prepare
from gracile.transforms.volume import Orientation
from gracile.trust import Ordinary

Maps = Callable[[], np.ndarray]
"""Gives the probability maps on the input's grid when they are asked for."""


class Pipeline:
    """The stages of a recipe, loaded once and applied to case after case.

    Args:
        recipe: What to do.
        stages: Its stages with their weights; built untrained when None.
        device: ``auto``, ``cpu`` or ``cuda``.
        ordinary: What is ordinary of its inputs and answers; by fixed rules alone when None.
    """

    def __init__(
        self,
        recipe: Recipe,
        stages: list[Stage] | None = None,
        device: str = "cpu",
        ordinary: Ordinary | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = resolve_device(device)
        self.ordinary = ordinary or Ordinary()
        self.stages = stages if stages is not None else [build_stage(spec, recipe) for spec in recipe.stages]
        for stage in self.stages:
            in_fast_layout(stage.eval().to(self.device))

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str = "cpu") -> Self:
        """The pipeline of a bundle. Raises BundleError when its weights or its card do not fit."""
        stages = [build_stage(spec, bundle.recipe) for spec in bundle.recipe.stages]
        for stage in stages:
            try:
                stage.load_bundle_state(tensors_of(bundle.weights[stage.name]))
            except (KeyError, RuntimeError) as error:
                raise BundleError(
                    f"The weights do not fit the recipe's stage {stage.name!r}: {error}.",
                    "Settings of the network cannot be changed after training.",
                ) from None
        return cls(bundle.recipe, stages, device, Ordinary.from_card(bundle.card))

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
        finding = Finding()
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=has_fast_bf16(self.device)),
        ):
            for stage in self.stages:
                with _timed(seconds, stage.name):
                    finding = stage.find(prepared, finding)
                if finding.closed and len(finding.closed) == len(self.recipe.classes) - 1:
                    break
        line = next(reversed(finding.lines.values()), None)
        result = Result(
            case.id, "found", case.grid, self.recipe.class_names, region=region, gates=finding.gates,
            gate_decisions=finding.decisions, extras=finding.extras, centerline=line, landmarks=finding.landmarks,
            flags=[*(prepared.flags or []), *finding.flags], notes=[*case.notes, *finding.notes], seconds=seconds,
        )  # fmt: skip
        if self.recipe.ungated:
            result.notes.append(f"not gated: {self.recipe.ungated}")
        with _timed(seconds, "restore"):
            self._restore(result, finding, prepared, region, keep_probabilities)
            if self.recipe.landmarks:
                self._restore_landmarks(result, finding, prepared, keep_probabilities)
        return result

    def _restore(
        self, result: Result, finding: Finding, prepared: Prepared, region: np.ndarray, keep_probabilities: bool
    ) -> None:
        if finding.probabilities is None and not finding.closed:
            return  # a recipe of gates alone: what kind of frame it is, is the answer
        if finding.probabilities is None:
            result.mask = np.zeros(region.shape, dtype=np.uint8)
        else:
            for index in finding.closed:
                finding.probabilities[0] += finding.probabilities[index]
                finding.probabilities[index] = 0.0
            on_grid = self._volume_mask if isinstance(prepared.placement, Orientation) else self._picture_mask
            result.mask, probabilities = on_grid(result, finding, prepared)
            result.mask[~region] = 0
            if keep_probabilities:
                result.probabilities = probabilities()
        if not result.mask.any():
            result.status = "absent"
            reasons = dict.fromkeys(finding.closed.values())
            result.reason = "; ".join(reasons) or "no pixel was assigned to a structure"
        else:
            closed = [f"{self.recipe.class_names[index]}: {why}" for index, why in finding.closed.items()]
            result.flags += closed

    def _restore_landmarks(self, result: Result, finding: Finding, prepared: Prepared, keep_maps: bool) -> None:
        """Maps on the input's grid; a case with a landmark is not absent, whatever its masks are."""
        result.flags += [f"{landmark.name}: {landmark.note}" for landmark in result.landmarks if landmark.note]
        if any(landmark.point_mm is not None for landmark in result.landmarks):
            result.status, result.reason = "found", ""
        elif result.mask is None or not result.mask.any():
            result.status = "absent"
            result.reason = result.reason or "no landmark was found"
        if keep_maps and finding.landmark_maps is not None:
            orientation, make = prepared.placement, finding.landmark_maps
            assert isinstance(orientation, Orientation)
            names = [landmark.name for landmark in result.landmarks]
            result.landmark_maps = LandmarkMaps(names, lambda number: orientation.restore(make(number)))

    def _picture_mask(self, result: Result, finding: Finding, prepared: Prepared) -> tuple[np.ndarray, Maps]:
        assert finding.probabilities is not None
        assert isinstance(prepared.placement, Placement)
        probabilities = prepared.placement.restore(finding.probabilities, outside=self._background)
        return self.decide(probabilities), lambda: probabilities

    def _volume_mask(self, result: Result, finding: Finding, prepared: Prepared) -> tuple[np.ndarray, Maps]:
        """Decided in the part that was looked at; the rest of the volume is background."""
        found, orientation = finding.probabilities, prepared.placement
        assert found is not None
        assert isinstance(orientation, Orientation)
        box = finding.box or (slice(None), slice(None), slice(None))
        part = self.decide(found)
        result.flags += self.deciding.tidy(part)
        mask = np.zeros(orientation.oriented.shape, dtype=np.uint8)
        mask[box] = part

        def probabilities() -> np.ndarray:
            whole = np.empty((len(found), *mask.shape), dtype=np.float32)
            whole[:] = np.asarray(self._background, dtype=np.float32)[:, None, None, None]
            whole[(slice(None), *box)] = found
            return orientation.restore(whole)

        return orientation.restore(mask), probabilities

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """``(classes, *spatial)`` probabilities to ``(*spatial)`` uint8 class indices, as the recipe says."""
        return self.deciding.decide(probabilities)

    @property
    def deciding(self) -> Stage:
        """The last stage that delineates, wherever gates stand: it turns probabilities into classes."""
        spec = self.recipe.deciding
        return next(stage for stage in self.stages if spec is not None and stage.name == spec.name)

    @property
    def _background(self) -> tuple[float, ...]:
        """Probabilities of what no stage looked at."""
        return (1.0, *[0.0] * (len(self.recipe.classes) - 1))


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
