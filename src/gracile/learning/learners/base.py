"""How every stage learns: its network, the samples it draws, its losses, its scores, and what is chosen afterwards."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gracile.devices import has_fast_bf16, in_fast_layout
from gracile.errors import BundleError, DataError
from gracile.learning.learners.counts import class_counts, region_counts
from gracile.networks.weights import only_trained_with, tensors_of
from gracile.networks.zoo import build_network
from gracile.recipe import NetworkSpec, Recipe
from gracile.runners.base import Computed, Runner
from gracile.samples.patches import WholeSamples
from gracile.stages import STAGES, Stage, build_stage
from gracile.transforms import Prepared
from gracile.trust import Calibration, OnClips

Batch = dict[str, Tensor]

PICTURE, VOLUME = (65, 70), (33, 38, 35)
"""Sizes of examples whose sizes may be any: no multiples of a network's steps, as it then looks at every case."""


@dataclass(frozen=True)
class Exported:
    """What becomes a graph of a stage: a module, what it is tried on, and which of their axes vary.

    Args:
        module: From tensors to one tensor, the stage's own weights in it.
        inputs: Examples of what it takes, the batch first. An axis of any length must have 2 or more here.
        axes: For each input, its axes of any length.
        names: Of the inputs in the graph.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    axes: tuple[tuple[int, ...], ...]
    names: tuple[str, ...] = ("images", "numbers")


class Learner(nn.Module, ABC):
    """One decision of a cascade as it learns. Its networks are its submodules; `bundle_state` is what a bundle stores.

    Args:
        spec: Its entry in the recipe.
        recipe: The whole recipe.
    """

    network: nn.Module
    choosing: tuple[str, Literal["min", "max"]] = ("validation_dice", "max")
    """The validation score by which weights are chosen, and which way is better."""

    calibration: Calibration | None = None
    """How a gate was calibrated; None of other stages, and before."""

    on_clips: OnClips | None = None
    """How a gate's memory was; None of one without."""

    takes_turns = False
    """Whether two players learn in turns, each against the other."""

    def __init__(self, spec: Any, recipe: Recipe) -> None:
        super().__init__()
        self.spec = spec
        self.recipe = recipe
        self.name: str = spec.name

    def learns_from(self, case: Prepared) -> bool:
        """Whether a training case tells this stage anything."""
        return case.has_masks

    def require_lessons(self, cases: Iterable[Prepared]) -> None:
        """Raise DataError when no case can teach what is to be found; cases are looked at until one does."""
        empty = False
        for case in cases:
            shows = not case.has_masks or case.shows(range(1, len(self.recipe.classes)))
            if shows and self.learns_from(case):
                return
            empty |= not shows
        if empty:
            raise DataError("Every mask is empty.", "A structure is learned from masks that show it.")
        raise DataError(f"No case can train the stage {self.name!r}.", "Give a source with masks or points as well.")

    def why_left_out(self, cases: Sequence[Prepared]) -> str:
        """Why the cascade goes on without this stage, where cases cannot teach it; empty where they can."""
        return ""

    @abstractmethod
    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        """Training samples drawn from prepared cases; index ``i`` always gives the same sample for a seed."""

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        """Each held-back case with what `scores` needs, one by one."""
        return WholeSamples(cases)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Validation scores of one of `held_back`: ``validation_loss``, and that of `choosing`.

        Here cross-entropy, and Dice of each structure by the likeliest class; of each region by its own probability.
        """
        logits = self.logits(batch["image"]).float()
        truth, region = batch["truth"], batch["region"]
        if self.recipe.regions:
            entropy, counts = region_counts(logits, truth, region, self.recipe.structures)
        else:
            entropy, counts = class_counts(logits, truth, region, self.recipe.structures)
        scores = {"validation_loss": entropy}
        dices = []
        for name, (common, both) in counts.items():
            dices.append(torch.where(both > 0, 2.0 * common / both.clamp_min(1), torch.ones_like(entropy)))
            scores[f"validation_dice_{name}"] = dices[-1]
        scores["validation_dice"] = torch.stack(dices).mean()
        return scores

    learns_classes = False
    """Whether the ``truth`` of its samples is the share of each class, of which what is ignored has none."""

    def counted(self, batch: Batch) -> Batch:
        """A batch in which what the labels ignore lies outside the region, and the shares of all else add up to 1."""
        if not self.recipe.ignores or not self.learns_classes:
            return batch
        total = batch["truth"].sum(dim=1, keepdim=True)
        known = total > 0.5
        truth = torch.where(known, batch["truth"] / total.clamp_min(0.5), torch.zeros_like(total))
        return {**batch, "truth": truth, "region": batch["region"] * known}

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the training loss; their sum is minimized."""

    def logits(self, images: Tensor) -> Tensor:
        """``(batch, channels, *spatial)`` prepared images to ``(batch, classes, *spatial)`` logits, the final ones."""
        return final(self.network(images))

    def answer_names(self) -> list[str]:
        """What the rows of its networks' last layers stand for, in their order; the background has that name."""
        return list(self.recipe.regions) or ["background", *self.recipe.class_names[1:]]

    def calibrate(self, cases: Sequence[Prepared]) -> dict[str, float]:
        """Set what is chosen after training on held-back cases; gives the figures of that choice."""
        return {}

    def judged(self, cases: Sequence[Prepared]) -> Any:
        """What is said of cases that were not learned from, for `calibrate_by` of a stage that learned from all."""
        return None

    def calibrate_by(self, judged: Sequence[Any]) -> dict[str, float]:
        """Set what is chosen after training by what other stages `judged`, part by part."""
        return {}

    def kinds_of(self, cases: Sequence[Prepared]) -> set[Any]:
        """The kinds of cases that a stage must have seen to judge others; empty where it needs none."""
        return set()

    def told(self) -> dict[str, Any]:
        """What the card of its bundle tells of it, by the card's sections."""
        return {}

    def bundle_state(self) -> dict[str, Tensor]:
        """The weights that a bundle stores: all that is needed to apply the stage."""
        left_out = only_trained_with(self)
        return {name: value for name, value in self.state_dict().items() if name not in left_out}

    def load_bundle_state(self, weights: Mapping[str, Any]) -> None:
        """Take over the weights of a bundle, arrays or tensors. Raises BundleError when they do not fit."""
        weights, expected = tensors_of(weights), self.bundle_state()
        wrong = sorted(set(expected) ^ set(weights))
        wrong += [k for k in expected if k in weights and expected[k].shape != weights[k].shape]
        if wrong:
            raise BundleError(
                f"The weights do not fit the stage {self.name!r} in {len(wrong)} places, such as {wrong[0]}.",
                "Use the recipe they were trained with.",
            )
        self.load_state_dict(weights, strict=False)

    def exported(self) -> Exported | None:
        """What becomes its graph; None where no other engine than PyTorch can take it."""
        images = torch.zeros(self.example_batch, self.recipe.input.channels, *self.example_sizes)
        axes = [0] * (self.example_batch > 1) + list(range(2, images.ndim))
        return Exported(Answering(self), (images,), (tuple(axes),))

    def further_exported(self) -> dict[str, Exported]:
        """What becomes further graphs, by the names that its stage gives its other networks."""
        return {}

    example_batch: int = 1
    example_sizes: tuple[int, ...] = PICTURE
    """What its network is exported with: a batch of 1 stays 1, of more becomes any."""

    def runner(self, precision: str = "auto", threads: int = 0, network: str = "") -> Runner:
        """A network of its stage as a function of arrays, computed by PyTorch with the weights of the moment."""
        return TorchRunner(self, precision, threads)

    def applied(self, precision: str = "float32") -> Stage:
        """The stage that applies what was learned until now, in the numbers of a bundle without a table of engines."""
        kind, state = STAGES[self.spec.kind], self.state_dict()
        kept = {name: state[name].detach().cpu().numpy() for name in kind.keeps(self.spec)}
        runs = {name: self.runner(precision, network=name) for name in kind.networks(self.spec)}
        return build_stage(self.spec, self.recipe, runs, kept)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        some = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if some is None else some.device


