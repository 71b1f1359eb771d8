"""How the gate stage learns, and how its temperature and its operating point are chosen."""

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.io.model_card import GATE_PROMISES, GATE_SCORES
from gracile.learning.learners.base import Answering, Batch, Exported, Learner
from gracile.losses.overlap import BinaryDice
from gracile.networks.classifiers import build_classifier
from gracile.networks.map_classifier import MapClassifier
from gracile.recipe import GateSpec, Recipe
from gracile.samples.frame_augment import augment_frame
from gracile.samples.frames import WholeImageSamples
from gracile.samples.patches import WholeSamples
from gracile.samples.randomness import sample_generator
from gracile.samples.weights import cumulated, drawn
from gracile.stages.gate import GateStage, kind_shown
from gracile.transforms import Prepared
from gracile.transforms.frames import Frame
from gracile.trust import Calibration, GateScores, Wish, calibrated, calibrated_on_clips
from gracile.trust.gate_scores import clips_and_times

log = logging.getLogger(__name__)


class GateLearner(Learner):
    """Learns to tell kinds of frames apart, or frames with a structure from those without.

    Classes are drawn equally often while it learns; applying it, the training frames' own shares come back in as a
    prior. Probabilities are calibrated by one temperature (Guo et al., On Calibration of Modern Neural Networks,
    ICML 2017), and the operating point is the highest threshold that keeps what the recipe wishes to promise, see
    `gracile.trust.promise`; both are chosen on people that were held back and stored with the weights.
    """

    choosing = ("validation_loss", "min")

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
        self.classes: list[str] = spec.kinds
        self.members = [recipe.class_names.index(name) for name in spec.structures]
        self.classifier = build_classifier(
            spec.network.name,
            recipe.input.channels,
            len(self.classes),
            initial=spec.network.initial if initialize else "",
            **spec.network.options,
        )
        self.delineation = BinaryDice({"there": (1,)})
        self.register_buffer("log_prior", torch.full((len(self.classes),), -math.log(len(self.classes))))
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("threshold", torch.full((), 0.5))
        if spec.memory != "none":
            self.register_buffer("memory", torch.zeros(2))
            self.register_buffer("memory_threshold", torch.full((), 0.5))
            self.memory: Tensor
            self.memory_threshold: Tensor
        self.log_prior: Tensor
        self.temperature: Tensor
        self.threshold: Tensor

    @property
    def taught(self) -> MapClassifier | None:
        """Its network, where that has a map that masks teach."""
        return self.classifier if self.spec.masks > 0 and isinstance(self.classifier, MapClassifier) else None

    def learns_from(self, case: Prepared) -> bool:
        return self.target(case) is not None

    def require_lessons(self, cases: Iterable[Prepared]) -> None:
        """Nothing: a gate that cannot be learned is left out."""

    def why_left_out(self, cases: Sequence[Prepared]) -> str:
        seen = self.kinds_of(cases)
        if not seen:
            return f"the training data does not say which frames show {self.spec.label}"
        only = [self.classes[target] for target in seen if target is not None]
        return f"every training frame is of one kind, {only[0]} ({self.spec.label})" if len(only) == 1 else ""

    def kinds_of(self, cases: Sequence[Prepared]) -> set[Any]:
        return {self.target(case) for case in cases}

    def target(self, case: Prepared) -> int | None:
        """Index of the class that a case shows; None when its data do not say.

        Raises:
            DataError: Its frame class is none of this gate's.
        """
        return kind_shown(self.spec, self.members, case)

    def answer_names(self) -> list[str]:
        return self.classes

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        targets = [self.target(case) for case in cases]
        counts = torch.tensor([targets.count(index) for index in range(len(self.classes))], dtype=torch.float32)
        self.log_prior.copy_((counts.clamp_min(0.5) / counts.clamp_min(0.5).sum()).log())
        members = self.members if self.taught is not None else []
        return GateSamples(cases, targets, len(self.classes), members, self.spec, seed)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        return WholeSamples(cases, targets=[self.target(case) for case in cases])

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy and accuracy, classes taken as equally frequent."""
        logits = self.logits(framed(batch["image"], self.spec.size)).float()
        right = (logits.argmax(dim=1) == batch["target"]).float().mean()
        return {"validation_loss": functional.cross_entropy(logits, batch["target"]), "validation_accuracy": right}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        network = self.taught
        if network is None:
            return {"cross-entropy": functional.cross_entropy(self.logits(batch["image"]).float(), batch["target"])}
        maps = network.maps(batch["image"]).float()
        both = torch.cat([torch.zeros_like(maps), maps], dim=1)
        return {
            "cross-entropy": functional.cross_entropy(network.pooled(maps), batch["target"]),
            "masks": self.spec.masks * self.delineation(both, batch["truth"], batch["region"]),
        }

    def logits(self, images: Tensor) -> Tensor:
        """``(batch, channels, *size)`` framed images to ``(batch, classes)`` logits, classes equally frequent."""
        return self.classifier(images)

    def exported(self) -> Exported:
        image = torch.zeros(1, self.recipe.input.channels, *self.spec.size)
        return Exported(Answering(self), (image,), ((),))

    def calibrate(self, cases: Sequence[Prepared]) -> dict[str, float]:
        return self.calibrate_by([self.judged(cases)]) if cases else {}

    def judged(self, cases: Sequence[Prepared]) -> GateScores:
        """What it says of whole cases as they are, in float32 as it is applied everywhere."""
        stage = self.applied()
        assert isinstance(stage, GateStage)
        subjects = [case.subject or f"unknown {number}" for number, case in enumerate(cases)]
        targets = np.array([self.target(case) for case in cases])
        logits = np.stack([stage.logits(case) for case in cases])
        clips, times = clips_and_times([case.moment for case in cases], subjects)
        return GateScores(np.array(subjects, dtype=str), targets, logits, clips, times)

    def calibrate_by(self, judged: Sequence[GateScores]) -> dict[str, float]:
        """Choose temperature and threshold by what was said of cases that were not learned from.

        Returns:
            The figures of `gracile.trust.gate_calibration.Calibration`.
        """
        stage = self.applied()
        assert isinstance(stage, GateStage)
        wish = Wish(self.spec.recall, self.spec.promise, self.spec.confidence)
        chosen = calibrated([stage], [GateScores.joined(judged)], wish)
        self.temperature.fill_(chosen.temperatures[0])
        self.threshold.fill_(chosen.threshold)
        self.calibration = chosen
        for sentence in chosen.sentences if not chosen.is_promised else chosen.sentences[1:]:
            log.warning("The gate %r: %s", self.name, sentence)
        return {**chosen.figures, **self._remember(stage, chosen, wish)}

    def _remember(self, stage: GateStage, chosen: Calibration, wish: Wish) -> dict[str, float]:
        """Choose what the memory needs, where it has one; gives its recall and false alarms on these clips."""
        if self.spec.memory == "none":
            return {}
        self.on_clips = on_clips = calibrated_on_clips(stage, chosen, wish)
        if on_clips is None:
            log.warning("The gate %r has no memory: no clip of several frames with times taught it.", self.name)
            return {}
        threshold = on_clips.threshold(chosen)
        self.memory.copy_(torch.from_numpy(on_clips.numbers))
        self.memory_threshold.fill_(threshold)
        empty = on_clips.presence[np.isfinite(on_clips.presence) & ~chosen.positive]
        figures = {} if on_clips.promise is None else {"recall_on_clips": on_clips.promise.measured}
        if empty.size:
            figures["false_alarm_rate_on_clips"] = float((empty >= threshold).mean())
        return figures

    def told(self) -> dict[str, Any]:
        if self.calibration is None:
            return {}
        on_clips = {} if self.on_clips is None else {"on_clips": self.on_clips.as_card()}
        return {
            GATE_PROMISES: {**self.calibration.as_card(), **on_clips},
            GATE_SCORES: self.calibration.scores[0].as_card(self.classes),
        }


def framed(images: Tensor, size: tuple[int, int]) -> Tensor:
    """``(batch, channels, height, width)`` prepared images in the network's size."""
    frame = Frame.around(images.shape[-2:], size)
    placed = torch.from_numpy(frame.place(images.cpu().numpy())).to(images.device)
    return placed.contiguous(memory_format=torch.channels_last)


