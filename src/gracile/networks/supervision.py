"""Deep supervision: coarser answers of a network while it trains, of which nothing is left in use."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from gracile.networks.anatomy import Axis, answers


def coarse_heads(
    convolution: Callable[[int, int, int], nn.Module], widths: Sequence[int], out_channels: int, supervised: int
) -> nn.ModuleList:
    """Heads for the resolutions below the finest, the finest of them first.

    Args:
        convolution: From channels, answers and the size of the kernel to a layer.
        widths: Channels at each resolution, the finest first.
        out_channels: Answers of the network.
        supervised: How many of the coarser resolutions answer.

    Raises:
        ValueError: There are not so many.
    """
    if not 0 <= supervised < len(widths):
        raise ValueError(f"`supervised` is from 0 to {len(widths) - 1}, the resolutions below the finest")
    return nn.ModuleList(convolution(width, out_channels, 1) for width in widths[1 : supervised + 1])


def cropped(maps: Tensor, sizes: Sequence[int], steps: Sequence[int]) -> Tensor:
    """``(batch, channels, *spatial)`` without what pads the input: one sample for each step that was begun."""
    for axis, (size, step) in enumerate(zip(sizes, steps, strict=True), start=2):
        maps = maps.narrow(axis, 0, -(-size // step))
    return maps


def coarse_answers(heads: nn.ModuleList) -> tuple[Axis, ...]:
    """Where classes lie in the heads, which a network holds as ``coarse``."""
    return answers(*(f"coarse.{number}" for number in range(len(heads))))
