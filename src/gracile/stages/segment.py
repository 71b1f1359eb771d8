"""The segment stage: one network delineates all classes."""

from collections.abc import Sequence

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from skimage.measure import label
from torch import Tensor, nn
from torch.utils.data import Dataset

from gracile.losses import build_loss
from gracile.networks.zoo import build_network
from gracile.recipe import DecisionSpec, LossSpec, Recipe, SegmentSpec
from gracile.samples.frames import WholeImageSamples
from gracile.samples.patches import PatchSamples
from gracile.stages.base import Batch, Finding, Stage
from gracile.transforms import Prepared


class SegmentStage(Stage):
    """Delineates the recipe's classes in a prepared picture.

    The network answers logits ``(batch, classes, height, width)``; one that refines its answer in steps gives a list
    of them while it trains, the last one counts in full and the earlier ones at half weight each.
    """

    def __init__(self, spec: SegmentSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(recipe)
        self.spec = spec
        self.name = spec.name
        self.network = build_network(
            spec.network.name,
            recipe.input.channels,
            len(recipe.classes),
            initial=spec.network.initial if initialize else "",
            dimensions=2,
            **spec.network.options,
        )
        structures = recipe.structures
        self.terms = [(term, build_loss(term.name, structures, **term.options)) for term in spec.losses]

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

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        image = torch.from_numpy(np.asarray(prepared.image))[None].to(self.device)
        finding.probabilities = predict_probabilities(self, image, self.spec.flips, self.spec.largest_input)
        return finding

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return decide(probabilities, self.spec.decision)


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


def predict_probabilities(stage: Stage, image: Tensor, flips: bool | str, largest_input: int) -> np.ndarray:
    """Class probabilities of one prepared image ``(1, channels, height, width)``, averaged over flips if asked.

    ``flips``: True for all four, ``horizontal`` for two, where up and down are not alike. In an answer that was
    mirrored once, each class is its opposite; mirrored twice is turned, and keeps them.

    Images above ``largest_input`` pixels are predicted in overlapping tiles with Gaussian weights.

    Returns:
        ``(classes, height, width)`` float32.
    """
    image = image.contiguous(memory_format=torch.channels_last)

    def answer(part: Tensor) -> Tensor:
        if part.shape[-1] * part.shape[-2] <= largest_input:
            return stage.logits(part).float()
        side = int(largest_input**0.5) // 64 * 64
        tiles = sliding_window_inference(part, (side, side), 1, lambda x: stage.logits(x).float(), 0.25, "gaussian")
        return torch.as_tensor(tiles)

    both: list[tuple[int, ...]] = [(), (3,), (2,), (2, 3)]
    turned = both[:2] if flips == "horizontal" else both if flips else both[:1]
    opposites = stage.recipe.opposites
    answers = [torch.flip(answer(torch.flip(image, axes)).softmax(dim=1), axes) for axes in turned]
    answers = [one[:, opposites] if len(axes) == 1 else one for one, axes in zip(answers, turned, strict=True)]
    return torch.stack(answers).mean(dim=0)[0].cpu().numpy()


def decide(probabilities: np.ndarray, spec: DecisionSpec) -> np.ndarray:
    """Class indices ``(height, width)`` uint8 from ``(classes, height, width)`` probabilities by the recipe's rule."""
    if spec.rule == "argmax":
        mask = _likeliest(probabilities)
    else:
        likeliest = _likeliest(probabilities[1:]) + np.uint8(1)
        mask = np.where(1.0 - probabilities[0] >= spec.threshold, likeliest, np.uint8(0))
    if spec.smallest:
        islands = label(mask > 0, connectivity=2)
        mask[np.bincount(islands.ravel())[islands] < spec.smallest] = 0
    return mask


def _likeliest(probabilities: np.ndarray) -> np.ndarray:
    """``argmax`` over the first axis as uint8; numpy's own takes many times as long over so short an axis."""
    index = np.zeros(probabilities.shape[1:], dtype=np.uint8)
    best = probabilities[0]
    for number in range(1, len(probabilities)):
        np.copyto(index, np.uint8(number), where=probabilities[number] > best)
        if number + 1 < len(probabilities):
            best = np.maximum(best, probabilities[number])
    return index
