"""What losses are made of: the structures that they compare, means inside a region, and soft Dice."""

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from gracile.errors import RecipeError, nearest

Structures = Mapping[str, tuple[int, ...]]
"""Class indices of each structure; classes may be shared, as crossings are by both vessel trees."""

Absent = Literal["count", "skip"]
"""What becomes of a class that the batch does not show: ``count`` teaches it not to be found there, as hard as a class
that is there to be found; ``skip`` leaves it out of the mean, to what the other terms say of it."""


def masked_mean(values: Tensor, region: Tensor) -> Tensor:
    """Mean of ``(batch, channels, *spatial)`` values where the ``(batch, 1, *spatial)`` region is 1."""
    return (values * region).sum() / (region.sum() * values.shape[1]).clamp_min(1.0)


def soft_dice_loss(probabilities: Tensor, truth: Tensor, region: Tensor, absent: Absent = "count") -> Tensor:
    """One minus soft Dice per channel over the whole batch, averaged; over the batch, as a patch may hold no vessel."""
    axes = (0, *range(2, probabilities.ndim))
    overlap = (probabilities * truth * region).sum(axes)
    total = ((probabilities + truth) * region).sum(axes)
    shortfall = 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
    if absent == "count":
        return shortfall.mean()
    shown = ((truth * region).sum(axes) > 0).to(shortfall.dtype)
    return (shortfall * shown).sum() / shown.sum().clamp_min(1.0)


def require_known(loss: str, absent: str) -> Absent:
    """Raise RecipeError where the option ``absent`` of a loss is none of its words."""
    known = get_args(Absent)
    if absent not in known:
        raise RecipeError(f"The loss {loss!r} has no {absent!r} for `absent`.", nearest(absent, known))
    return absent  # type: ignore[return-value]


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
