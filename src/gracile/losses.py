"""Losses by name. Each compares logits with soft targets inside a region.

Every loss is called with ``logits`` ``(batch, classes, height, width)``, ``truth`` of the same shape (each class's
share of a pixel) and ``region`` ``(batch, 1, height, width)`` (1 where it counts), and gives a scalar.
"""

import difflib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError

Structures = Mapping[str, tuple[int, ...]]
"""Class indices of each structure; classes may be shared, as crossings are by both vessel trees."""


def masked_mean(values: Tensor, region: Tensor) -> Tensor:
    """Mean of ``(batch, channels, height, width)`` values where the ``(batch, 1, height, width)`` region is 1."""
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
    """Soft centerline Dice loss of each structure (Shit et al., clDice, CVPR 2021).

    Soft skeletons by repeated morphological opening with min and max pooling.
    """

    def __init__(self, structures: Structures, iterations: int = 5) -> None:
        super().__init__()
        self.structures = dict(structures)
        self.iterations = iterations

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        probabilities = joined(logits.softmax(dim=1), self.structures)[:, :-1] * region
        target = joined(truth, self.structures)[:, :-1] * region
        axes = (0, *range(2, logits.ndim))
        found = soft_skeleton(probabilities, self.iterations)
        true = soft_skeleton(target, self.iterations)
        precision = ((found * target).sum(axes) + 1.0) / (found.sum(axes) + 1.0)
        sensitivity = ((true * probabilities).sum(axes) + 1.0) / (true.sum(axes) + 1.0)
        return 1.0 - (2.0 * precision * sensitivity / (precision + sensitivity)).mean()


def joined(shares: Tensor, structures: Structures) -> Tensor:
    """Class shares ``(batch, classes, ...)`` to shares of each structure, and of the whole foreground at the end."""
    parts = shares.unbind(dim=1)
    groups = [*structures.values(), tuple(range(1, len(parts)))]
    return torch.stack([torch.stack([parts[i] for i in group]).sum(dim=0) for group in groups], dim=1)


def soft_skeleton(shares: Tensor, iterations: int) -> Tensor:
    """Differentiable skeleton of ``(batch, channels, height, width)`` shares in [0, 1]."""

    def eroded(x: Tensor) -> Tensor:
        return -functional.max_pool2d(-x, 3, 1, 1)

    def opened(x: Tensor) -> Tensor:
        return functional.max_pool2d(eroded(x), 3, 1, 1)

    skeleton = functional.relu(shares - opened(shares))
    for _ in range(iterations):
        shares = eroded(shares)
        rest = functional.relu(shares - opened(shares))
        skeleton = skeleton + functional.relu(rest - skeleton * rest)
    return skeleton


LOSSES: dict[str, type[nn.Module]] = {
    "cross-entropy": CrossEntropy,
    "dice": Dice,
    "tree": Tree,
    "cldice": CenterlineDice,
}


def build_loss(name: str, structures: Structures, **options: Any) -> nn.Module:
    """The loss of that name. Raises RecipeError for an unknown name or option."""
    if name not in LOSSES:
        close = difflib.get_close_matches(name, LOSSES, n=2)
        raise RecipeError(f"There is no loss {name!r}.", f"There are: {', '.join(close or LOSSES)}.")
    try:
        return LOSSES[name](structures, **options)
    except TypeError as error:
        raise RecipeError(f"The loss {name!r} cannot be built: {error}.", "Check its options.") from None
