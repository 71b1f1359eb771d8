"""Losses by name, for pictures and volumes. Each compares logits with soft targets inside a region.

Every loss is called with ``logits`` ``(batch, classes, *spatial)``, ``truth`` of the same shape (each class's share of
a pixel or voxel) and ``region`` ``(batch, 1, *spatial)`` (1 where it counts), and gives a scalar.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError, nearest, require_options
from gracile.extensions import ALL_LOSSES, Added

Structures = Mapping[str, tuple[int, ...]]
"""Class indices of each structure; classes may be shared, as crossings are by both vessel trees."""


def masked_mean(values: Tensor, region: Tensor) -> Tensor:
    """Mean of ``(batch, channels, *spatial)`` values where the ``(batch, 1, *spatial)`` region is 1."""
    return (values * region).sum() / (region.sum() * values.shape[1]).clamp_min(1.0)


def soft_dice_loss(probabilities: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """One minus soft Dice per channel over the whole batch, averaged; over the batch, as a patch may hold no vessel."""
    axes = (0, *range(2, probabilities.ndim))
    overlap = (probabilities * truth * region).sum(axes)
    total = ((probabilities + truth) * region).sum(axes)
    return 1.0 - ((2.0 * overlap + 1.0) / (total + 1.0)).mean()


class CrossEntropy(nn.Module):
    """Cross-entropy over all classes with soft targets, optionally weighted by class."""

    def __init__(self, structures: Structures, class_weights: list[float] | None = None) -> None:
        super().__init__()
        self.class_weights = class_weights

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        terms = -truth * functional.log_softmax(logits, dim=1)
        if self.class_weights is not None:
            terms = terms * terms.new_tensor(self.class_weights).view(1, -1, *[1] * (logits.ndim - 2))
        return masked_mean(terms.sum(dim=1, keepdim=True), region)


class Dice(nn.Module):
    """Soft Dice loss, mean over the foreground classes."""

    def __init__(self, structures: Structures) -> None:
        super().__init__()

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        return soft_dice_loss(logits.softmax(dim=1)[:, 1:], truth[:, 1:], region)


class Tree(nn.Module):
    """Binary cross-entropy and soft Dice loss of each structure and of the whole foreground.

    A structure's probability is the sum of those of its classes, so that a crossing counts in both trees.
    """

    def __init__(self, structures: Structures, entropy: float = 1.0, dice: float = 0.5) -> None:
        super().__init__()
        self.structures = dict(structures)
        self.entropy = entropy
        self.dice = dice

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        probabilities = joined(logits.softmax(dim=1), self.structures)
        target = joined(truth, self.structures)
        safe = probabilities.clamp(1e-5, 1.0 - 1e-5)
        entropy = functional.binary_cross_entropy(safe, target.clamp(0.0, 1.0), reduction="none")
        dice = soft_dice_loss(probabilities, target, region)
        return self.entropy * masked_mean(entropy, region) + self.dice * dice


class CenterlineDice(nn.Module):
    """One minus soft centerline Dice of each structure over the batch, averaged (Shit et al., CVPR 2021).

    Of the probabilities P and the truth T with their soft skeletons S, the paper's (arXiv:2003.07311) topology
    precision is ``sum(S(P) T) / sum(S(P))``, its topology sensitivity ``sum(S(T) P) / sum(S(T))``, and clDice their
    harmonic mean; 1 is added to all four sums. Soft skeletons are MONAI's, in two and three dimensions: what each
    opening takes away, while the structure is eroded again and again. As published, erosion is the smallest value
    along each axis by itself, a cross, and dilation the largest of the square or cube.

    Args:
        structures: Class indices of each structure.
        iterations: Erosions; at least the radius of the widest structure in pixels or voxels.

    Raises:
        RecipeError: ``iterations`` is negative.
    """

    def __init__(self, structures: Structures, iterations: int = 5) -> None:
        super().__init__()
        if iterations < 0:
            raise RecipeError(f"The loss 'cldice' cannot erode {iterations} times.", "Take 0 or more; 5 is usual.")
        self.structures = dict(structures)
        self.iterations = iterations

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        probabilities = joined(logits.softmax(dim=1), self.structures)[:, :-1] * region
        target = joined(truth, self.structures)[:, :-1] * region
        axes = (0, *range(2, logits.ndim))
        # Not with the module: MONAI takes seconds to load, and pictures of most recipes need none of it here.
        from monai.losses.cldice import soft_skel

        found, true = soft_skel(probabilities, self.iterations), soft_skel(target, self.iterations)
        precision = ((found * target).sum(axes) + 1.0) / (found.sum(axes) + 1.0)
        sensitivity = ((true * probabilities).sum(axes) + 1.0) / (true.sum(axes) + 1.0)
        return 1.0 - (2.0 * precision * sensitivity / (precision + sensitivity)).mean()


class BinaryDice(nn.Module):
    """Binary cross-entropy and soft Dice loss of each structure by itself, both means over the structures.

    A structure's probability is the sum of those of its classes; the entropy is taken from the logits, so that a sure
    and wrong answer still has a gradient.
    """

    def __init__(self, structures: Structures, entropy: float = 1.0, dice: float = 1.0) -> None:
        super().__init__()
        self.structures = dict(structures)
        self.entropy = entropy
        self.dice = dice

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        target = joined(truth, self.structures)[:, :-1].clamp(0.0, 1.0)
        present, absent = log_probabilities(logits, self.structures)
        entropy = masked_mean(-target * present - (1.0 - target) * absent, region)
        return self.entropy * entropy + self.dice * soft_dice_loss(present.exp(), target, region)


class Focal(nn.Module):
    """Focal loss over all classes: cross-entropy times ``(1 - p) ** gamma`` (Lin et al., ICCV 2017, arXiv:1708.02002).

    The paper's is of one sigmoid; here each class's share of a pixel takes the class's softmax probability as ``p``,
    and the mean is over the region's pixels. ``class_weights`` are the paper's alpha. With a ``gamma`` of 0 it is
    cross-entropy.

    Raises:
        RecipeError: ``gamma`` is negative.
    """

    def __init__(self, structures: Structures, gamma: float = 2.0, class_weights: list[float] | None = None) -> None:
        super().__init__()
        if gamma < 0:
            raise RecipeError(f"The loss 'focal' cannot have a gamma of {gamma}.", "Take 0 or more; 2 is usual.")
        self.gamma = gamma
        self.class_weights = class_weights

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        logarithms = functional.log_softmax(logits, dim=1)
        # Not quite 0: there the power of a gamma below 1 has no finite slope.
        doubt = (1.0 - logarithms.exp()).clamp_min(1e-6) ** self.gamma
        terms = -truth * doubt * logarithms
        if self.class_weights is not None:
            terms = terms * terms.new_tensor(self.class_weights).view(1, -1, *[1] * (logits.ndim - 2))
        return masked_mean(terms.sum(dim=1, keepdim=True), region)


class Tversky(nn.Module):
    """One minus the Tversky index of each structure over the batch, averaged (Salehi et al., MLMI 2017).

    The index is ``TP / (TP + false_positives * FP + false_negatives * FN)`` (arXiv:1706.05721, where the weight of the
    false positives is alpha, 0.3 at the paper's best, and that of the false negatives beta, 0.7). Half each is the
    Dice loss of the structures.

    Args:
        structures: Class indices of each structure.
        false_negatives: Weight of what was missed.
        false_positives: Weight of what was found where nothing is.
    """

    def __init__(self, structures: Structures, false_negatives: float = 0.7, false_positives: float = 0.3) -> None:
        super().__init__()
        self.structures = dict(structures)
        self.false_negatives = false_negatives
        self.false_positives = false_positives

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        return self.shortfall(logits, truth, region).mean()

    def shortfall(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        """One minus the index of each structure, ``(structures,)``; 0 where one is neither there nor found."""
        found = joined(logits.softmax(dim=1), self.structures)[:, :-1]
        true = joined(truth, self.structures)[:, :-1]
        axes = (0, *range(2, logits.ndim))
        hits, extra, missed = (
            (part * region).sum(axes) for part in (found * true, found * (1.0 - true), (1.0 - found) * true)
        )
        # Half a pixel on both sides, so that half-and-half weights give soft_dice_loss exactly.
        whole = hits + self.false_positives * extra + self.false_negatives * missed
        return 1.0 - (hits + 0.5) / (whole + 0.5)


class FocalTversky(Tversky):
    """Focal Tversky loss: the mean over the structures of ``(1 - index) ** (1 / gamma)``.

    Abraham and Khan, ISBI 2019 (arXiv:1810.07842), whose exponent is 1 / gamma and whose best gamma is 4/3: the
    exponent 0.75. Some other texts call the exponent itself gamma; here it is the paper's. A ``gamma`` of 1 is the
    Tversky loss. The paper sums over the classes.

    Raises:
        RecipeError: ``gamma`` is not positive.
    """

    def __init__(
        self,
        structures: Structures,
        gamma: float = 4.0 / 3.0,
        false_negatives: float = 0.7,
        false_positives: float = 0.3,
    ) -> None:
        super().__init__(structures, false_negatives, false_positives)
        if gamma <= 0:
            raise RecipeError(
                f"The loss 'focal-tversky' cannot have a gamma of {gamma}.",
                "Take more than 0; the exponent is 1 / gamma, and the paper's gamma lies from 1 to 3.",
            )
        self.gamma = gamma

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        # Not quite 0: an exponent below 1 has no finite slope there.
        return (self.shortfall(logits, truth, region).clamp_min(1e-6) ** (1.0 / self.gamma)).mean()


def log_probabilities(logits: Tensor, structures: Structures) -> tuple[Tensor, Tensor]:
    """Logarithms of each structure's probability and of that of its absence, ``(batch, structures, ...)`` each."""
    parts = logits.log_softmax(dim=1).unbind(dim=1)

    def together(indices: list[int]) -> Tensor:
        return torch.stack([parts[i] for i in indices]).logsumexp(dim=0)

    members = [sorted(set(group)) for group in structures.values()]
    rest = [[i for i in range(len(parts)) if i not in group] for group in members]
    # Rounding may bring the logarithm of nearly all classes above 0.
    present, absent = (torch.stack([together(g) for g in groups], dim=1).clamp_max(0.0) for groups in (members, rest))
    return present, absent


def joined(shares: Tensor, structures: Structures) -> Tensor:
    """Class shares ``(batch, classes, ...)`` to shares of each structure, and of the whole foreground at the end."""
    parts = shares.unbind(dim=1)
    groups = [*structures.values(), tuple(range(1, len(parts)))]
    return torch.stack([torch.stack([parts[i] for i in group]).sum(dim=0) for group in groups], dim=1)


def build_loss(name: str, structures: Structures, **options: Any) -> nn.Module:
    """The loss of that name. Raises RecipeError for an unknown name, or an option that it has not or cannot take."""
    if name not in ALL_LOSSES:
        raise RecipeError(f"There is no loss {name!r}.", nearest(name, ALL_LOSSES))
    entry = ALL_LOSSES[name]
    loss = entry.require_kind(nn.Module) if isinstance(entry, Added) else entry.load()
    require_options(f"loss {name!r}", loss, options, list(inspect.signature(loss).parameters)[:1])
    module: nn.Module = loss(structures, **options)
    return module
