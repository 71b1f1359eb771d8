"""How the segment stage learns: from patches or whole pictures, by the recipe's losses."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from gracile.learning.learners.base import Batch, Learner, network_of
from gracile.losses import build_loss
from gracile.recipe import LossSpec, Recipe
from gracile.samples.frames import WholeImageSamples
from gracile.samples.patches import PatchSamples
from gracile.transforms import Prepared


class SegmentLearner(Learner):
    """Learns to delineate the recipe's classes in prepared pictures.

    The network answers logits ``(batch, classes, height, width)``; one that refines its answer in steps gives a list
    of them while it trains, the last one counts in full and the earlier ones at half weight each.
    """

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
        self.network = network_of(spec.network, recipe.input.channels, len(recipe.classes), initialize, dimensions=2)
        self.terms = [(term, build_loss(term.name, recipe.structures, **term.options)) for term in spec.losses]

    def learns_from(self, case: Prepared) -> bool:
        if case.truth is None:
            return False
        return not self.spec.positives_only or case.shows(range(1, len(self.recipe.classes)))

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        sampler = self.spec.sampler
        if sampler.whole:
            return WholeImageSamples(
                cases, sampler.patch, self.spec.augment, seed, sampler.per_case, self.recipe.opposites
            )
        return PatchSamples(cases, sampler, self.spec.augment, seed, self.recipe.opposites)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return weighted_losses(self.network(batch["image"]), batch, self.terms)


def weighted_losses(
    answers: Tensor | Sequence[Tensor], batch: Batch, terms: Sequence[tuple[LossSpec, nn.Module]]
) -> dict[str, Tensor]:
    """Weighted terms of a network's answer; of several, the last one counts in full, the others at half weight each."""
    steps = answers if isinstance(answers, list | tuple) else [answers]
    weights = [0.5] * (len(steps) - 1) + [1.0]
    totals: dict[str, Tensor] = {}
    for weight, answer in zip(weights, steps, strict=True):
        for term, loss in terms:
            value = weight * term.weight * loss(answer.float(), batch["truth"], batch["region"])
            totals[term.name] = totals[term.name] + value if term.name in totals else value
    return totals
