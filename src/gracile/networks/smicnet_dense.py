"""Dense answers of a SMICNet without padding: every window of a slice, features computed once for all windows.

A network without padding gives a place the same features whichever window they are computed for, if no stride skips it.
So strides become distances between samples (*dilation*): each layer is evaluated at every place that some window needs,
and what lies ``stride`` samples apart belongs to one window (Giusti et al., Fast Image Scanning with Deep Max-Pooling
Convolutional Neural Networks, ICIP 2013, take the maps apart instead).
"""

import torch
from torch import Tensor
from torch.nn import functional

from gracile.errors import RecipeError
from gracile.networks.smicnet import SLOPE
from gracile.networks.smicnet_folded import FoldedBlock, FoldedSMICNet


def dense_logits(network: FoldedSMICNet, planes: Tensor, step: int = 1) -> Tensor:
    """Logits of the windows at every ``step``-th row and column of slices.

    Args:
        network: One without padding.
        planes: ``(slices, height, width)``.
        step: A power of two.

    Returns:
        ``(slices, rows, columns, classes)``; the first is that of the window in the upper left corner, and as many
        follow as fit in.

    Raises:
        RecipeError: The network pads its windows.
    """
    if network.padded:
        raise RecipeError(
            "A network that pads inside its windows cannot share features between them.",
            "Scan in exact mode, or train smicnet-unpadded.",
        )
    rows, columns = ((n - network.size) // step + 1 for n in planes.shape[1:])
    stride, grid = 2, min(2, step)
    maps = network.extreme_maps(planes)[0].permute(0, 2, 3, 1)[:, ::grid, ::grid]
    features = functional.leaky_relu_(functional.linear(maps, *network.first_pointwise), SLOPE)
    for block in network.blocks:
        features, stride, grid = _block(features, block, stride, grid, step)
    means = _mean(features, network.sides[-1], stride // grid)
    more = step // grid
    return network.answer(means[:, ::more, ::more][:, :rows, :columns])


def _block(
    features: Tensor, block: FoldedBlock, stride: int, grid: int, step: int
) -> tuple[Tensor, int, int]:  # fmt: skip
    """One block on ``(slices, rows, columns, channels)``.

    Args:
        features: One sample for every ``grid`` of the input's.
        block: Its weights.
        stride: How many of the input's samples apart a window takes them.
        grid: At most ``stride`` and ``step``.
        step: Of the windows.

    Returns:
        Features, stride and grid behind it.
    """
    apart = stride // grid
    weight, bias = block.depthwise
    inner = functional.conv2d(features.permute(0, 3, 1, 2), weight, bias, groups=len(weight), dilation=apart)
    inner = functional.leaky_relu_(inner.permute(0, 2, 3, 1), SLOPE)
    answer = functional.linear(inner, *block.pointwise)
    thin = 1
    if block.pooled:
        answer = _largest(answer, apart)
        stride *= 2
        thin = 2 if grid < min(step, stride) else 1
        answer = answer[:, ::thin, ::thin]
        grid *= thin
    answer = functional.leaky_relu_(answer.contiguous(), SLOPE)
    middle = features[:, apart:, apart:][:, ::thin, ::thin][:, : answer.shape[1], : answer.shape[2]]
    return answer.add_(functional.linear(middle, *block.shortcut)), stride, grid


def _largest(maps: Tensor, apart: int) -> Tensor:
    """The maximum of 2x2 samples that lie ``apart``, at every place."""
    pairs = torch.maximum(maps[:, :-apart], maps[:, apart:])
    return torch.maximum(pairs[:, :, :-apart], pairs[:, :, apart:])


def _mean(maps: Tensor, side: int, apart: int) -> Tensor:
    """The mean of ``side`` x ``side`` samples that lie ``apart``, at every place."""
    if side == 1:
        return maps
    reach = (side - 1) * apart
    height, width = maps.shape[1] - reach, maps.shape[2] - reach
    parts = [maps[:, r * apart : r * apart + height, c * apart : c * apart + width]
             for r in range(side) for c in range(side)]  # fmt: skip
    return torch.stack(parts).mean(dim=0)
