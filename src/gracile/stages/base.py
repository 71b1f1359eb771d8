"""What every stage has: networks, samples to learn from, losses, and the way it is applied."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gracile.errors import BundleError
from gracile.geometry import Centerline
from gracile.recipe import Recipe
from gracile.result import Landmark
from gracile.samples.patches import WholeSamples
from gracile.transforms import Prepared

Batch = dict[str, Tensor]


@dataclass
class Finding:
    """What the stages have found so far, on the prepared grid.

    Args:
        probabilities: ``(classes, *spatial)`` float32, or None before anything was delineated.
        box: The part of a prepared volume that ``probabilities`` cover; None where they cover all.
        lines: The line along a structure, by the stage that found it.
        landmarks: Every landmark that a stage looked for, found or not.
        landmark_maps: Gives the ``(*spatial)`` float32 probabilities of the landmark of a number on the whole prepared
            grid; each is computed when it is asked for.
        gates: Probabilities that the gates gave, by structure or kind of frame.
        decisions: What the gates decided, by the same names.
        closed: Why a class is left empty, by the index of the class.
        flags: What a person should look at in this case.
        notes: What is true of every case of the run, such as that a gate is switched off.
        extras: Further maps by name that a stage was asked to keep, such as those of the network's own size.
    """

    probabilities: np.ndarray | None = None
    box: tuple[slice, slice, slice] | None = None
    lines: dict[str, Centerline] = field(default_factory=dict)
    landmarks: list[Landmark] = field(default_factory=list)
    landmark_maps: Callable[[int], np.ndarray] | None = None
    gates: dict[str, float] = field(default_factory=dict)
    decisions: dict[str, bool] = field(default_factory=dict)
    closed: dict[int, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    extras: dict[str, np.ndarray] = field(default_factory=dict)


class Stage(nn.Module, ABC):
    """One decision of a cascade. Its networks are its submodules; `bundle_state` is what a bundle stores of them."""

    name: str
    network: nn.Module
    choosing: tuple[str, Literal["min", "max"]] = ("validation_dice", "max")
    """The validation score by which weights are chosen, and which way is better."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe

    def learns_from(self, case: Prepared) -> bool:
        """Whether a training case tells this stage anything."""
        return case.has_masks

    @abstractmethod
    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        """Training samples drawn from prepared cases; index ``i`` always gives the same sample for a seed."""

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        """Each held-back case with what `scores` needs, one by one."""
        return WholeSamples(cases)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Validation scores of one of `held_back`: ``validation_loss``, and that of `choosing`.

        Here cross-entropy, and Dice of each structure by the likeliest class.
        """
        logits = self.logits(batch["image"]).float()
        truth, region = batch["truth"], batch["region"] > 0.5
        entropy = -(truth * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True)[region].mean()
        found, true = logits.argmax(dim=1, keepdim=True), truth.argmax(dim=1, keepdim=True)
        scores = {"validation_loss": entropy}
        dices = []
        for name, classes in self.recipe.structures.items():
            members = torch.tensor(classes, device=logits.device)
            a, b = torch.isin(found, members) & region, torch.isin(true, members) & region
            both = a.sum() + b.sum()
            dices.append(torch.where(both > 0, 2.0 * (a & b).sum() / both.clamp_min(1), torch.ones_like(entropy)))
            scores[f"validation_dice_{name}"] = dices[-1]
        scores["validation_dice"] = torch.stack(dices).mean()
        return scores

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the training loss; their sum is minimized."""

    def logits(self, images: Tensor) -> Tensor:
        """``(batch, channels, *spatial)`` prepared images to ``(batch, classes, *spatial)`` logits, the final ones."""
        answers = self.network(images)
        return answers[-1] if isinstance(answers, list | tuple) else answers

    @abstractmethod
    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        """Add this stage's answer to what was found so far."""

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """``(classes, height, width)`` probabilities to ``(height, width)`` uint8 class indices."""
        raise NotImplementedError(f"the stage {self.name!r} gives no maps")

    def tidy(self, mask: np.ndarray) -> list[str]:
        """Mend a decided mask in place; gives flags where much was changed."""
        return []

    def answer_names(self) -> list[str]:
        """What the rows of its networks' last layers stand for, in their order; the background has that name."""
        return ["background", *self.recipe.class_names[1:]]

    def calibrate(self, cases: Sequence[Prepared]) -> dict[str, float]:
        """Set what is chosen after training on held-back cases; gives the figures of that choice."""
        return {}

    def bundle_state(self) -> dict[str, Tensor]:
        """The weights that a bundle stores: all that is needed to apply the stage."""
        return self.state_dict()

    def load_bundle_state(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the weights of a bundle. Raises BundleError when they do not fit."""
        expected = self.bundle_state()
        wrong = sorted(set(expected) ^ set(weights))
        wrong += [k for k in expected if k in weights and expected[k].shape != weights[k].shape]
        if wrong:
            raise BundleError(
                f"The weights do not fit the stage {self.name!r} in {len(wrong)} places, such as {wrong[0]}.",
                "Use the recipe they were trained with.",
            )
        self.load_state_dict(weights, strict=False)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.parameters()).device
