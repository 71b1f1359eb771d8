"""How the fuse stage learns: binary branches and an all-class generator, against a discriminator."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.errors import RecipeError
from gracile.learning.learners.base import Answering, Batch, Exported, Learner
from gracile.losses import masked_mean
from gracile.networks.fusion import FusionAnswer, Realness
from gracile.networks.zoo import build_network
from gracile.recipe import FuseSpec, Recipe
from gracile.samples.frames import WholeImageSamples
from gracile.transforms import Prepared
from gracile.transforms.frames import Frame


class FuseLearner(Learner):
    """Learns to delineate the recipe's classes in the whole prepared picture at once.

    Zhou et al., Learning to Address Intra-segment Misclassification in Retinal Imaging, MICCAI 2021. It also holds the
    discriminator; a bundle stores the generators alone. With the sigmoid as activation each class is learned by itself,
    and the probabilities are scaled to sum to one when the classes are decided.
    """

    takes_turns = True
    learns_classes = True

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
        self.members = branch_members(spec, recipe)
        channels, classes = recipe.input.channels, len(recipe.classes)
        options = {**spec.network.options, "branches": list(self.members)}
        if initialize:
            options["initial"] = spec.network.initial
        self.network = build_network(spec.network.name, channels, classes, **options)
        self.discriminator = build_network(
            spec.discriminator.name, channels + classes + len(self.members), 1, **spec.discriminator.options
        )

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        return WholeImageSamples(cases, self.spec.size, self.spec.augment, seed, opposites=self.recipe.opposites)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Of one whole prepared case, in the network's frame."""
        frame = Frame.around(batch["image"].shape[-2:], self.spec.size)
        placed = {name: torch.from_numpy(frame.place(maps.cpu().numpy())) for name, maps in batch.items()}
        return super().scores({name: maps.to(self.device) for name, maps in placed.items()})

    def exported(self) -> Exported:
        image = torch.zeros(1, self.recipe.input.channels, *self.spec.size)
        return Exported(Answering(self), (image,), ((),))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the generators' loss."""
        return self.generator_losses(self.network(batch["image"]), batch)

    def generator_losses(self, answer: FusionAnswer, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms ``adversarial``, ``cross-entropy`` and ``mse`` of what the generators answered.

        The latter two sum over the fused map, each branch's map and the side maps of all three generators, these at
        their side weights.
        """
        truth, region = batch["truth"], batch["region"]
        softmax = self.spec.activation == "softmax"
        entropy, error = map_losses(answer.logits, truth, region, softmax)
        groups = [(answer.sides, truth, softmax)]
        for name, branch in answer.branches.items():
            own = self.branch_truth(truth, name)
            if branch.logits is not None:
                parts = map_losses(branch.logits, own, region, False)
                entropy, error = entropy + parts[0], error + parts[1]
            groups.append((branch.sides, own, False))
        for sides, target, exclusive in groups:
            for step, (weight, side) in enumerate(zip(self.spec.side_weights, sides, strict=True), start=1):
                parts = map_losses(side, *shrunk_truth(target, region, 2**step), exclusive)
                entropy, error = entropy + weight * parts[0], error + weight * parts[1]
        realness = self.discriminator(self._judged(batch, self.answered_maps(answer)))
        return {
            "adversarial": self.spec.adversarial_weight * realness_loss(realness, 1.0, region),
            "cross-entropy": self.spec.cross_entropy_weight * entropy,
            "mse": self.spec.mse_weight * error,
        }

    def discriminator_loss(self, answer: FusionAnswer, batch: Batch) -> Tensor:
        """Mean of the discriminator's errors on the expert's maps and on the generators', which stay untouched."""
        truth, region = batch["truth"], batch["region"]
        expert = torch.cat([truth, *(self.branch_truth(truth, name) for name in self.members)], dim=1)
        real = self.discriminator(self._judged(batch, expert))
        fake = self.discriminator(self._judged(batch, self.answered_maps(answer).detach()))
        return 0.5 * (realness_loss(real, 1.0, region) + realness_loss(fake, 0.0, region))

    def answered_maps(self, answer: FusionAnswer) -> Tensor:
        """Probabilities of the classes and of each branch, ``(batch, classes + branches, height, width)``."""
        logits = answer.logits.float()
        fused = logits.softmax(dim=1) if self.spec.activation == "softmax" else logits.sigmoid()
        branches = [b.logits.float().sigmoid() for b in answer.branches.values() if b.logits is not None]
        return torch.cat([fused, *branches], dim=1)

    def branch_truth(self, truth: Tensor, branch: str) -> Tensor:
        """Share ``(batch, 1, height, width)`` of a branch's classes together; a crossing belongs to both trees."""
        return truth[:, self.members[branch]].sum(dim=1, keepdim=True).clamp(0.0, 1.0)

    def logits(self, images: Tensor) -> Tensor:
        """Class logits whose softmax gives the probabilities, with either activation."""
        answer = self.network(images)
        logits = answer.logits if isinstance(answer, FusionAnswer) else answer
        return logits if self.spec.activation == "softmax" else functional.logsigmoid(logits.float())

    def bundle_state(self) -> dict[str, Tensor]:
        """The generators' weights; the discriminator has done its work when training ends."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("discriminator.")}

    def _judged(self, batch: Batch, maps: Tensor) -> Tensor:
        """What the discriminator sees: the image and the maps, blank outside the region."""
        return torch.cat((batch["image"], maps * batch["region"]), dim=1)


def branch_members(spec: FuseSpec, recipe: Recipe) -> dict[str, list[int]]:
    """Class indices of each branch. Raises RecipeError for a class that the recipe does not have."""
    names = recipe.class_names
    for branch, classes in spec.branches.items():
        unknown = sorted(set(classes) - set(names))
        if unknown or not classes:
            raise RecipeError(
                f"The branch {branch!r} names {'unknown classes: ' + ', '.join(unknown) if unknown else 'no class'}.",
                f"The classes are: {', '.join(names)}.",
            )
    return {branch: [names.index(c) for c in classes] for branch, classes in spec.branches.items()}


def map_losses(logits: Tensor, truth: Tensor, region: Tensor, exclusive: bool) -> tuple[Tensor, Tensor]:
    """Cross-entropy and mean squared error of the probabilities inside the region, against soft truth.

    Args:
        logits: ``(batch, channels, height, width)``.
        truth: Shares of the same shape.
        region: ``(batch, 1, height, width)`` weights.
        exclusive: Softmax over the channels; else a sigmoid on each, and the mean over them.
    """
    logits = logits.float()
    if exclusive:
        logarithms = logits.log_softmax(dim=1)
        entropy = masked_mean(-(truth * logarithms).sum(dim=1, keepdim=True), region)
        probabilities = logarithms.exp()
    else:
        each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        entropy = masked_mean(each, region)
        probabilities = logits.sigmoid()
    return entropy, masked_mean((probabilities - truth).square(), region)


def shrunk_truth(truth: Tensor, region: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Truth and region at ``1 / factor`` of the size, rounded up: shares inside the region, and its share itself."""
    share = functional.avg_pool2d(region, factor, ceil_mode=True)
    inside = functional.avg_pool2d(truth * region, factor, ceil_mode=True)
    return (inside / share.clamp_min(1e-6)).clamp(0.0, 1.0), share


def realness_loss(realness: Realness, target: float, region: Tensor) -> Tensor:
    """Cross-entropy of the judgments with 1 for real or 0 for generated: mean of the pixels' and the whole's."""
    pixels, whole = realness.pixels.float(), realness.whole.float()
    entropy = functional.binary_cross_entropy_with_logits
    each = entropy(pixels, torch.full_like(pixels, target), reduction="none")
    return 0.5 * (masked_mean(each, region) + entropy(whole, torch.full_like(whole, target)))
