"""How the segment stage learns: from patches or whole pictures, by the recipe's losses."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.learning.learners.base import Batch, Learner, network_of
from gracile.losses import OfRegions, build_loss
from gracile.recipe import LossSpec, Recipe
from gracile.samples.frames import WholeImageSamples
from gracile.samples.patches import PatchSamples
from gracile.samples.weights import by_weight
from gracile.transforms import Prepared


class SegmentLearner(Learner):
    """Learns to delineate the recipe's classes in prepared pictures.

    The network answers logits ``(batch, classes, height, width)``, or those of the recipe's regions; one that refines
    its answer in steps, or answers more coarsely too, gives a list of them while it trains, see `weighted_losses`.
    """

    learns_classes = True

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
        self.network = network_of(spec.network, recipe.input.channels, len(recipe.answers), initialize, dimensions=2)
        self.terms = build_terms(recipe, spec.losses)

    def learns_from(self, case: Prepared) -> bool:
        if case.truth is None:
            return False
        return not self.spec.positives_only or case.shows(range(1, len(self.recipe.classes)))

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        sampler = self.spec.sampler
        samples: WholeImageSamples | PatchSamples
        if sampler.whole:
            samples = WholeImageSamples(
                cases, sampler.patch, self.spec.augment, seed, sampler.per_case, self.recipe.opposites
            )
        else:
            samples = PatchSamples(cases, sampler, self.spec.augment, seed, self.recipe.opposites)
        return by_weight(samples, cases, seed)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return weighted_losses(self.network(batch["image"]), batch, self.terms)


Terms = Sequence[tuple[LossSpec, nn.Module]]


def build_terms(recipe: Recipe, losses: Sequence[LossSpec]) -> Terms:
    """The losses that a stage of a recipe names, on its regions where it has any. Raises RecipeError."""
    if not recipe.regions:
        return [(term, build_loss(term.name, recipe.structures, **term.options)) for term in losses]
    alone = {"region": (1,)}
    return [(term, OfRegions(recipe.structures, build_loss(term.name, alone, **term.options))) for term in losses]


def weighted_losses(answers: Tensor | Sequence[Tensor], batch: Batch, terms: Terms) -> dict[str, Tensor]:
    """Weighted terms of a network's answer, or of several, of which the last is the final one.

    The final one counts in full, earlier ones of its size at half weight each. Coarser ones are compared with the
    truth's mean over each of their samples, at half the weight for each step to a coarser one (deep supervision; Lee et
    al., AISTATS 2015, with nnU-Net's weights).
    """
    steps = [answers] if isinstance(answers, Tensor) else list(answers)
    full = steps[-1].shape[2:]
    totals: dict[str, Tensor] = {}
    sizes = [full]
    for number, answer in enumerate(reversed(steps)):
        size = answer.shape[2:]
        if size != sizes[-1]:
            sizes.append(size)
        weight = 0.5 ** (len(sizes) - 1) if size != full else 0.5 if number else 1.0
        truth, region = pooled_truth(batch["truth"], batch["region"], size)
        for term, loss in terms:
            value = weight * term.weight * loss(answer.float(), truth, region)
            totals[term.name] = totals[term.name] + value if term.name in totals else value
    return totals


def pooled_truth(truth: Tensor, region: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Truth and region at a coarser size: mean shares inside the region, and the share of it.

    Args:
        truth: ``(batch, classes, *spatial)``.
        region: ``(batch, 1, *spatial)``.
        size: Of the answer; a sample of it stands for a power of two of the truth's along each axis, the last one
            perhaps for fewer.

    Raises:
        ValueError: The size is none of that kind.
    """
    spatial = truth.shape[2:]
    if tuple(size) == tuple(spatial):
        return truth, region
    factors = [_factor(whole, length) for whole, length in zip(spatial, size, strict=True)]
    pool = functional.avg_pool2d if len(spatial) == 2 else functional.avg_pool3d
    share = pool(region, factors, ceil_mode=True)
    inside = pool(truth * region, factors, ceil_mode=True)
    return (inside / share.clamp_min(1e-6)).clamp(0.0, 1.0), share


def _factor(whole: int, length: int) -> int:
    factor = 1
    while -(-whole // factor) > length:
        factor *= 2
    if -(-whole // factor) != length:
        raise ValueError(f"an answer of {length} samples stands for {whole} by no power of two")
    return factor
