"""Losses by name, for pictures and volumes. Each compares logits with soft targets inside a region.

Every loss is called with ``logits`` ``(batch, classes, *spatial)``, ``truth`` of the same shape (each class's share of
a pixel or voxel) and ``region`` ``(batch, 1, *spatial)`` (1 where it counts), and gives a scalar.
"""

import inspect
from typing import Any

from torch import nn

from gracile.errors import RecipeError, nearest, require_options
from gracile.extensions import ALL_LOSSES, Added
from gracile.losses.base import Structures, joined, masked_mean, soft_dice_loss
from gracile.losses.regions import OfRegions

__all__ = ["OfRegions", "Structures", "build_loss", "joined", "masked_mean", "soft_dice_loss"]


def build_loss(name: str, structures: Structures, **options: Any) -> nn.Module:
    """The loss of that name. Raises RecipeError for an unknown name, or an option that it has not or cannot take."""
    if name not in ALL_LOSSES:
        raise RecipeError(f"There is no loss {name!r}.", nearest(name, ALL_LOSSES))
    entry = ALL_LOSSES[name]
    loss = entry.require_kind(nn.Module) if isinstance(entry, Added) else entry.load()
    require_options(f"loss {name!r}", loss, options, list(inspect.signature(loss).parameters)[:1])
    module: nn.Module = loss(structures, **options)
    return module