def network_of(
    spec: NetworkSpec, channels: int, answers: int, initialize: bool, *, dimensions: int, **more: Any
) -> nn.Module:
    """The network that a recipe names, for pictures (``dimensions`` 2) or volumes (3); with first weights if asked."""
    initial = spec.initial if initialize else ""
    return build_network(spec.name, channels, answers, initial=initial, dimensions=dimensions, **spec.options, **more)


def final(answers: Any) -> Tensor:
    """The last of the answers of a network that refines its answer in steps."""
    return answers[-1] if isinstance(answers, list | tuple) else answers


class Answering(nn.Module):
    """A learner's network with what makes of its answer the one that an applied stage takes."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, images: Tensor, numbers: Tensor | None = None) -> Tensor:
        """As the learner's ``logits``, float32; ``numbers`` where it takes any."""
        more = () if numbers is None else (numbers,)
        return self.learner.logits(images, *more).float()


class TorchRunner:
    """A learner's network as a function of arrays.

    Args:
        learner: Its weights may change from call to call.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the device computes fast in it.
        threads: Of the processor; 0 takes as many as PyTorch has then.
        answer: From tensors to one, with the learner's weights; its logits when None.
    """

    def __init__(
        self, learner: Learner, precision: str = "auto", threads: int = 0,
        answer: Callable[..., Tensor] | None = None,
    ) -> None:  # fmt: skip
        device = learner.device
        in_fast_layout(learner)
        self.learner = learner
        self._answer = answer or learner.logits
        self._calling = threading.Lock()
        self._half = precision == "bfloat16" or (precision == "auto" and has_fast_bf16(device))
        self._threads = threads
        self.computed = Computed(
            "torch", torch.__version__.split("+")[0], "bfloat16" if self._half else "float32",
            threads or torch.get_num_threads(), device.type,
        )  # fmt: skip

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """As `gracile.runners.Runner`."""
        learner = self.learner
        tensors = [in_fast_layout(torch.from_numpy(np.ascontiguousarray(x)).to(learner.device)) for x in inputs]
        was_training, threads = learner.training, torch.get_num_threads()
        with self._calling, torch.inference_mode(), torch.autocast(learner.device.type, torch.bfloat16, self._half):
            learner.eval()
            torch.set_num_threads(self._threads or threads)
            try:
                return self._answer(*tensors).float().cpu().numpy()
            finally:
                torch.set_num_threads(threads)
                learner.train(was_training)
