"""A pipeline: the stages of a recipe in order, from a case to a result."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from gracile.bundle import Bundle, network_name
from gracile.case import Case
from gracile.errors import BundleError, DataError
from gracile.io.model_card import LEARNED_FROM
from gracile.recipe import Recipe
from gracile.result import LandmarkMaps, Result
from gracile.runners import Computing
from gracile.stages import Finding, Stage, open_stage
from gracile.stages.copies import members_of
from gracile.stages.gate import GateStage
from gracile.stages.joint import Joint
from gracile.stages.memory import Memory
from gracile.stages.signs import map_signs, slice_signs
from gracile.transforms import Placement, Prepared, prepare
from gracile.transforms.prepare import WRONG_KIND
from gracile.transforms.volume import Orientation
from gracile.trust import Ordinary, QualityMap, Unlike, sampled

Maps = Callable[[], np.ndarray]
"""Gives the probability maps on the input's grid when they are asked for."""


@dataclass
class Look:
    """A case that was prepared and, as a frame of a clip, looked at by the gates with a memory; not yet answered.

    Args:
        case: What is looked at.
        prepared: It on the recipe's grid.
        region: ``(*spatial)`` bool, the part of the input that counts.
        seconds: Wall-clock seconds by step.
        evidence: Log likelihood ratio of there and not there, by gate; empty of a case that is no frame of a clip.
        remembered: Probability of presence by gate, once its memory has told it.
    """

    case: Case
    prepared: Prepared
    region: np.ndarray
    seconds: dict[str, float]
    evidence: dict[str, float] = field(default_factory=dict)
    remembered: dict[str, float] = field(default_factory=dict)