class GateSamples(Dataset[Batch]):
    """Whole varied frames with their class, each class equally often; index ``i`` gives the same sample for a seed."""

    def __init__(
        self,
        cases: Sequence[Prepared],
        targets: Sequence[int | None],
        classes: int,
        members: list[int],
        spec: GateSpec,
        seed: int,
    ) -> None:
        self.frames = WholeImageSamples(cases, spec.size, spec.augment, seed)
        self.by_class = [[i for i, target in enumerate(targets) if target == index] for index in range(classes)]
        self.ends = [cumulated([cases[i] for i in members]) for members in self.by_class]
        self.members = members
        self.spec = spec
        self.seed = seed

    def __len__(self) -> int:
        return len(self.frames.cases) * self.spec.per_case

    def __getitem__(self, index: int) -> Batch:
        generator = sample_generator(self.seed, index)
        kinds = [kind for kind, members in enumerate(self.by_class) if members]
        target = kinds[index % len(kinds)]
        members = self.by_class[target]
        case = members[drawn(self.ends[target], len(members), generator)]
        # An index of the frames that shows this case, with variations of its own.
        sample = self.frames[case + index * len(self.frames.cases)]
        image = augment_frame(
            sample["image"], self.spec.operations, self.spec.magnitude, generator, mirror=self.spec.augment.flip
        )
        return {"image": image, "target": torch.tensor(target), **self._mask(sample)}

    def _mask(self, sample: Batch) -> Batch:
        """What a mask teaches: shares of absent and present, and where they are known; nowhere without a mask."""
        if not self.members:
            return {}
        truth, region = sample["truth"], sample["region"]
        if not len(truth):
            return {"truth": torch.zeros(2, *region.shape[1:]), "region": torch.zeros_like(region)}
        there = truth[self.members].sum(dim=0, keepdim=True)
        known = truth.sum(dim=0, keepdim=True) > 0.5  # what is ignored is of no class
        return {"truth": torch.cat([1.0 - there, there]), "region": region * known}
