"""Networks that other packages add."""

import inspect
from typing import Any

from torch import nn

from gracile.errors import RecipeError, require_options
from gracile.extensions import Added
from gracile.networks.libraries import AnySize, Needs, Options


def added_network(entry: Added, in_channels: int, out_channels: int, options: Options) -> nn.Module:
    """Build a network of another package, for images of any size.

    Its class takes the number of channels and that of classes first, and maps ``(batch, channels, *spatial)`` to logits
    ``(batch, classes, *spatial)``. Its attribute ``multiple`` says of what a size must be a multiple, by default of 1;
    images are padded to that.

    Raises:
        RecipeError: Its package cannot be imported, its class is no `torch.nn.Module` or says of itself what cannot be,
            or the recipe's options are not its own.
    """
    kind = entry.require_kind(nn.Module)
    multiple = getattr(kind, "multiple", 1)
    if not isinstance(multiple, int) or multiple < 1:
        raise RecipeError(f"The network {entry.name!r} says it needs sizes that are a multiple of {multiple!r}.")
    require_options(f"network {entry.name!r}", kind, options, list(inspect.signature(kind).parameters)[:2])

    def build(channels: int, classes: int) -> Any:
        return kind(channels, classes, **options)

    return AnySize(build, in_channels, out_channels, Needs((multiple,)))
