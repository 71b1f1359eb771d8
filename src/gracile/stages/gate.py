"""The gate stage: looks at the whole picture first and says whether the structures are there."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.errors import DataError
from gracile.losses import BinaryDice
from gracile.networks.classifiers import build_classifier
from gracile.networks.map_classifier import MapClassifier
from gracile.recipe import GateSpec, Recipe
from gracile.recipe.stages import ABSENT, NO, PRESENT, YES
from gracile.samples.frame_augment import augment_frame
from gracile.samples.frames import WholeImageSamples
from gracile.samples.patches import WholeSamples
from gracile.samples.randomness import sample_generator
from gracile.stages.base import Batch, Finding, Stage
from gracile.transforms import Prepared
from gracile.transforms.frames import Frame


class GateStage(Stage):
    """Tells kinds of frames apart, or frames with a structure from those without.

    Classes are drawn equally often while it learns; applying it, the training frames' own shares come back in as a
    prior. Probabilities are calibrated by one temperature (Guo et al., On Calibration of Modern Neural Networks,
    ICML 2017), and the operating point is the highest threshold that lets the stated share of present frames pass;
    both are chosen on held-back cases and stored with the weights.
    """

    choosing = ("validation_loss", "min")

    def __init__(self, spec: GateSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(recipe)
        self.spec = spec
        self.name = spec.name
        self.classes = list(spec.classes) or [ABSENT, PRESENT]
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
        self.log_prior: Tensor
        self.temperature: Tensor
        self.threshold: Tensor

    @property
    def taught(self) -> MapClassifier | None:
        """Its network, where that has a map that masks teach."""
        return self.classifier if self.spec.masks > 0 and isinstance(self.classifier, MapClassifier) else None

    @property
    def label(self) -> str:
        """Name of a presence gate's answer: its structures."""
        return "+".join(self.spec.structures)

    def learns_from(self, case: Prepared) -> bool:
        return self.target(case) is not None

    def target(self, case: Prepared) -> int | None:
        """Index of the class that a case shows; None when its data do not say.

        Raises:
            DataError: Its frame class is none of this gate's.
        """
        if self.spec.classes:
            return self._named(case.frame_class) if case.frame_class else None
        if case.frame_class:
            word = case.frame_class.casefold()
            if word in (*YES, *NO):
                return int(word in YES)
            return int(word in (name.casefold() for name in self.spec.structures))
        if case.truth is None:
            return None
        return int(float(case.truth[self.members].sum()) > self.spec.smallest)

    def _named(self, name: str) -> int:
        folded = [c.casefold() for c in self.classes]
        if name.casefold() not in folded:
            raise DataError(f"There is no frame class {name!r}.", f"The gate tells {', '.join(self.classes)} apart.")
        return folded.index(name.casefold())

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
        logits = self.logits(self.framed(batch["image"])).float()
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

    def _whole_logits(self, case: Prepared) -> Tensor:
        image = torch.from_numpy(np.array(case.image, dtype=np.float32))[None].to(self.device)
        return self.logits(self.framed(image)).float()

    def framed(self, image: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` prepared images in the network's size."""
        placed = Frame.around(image.shape[-2:], self.spec.size).place(image.float().cpu().numpy())
        return torch.from_numpy(placed).to(image.device).contiguous(memory_format=torch.channels_last)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities ``(batch, classes)``, the training frames' shares as prior."""
        uniform = math.log(len(self.classes))
        return ((logits.float() + self.log_prior + uniform) / self.temperature).softmax(dim=-1)

    def presence(self, probabilities: Tensor) -> Tensor:
        """``(batch,)`` probability that the structures are there."""
        open_for = self.spec.present or [PRESENT]
        return probabilities[:, [self.classes.index(name) for name in open_for]].sum(dim=1)

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        if not self.spec.enabled:
            finding.notes.append(f"the gate {self.name} was switched off")
            return finding
        probabilities = self.probabilities(self._whole_logits(prepared))
        present = float(self.presence(probabilities)[0])
        is_open = present >= float(self.threshold)
        if self.spec.classes:
            likeliest = int(probabilities[0].argmax())
            for index, name in enumerate(self.classes):
                finding.gates[name] = float(probabilities[0, index])
                finding.decisions[name] = index == likeliest
        else:
            finding.gates[self.label] = present
            finding.decisions[self.label] = is_open
        if not is_open:
            why = (
                f"the gate {self.name} found it absent (probability {present:.3f}, needed {float(self.threshold):.3f})"
            )
            finding.closed.update(dict.fromkeys(self.members, why))
        return finding

    def calibrate(self, cases: Sequence[Prepared]) -> dict[str, float]:
        return self.calibrate_by(*self.judged(cases)) if cases else {}

    def judged(self, cases: Sequence[Prepared]) -> tuple[Tensor, Tensor]:
        """Logits ``(cases, classes)`` of whole cases as they are, and their targets ``(cases,)``."""
        self.eval()
        with torch.inference_mode():
            logits = torch.cat([self._whole_logits(case).cpu() for case in cases])
        return logits, torch.tensor([self.target(case) for case in cases])

    def calibrate_by(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        """Choose temperature and threshold by what was said of cases that were not learned from.

        Args:
            logits: ``(cases, classes)``, classes equally frequent.
            targets: ``(cases,)`` index of the class that each shows.

        Returns:
            ``temperature``, ``threshold``, and at that threshold ``recall`` and ``false_alarm_rate`` on these cases.
        """
        uniform = math.log(len(self.classes))
        self.temperature.fill_(best_temperature(logits + self.log_prior.cpu() + uniform, targets))
        presence = self.presence(self.probabilities(logits.to(self.device))).cpu()
        open_for = torch.tensor([self.classes.index(name) for name in self.spec.present or [PRESENT]])
        positive = torch.isin(targets, open_for)
        figures = {"temperature": float(self.temperature), "calibrated_on": float(len(targets))}
        if positive.any():
            self.threshold.fill_(operating_point(presence[positive], self.spec.recall))
            figures["recall"] = float((presence[positive] >= self.threshold.cpu()).float().mean())
        if not positive.all():
            figures["false_alarm_rate"] = float((presence[~positive] >= self.threshold.cpu()).float().mean())
        return {**figures, "threshold": float(self.threshold)}


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
        case = members[int(torch.randint(len(members), (), generator=generator))]
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
        return {"truth": torch.cat([1.0 - there, there]), "region": region}


def best_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature from 0.05 to 20 with the smallest cross-entropy on ``(cases, classes)`` logits.

    The cross-entropy is convex in the inverse temperature; a fine logarithmic grid is exact enough and cannot diverge.
    """
    grid = torch.logspace(math.log10(0.05), math.log10(20), 400)
    entropies = torch.stack([functional.cross_entropy(logits / temperature, targets) for temperature in grid])
    return float(grid[int(entropies.argmin())])


def operating_point(presence: Tensor, recall: float) -> float:
    """The highest threshold at which at least the stated share of present frames passes.

    Args:
        presence: ``(frames,)`` probabilities of frames in which the structures are there.
        recall: Share that must pass.
    """
    ordered = presence.sort().values
    missed = math.floor((1.0 - recall) * len(ordered) + 1e-9)
    # A little below the frame that must pass: rounding differs between machines.
    return float(ordered[missed]) * (1.0 - 1e-3)