class Pipeline:
    """The stages of a recipe, loaded once and applied to case after case.

    Args:
        recipe: What to do.
        stages: Its stages with their weights.
        ordinary: What is ordinary of its inputs and answers; by fixed rules alone when None.
        learned_from: Checksums of the images that it was trained on, as far as that is known.
        others: The stages of further members of an ensemble; their answers are averaged before anything is decided.
        unlike: How unlike its training images an input is; nothing is told of that when None.
        quality: From the signs of an answer to how good it is; why that was not learned; None where nobody tried.

    Attributes:
        progress: Told the name of each stage before it looks at a case.
    """

    def __init__(
        self,
        recipe: Recipe,
        stages: Sequence[Stage],
        ordinary: Ordinary | None = None,
        learned_from: Collection[str] = (),
        others: Sequence[Sequence[Stage]] = (),
        unlike: Unlike | None = None,
        quality: QualityMap | str | None = None,
    ) -> None:
        self.recipe = recipe
        self.stages = list(stages)
        self.ordinary = ordinary or Ordinary()
        self.unlike = unlike or Unlike()
        self.quality = None if isinstance(quality, str) else quality
        self.no_quality = quality if isinstance(quality, str) else ""
        self.learned_from = frozenset(learned_from)
        self.progress: Callable[[str], None] = lambda stage: None
        self.members = [self.stages, *map(list, others)]
        for stage in self.stages:
            if others and stage.looks_first:
                stage.lead([peer for some in others for peer in some if peer.looks_first and peer.name == stage.name])

    @classmethod
    def from_bundle(cls, bundle: Bundle, computing: Computing = Computing()) -> Self:  # noqa: B008
        """The pipeline of a bundle, computed as asked.

        Raises:
            BundleError: Its weights, its graphs or its card do not fit.
            UsageError: The engine, the precision or the device that is asked for cannot be had.
        """
        first, *others = bundle.parts
        return cls(
            bundle.recipe,
            _stages(first.model_copy(update={"recipe": bundle.recipe}), computing),  # it decides, as the ensemble says
            Ordinary.from_card(bundle.card),
            bundle.card.get(LEARNED_FROM, ()),
            [_stages(other, computing) for other in others],
            Unlike.from_cards([part.card for part in bundle.parts]),
            QualityMap.from_card(bundle.card),
        )

    @property
    def computed(self) -> dict[str, Any]:
        """How its networks are computed: engine, version, precision, threads, device; by member and network where they
        differ.
        """
        if len(self.members) == 1:
            return _computed(self.stages)
        each = {f"member{number}": _computed(stages) for number, stages in enumerate(self.members, start=1)}
        first = each["member1"]
        return first if all(one == first for one in each.values()) else each

    def __call__(self, case: Case, *, keep_probabilities: bool = False, signed: bool | None = None) -> Result:
        """Find the recipe's structures in a case.

        Args:
            case: What to look at.
            keep_probabilities: Also give the probability maps on the input's grid.
            signed: Whether the result has signs of how far it can be trusted; None where the model can read them.

        Returns:
            The result on the input's own grid.

        Raises:
            DataError: The case cannot be used with this recipe, or is of another kind than the training images and the
                recipe refuses such.
        """
        return self.answer(self._prepared(case), keep_probabilities=keep_probabilities, signed=signed)

    @property
    def memories(self) -> dict[str, Memory]:
        """The memory of each gate that is on and has one."""
        gates = (stage for stage in self.stages if isinstance(stage, GateStage) and stage.spec.enabled)
        return {gate.name: gate.memory for gate in gates if gate.memory is not None}

    def look(self, case: Case) -> Look:
        """Look at a frame of a clip first, with the gates that have a memory. Raises DataError as calling it does."""
        look = self._prepared(case)
        for stage in self.stages:
            if stage.name in self.memories:
                assert isinstance(stage, GateStage)
                with _timed(look.seconds, stage.name):
                    look.evidence[stage.name] = float(stage.evidence(stage.presence(stage.said(look.prepared))))
        return look

    def _prepared(self, case: Case) -> Look:
        seconds: dict[str, float] = {}
        with _timed(seconds, "prepare"):
            prepared, region = prepare(case, self.recipe)
            if self.recipe.input.refuses_wrong_kind:
                self._require_own_kind(case, region)
        return Look(case, prepared, region, seconds)

    def answer(self, look: Look, *, keep_probabilities: bool = False, signed: bool | None = None) -> Result:
        """Find the recipe's structures in a case that was looked at; what the gates' memories told goes first."""
        case, prepared, region, seconds = look.case, look.prepared, look.region, look.seconds
        wanted = self.quality is not None if signed is None else signed
        finding = self._found(prepared, seconds, Finding(remembered=look.remembered, signed=wanted))
        line = next(reversed(finding.lines.values()), None)
        result = Result(
            case.id, "found", case.grid, self.recipe.class_names, region=region, gates=finding.gates,
            gate_decisions=finding.decisions, agreement=finding.agreement, extras=finding.extras, centerline=line,
            landmarks=finding.landmarks, signs=finding.signs, places=finding.places, slices=finding.slices,
            first_slice=finding.first_slice,
            flags=[*(prepared.flags or []), *finding.flags], notes=[*case.notes, *finding.notes], seconds=seconds,
        )  # fmt: skip
        if self.recipe.ungated:
            result.notes.append(f"not gated: {self.recipe.ungated}")
        with _timed(seconds, "restore"):
            self._restore(result, finding, prepared, region, keep_probabilities)
            if self.recipe.landmarks:
                self._restore_landmarks(result, finding, prepared, keep_probabilities)
        return result

    def _require_own_kind(self, case: Case, region: np.ndarray) -> None:
        """Raise DataError where an input lies so far from the training images that it is of another kind."""
        likeness = self.unlike.likeness(sampled(case, region)) if self.unlike.known else None
        if likeness is not None and likeness.refused:
            raise DataError(
                f"{case.id} is of another kind than the images that the model learned from: {likeness.differs}.",
                WRONG_KIND,
            )

    def _found(self, prepared: Prepared, seconds: dict[str, float], first: Finding) -> Finding:
        """What the stages find; of an ensemble what its members find together, who look one after the other."""
        if len(self.members) == 1:
            return self._signed(self._looked(self.stages, prepared, first, seconds), prepared, seconds)
        finding = self._looked([stage for stage in self.stages if stage.looks_first], prepared, first, seconds)
        if self._is_over(finding):
            return finding
        joint = Joint(self.recipe, prepared.image.shape[1:], self.decide)
        for stages in self.members:
            rest = [stage for stage in stages if not stage.looks_first]
            own = self._looked(rest, prepared, Finding(closed=dict(finding.closed), signed=first.signed), seconds)
            joint.add(self._signed(own, prepared, seconds))
        return joint.finding(finding)

    def _signed(self, finding: Finding, prepared: Prepared, seconds: dict[str, float]) -> Finding:
        """A finding with the signs of its maps, where they are wanted."""
        maps = finding.probabilities
        if not finding.signed or maps is None:
            return finding
        with _timed(seconds, "signs"):
            box = finding.box or (slice(None),) * (maps.ndim - 1)
            mask, members = self.deciding.decide(maps), members_of(self.recipe)
            finding.signs |= map_signs(maps, mask, members, prepared.image[(slice(None), *box)])
            if self.deciding.spec.follows_slices:
                finding.slices = _placed(finding.slices, maps.shape[-1]) | slice_signs(maps, mask, members)
                finding.first_slice = box[-1].start or 0
        return finding

    def _looked(
        self, stages: Sequence[Stage], prepared: Prepared, finding: Finding, seconds: dict[str, float]
    ) -> Finding:
        for stage in stages:
            if stage in self.stages:
                self.progress(stage.name)
            with _timed(seconds, stage.name):
                finding = stage.find(prepared, finding)
            if self._is_over(finding):
                break
        return finding

    def _is_over(self, finding: Finding) -> bool:
        """Whether no class is left to look for."""
        return bool(finding.closed) and len(finding.closed) == len(self.recipe.classes) - 1

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
                result.maps = self.recipe.maps
                if self.recipe.regions:
                    result.notes.append(f"probabilities are those of {', '.join(self.recipe.maps)}, which overlap")
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
        mask = self.deciding.decide(probabilities)
        result.flags += self.deciding.tidy(mask, probabilities)
        return mask, lambda: probabilities

    def _volume_mask(self, result: Result, finding: Finding, prepared: Prepared) -> tuple[np.ndarray, Maps]:
        """Decided in the part that was looked at; the rest of the volume is background."""
        found, orientation = finding.probabilities, prepared.placement
        assert found is not None
        assert isinstance(orientation, Orientation)
        box = finding.box or (slice(None), slice(None), slice(None))
        part = self.deciding.decide(found)
        result.flags += self.deciding.tidy(part, found)
        mask = np.zeros(orientation.oriented.shape, dtype=np.uint8)
        mask[box] = part

        def probabilities() -> np.ndarray:
            whole = np.empty((len(found), *mask.shape), dtype=np.float32)
            whole[:] = np.asarray(self._background, dtype=np.float32)[:, None, None, None]
            whole[(slice(None), *box)] = found
            return orientation.restore(whole)

        return orientation.restore(mask), probabilities

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """``(maps, *spatial)`` probabilities to ``(*spatial)`` uint8 class indices, as the recipe says."""
        mask = self.deciding.decide(probabilities)
        self.deciding.tidy(mask, probabilities)
        return mask

    @property
    def deciding(self) -> Stage:
        """The last stage that delineates, wherever gates stand: it turns probabilities into classes."""
        spec = self.recipe.deciding
        return next(stage for stage in self.stages if spec is not None and stage.name == spec.name)

    @property
    def _background(self) -> tuple[float, ...]:
        """Probabilities of what no stage looked at."""
        return (1.0, *[0.0] * (len(self.recipe.maps) - 1))


def _placed(slices: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Signs by slice of a column that has the volume's own slices; none of one that has others."""
    return {name: values for name, values in slices.items() if len(values) == count}


def _stages(bundle: Bundle, computing: Computing) -> list[Stage]:
    """The stages of a bundle with its weights. Raises BundleError."""
    stages = []
    for spec in bundle.recipe.stages:
        if spec.name not in bundle.weights:
            raise BundleError(
                f"The weights do not fit the recipe: it has no weights of the stage {spec.name!r}.",
                "Use the recipe they were trained with.",
            )
        stages.append(open_stage(bundle, spec, computing))
    return stages


def _computed(stages: Sequence[Stage]) -> dict[str, Any]:
    """How the networks of stages are computed; by network where they differ."""
    each = {}
    for stage in stages:
        runs = {"": stage.run, **stage.others}
        each.update({network_name(stage.name, name): run.computed.as_dict() for name, run in runs.items()})
    first = next(iter(each.values()))
    return first if all(one == first for one in each.values()) else each


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
