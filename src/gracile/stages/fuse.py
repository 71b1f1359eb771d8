"""The fuse stage: binary branches and an all-class generator, fused and trained against a discriminator."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.errors import RecipeError
from gracile.losses import masked_mean
from gracile.networks.fusion import FusionAnswer, Realness
from gracile.networks.zoo import build_network
from gracile.recipe import AugmentSpec, FuseSpec, Recipe
from gracile.stages.base import Batch, Finding, Stage
from gracile.stages.segment import decide, predict_probabilities
from gracile.transforms import Prepared
from gracile.transforms.patches import cut_patch, vary_intensities

NETWORK_SIZE = "network_size"
"""Name under which a finding keeps the probabilities at the network's own size."""


class FuseStage(Stage):
    """Delineates the recipe's classes in the whole prepared picture at once.

    Zhou et al., Learning to Address Intra-segment Misclassification in Retinal Imaging, MICCAI 2021. While it trains,
    the stage also holds the discriminator; a bundle stores the generators alone. With the sigmoid as activation each
    class is learned by itself, and the probabilities are scaled to sum to one when the classes are decided.
    """

    def __init__(self, spec: FuseSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(recipe)
        self.spec = spec
        self.name = spec.name
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
        return WholeImageSamples(cases, self.spec.size, self.spec.augment, seed)

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

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        frame = Frame.around(prepared.region.shape, self.spec.size)
        image = torch.from_numpy(np.asarray(prepared.image, dtype=np.float32))[None].to(self.device)
        height, width = self.spec.size
        probabilities = predict_probabilities(self, frame.place(image), self.spec.flips, height * width)
        if self.spec.keep_network_size:
            finding.extras[NETWORK_SIZE] = probabilities
        finding.probabilities = frame.restore(torch.from_numpy(probabilities)[None])[0].numpy()
        return finding

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return decide(probabilities, self.spec.decision)

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


@dataclass(frozen=True)
class Frame:
    """Where a prepared picture lies in the network's input: in the middle, made smaller only where it does not fit.

    Args:
        prepared: (height, width) of the prepared picture.
        inner: (height, width) it has in the network's input.
        size: (height, width) of the network's input.
    """

    prepared: tuple[int, int]
    inner: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def around(cls, prepared: Sequence[int], size: tuple[int, int]) -> "Frame":
        """The frame of a prepared picture of that shape."""
        height, width = prepared
        scale = min(1.0, size[0] / height, size[1] / width)
        inner = (max(1, min(size[0], round(height * scale))), max(1, min(size[1], round(width * scale))))
        return cls((height, width), inner, size)

    @property
    def corner(self) -> tuple[int, int]:
        """(row, column) of the picture's first pixel in the network's input."""
        return (self.size[0] - self.inner[0]) // 2, (self.size[1] - self.inner[1]) // 2

    def shrink(self, maps: Tensor) -> Tensor:
        """``(batch, channels, *prepared)`` to ``(batch, channels, *inner)``."""
        if self.inner == self.prepared:
            return maps
        return functional.interpolate(maps, self.inner, mode="bilinear", align_corners=False, antialias=True)

    def place(self, maps: Tensor) -> Tensor:
        """``(batch, channels, *prepared)`` to ``(batch, channels, *size)``, zero around it."""
        top, left = self.corner
        below, right = self.size[0] - top - self.inner[0], self.size[1] - left - self.inner[1]
        return functional.pad(self.shrink(maps), (left, right, top, below))

    def restore(self, maps: Tensor) -> Tensor:
        """``(batch, channels, *size)`` back to ``(batch, channels, *prepared)``."""
        top, left = self.corner
        inner = maps[..., top : top + self.inner[0], left : left + self.inner[1]]
        if self.inner == self.prepared:
            return inner.contiguous()
        return functional.interpolate(inner, self.prepared, mode="bilinear", align_corners=False)


class WholeImageSamples(Dataset[Batch]):
    """Each prepared picture as a whole in the network's size, varied. Index ``i`` gives the same sample for a seed.

    Sample ``i`` shows case ``i mod len(cases)``; indices may go on beyond an epoch's number of samples. A sample
    holds what those of `gracile.transforms.patches.PatchSamples` hold.
    """

    def __init__(self, cases: Sequence[Prepared], size: tuple[int, int], augment: AugmentSpec, seed: int) -> None:
        self.cases = cases
        self.size = size
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Batch:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + index) % 2**63)
        case = self.cases[index % len(self.cases)]
        if case.truth is None:
            raise ValueError("training samples need a case with truth")
        frame = Frame.around(case.region.shape, self.size)
        # Chosen so that an unturned picture falls on whole pixels.
        center = np.array([(n - 1) / 2 - c for n, c in zip(self.size, frame.corner, strict=True)])
        patch = cut_patch(_shrunk(case, frame), center, self.size, self.augment, generator)
        channels = len(case.image)
        region = (patch[-1:] > 0.5).float()
        image = vary_intensities(patch[:channels], self.augment, generator) * region
        return {"image": image, "truth": patch[channels:-1], "region": region}


def _shrunk(case: Prepared, frame: Frame) -> Prepared:
    """The case at the size it has in the network's input."""
    if frame.inner == frame.prepared or case.truth is None:
        return case

    def smaller(array: np.ndarray) -> np.ndarray:
        return frame.shrink(torch.from_numpy(np.array(array, dtype=np.float32))[None])[0].numpy()

    region = smaller(case.region[None])[0] > 0.5
    return dataclasses.replace(case, image=smaller(case.image) * region, truth=smaller(case.truth), region=region)
