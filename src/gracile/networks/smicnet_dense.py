"""Dense answers of a SMICNet without padding: every window of a slice, features computed once for all windows.

A network without padding gives a place the same features whichever window they are computed for, if no stride skips it.
So strides become distances between samples (*dilation*): each layer is evaluated at every place that some window needs,
and what lies ``stride`` samples apart belongs to one window (Giusti et al., Fast Image Scanning with Deep Max-Pooling
Convolutional Neural Networks, ICIP 2013, take the maps apart instead).
"""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError
from gracile.networks.smicnet import SLOPE, SMICNet, WindowBlock
from gracile.networks.smicnet_exact import first_features


class EveryWindow(nn.Module):
    """The windows at every ``step``-th row and column of slices.

    Args:
        network: One without padding; its weights stay where they are.
        size: Samples of a window's side.
        step: From window to window, a power of two.

    Raises:
        RecipeError: The network pads its windows, or takes none of this size.
    """

    def __init__(self, network: SMICNet, size: int, step: int) -> None:
        super().__init__()
        if network.padded:
            raise RecipeError(
                "A network that pads inside its windows cannot share features between them.",
                "Scan in exact mode, or train smicnet-unpadded.",
            )
        self.network = network
        self.step = step
        self.side = network.sides(size)[-1]

    def forward(self, planes: Tensor) -> Tensor:
        """Slices to logits.

        Args:
            planes: ``(slices, 1, height, width)`` from 0 to 1.

        Returns:
            ``(slices, classes, rows, columns)``; the first is that of the window in the upper left corner, and as many
            follow as fit in, or some more.
        """
        first, *others = self.network.blocks
        assert isinstance(first, WindowBlock)
        z = functional.leaky_relu(first.norm(first.depthwise(planes)), SLOPE)
        stride, grid = 2, min(2, self.step)
        extremes = [functional.max_pool2d(z, 2, grid), -functional.max_pool2d(-z, 2, grid)]
        features = first_features(self.network, torch.cat(extremes, dim=1))
        for block in others:
            assert isinstance(block, WindowBlock)
            features, stride, grid = self._block(features, block, stride, grid)
        more = self.step // grid
        return self._answer(_mean(features, self.side, stride // grid)[..., ::more, ::more])

    def _block(self, features: Tensor, block: WindowBlock, stride: int, grid: int) -> tuple[Tensor, int, int]:
        """One block.

        Args:
            features: ``(slices, channels, rows, columns)``, one sample for every ``grid`` of the input's.
            block: Its weights.
            stride: How many of the input's samples apart a window takes them.
            grid: At most ``stride`` and ``step``.

        Returns:
            Features, stride and grid behind it.
        """
        apart = stride // grid
        depthwise, shortcut = block.depthwise, block.shortcut
        assert shortcut is not None
        inner = functional.conv2d(
            features, depthwise.weight, depthwise.bias, dilation=apart, groups=depthwise.groups
        )  # fmt: skip
        answer = block.pointwise(functional.leaky_relu(block.norm(inner), SLOPE))
        beyond, thin = apart, 1
        if block.pooled:
            stride *= 2
            thin = 2 if grid < min(self.step, stride) else 1
            beyond = 2 * apart
            answer = _largest(answer, apart, thin)
        middle = features[..., apart:-beyond, apart:-beyond]
        beside = functional.conv2d(middle, shortcut.weight, shortcut.bias, stride=thin)
        return functional.leaky_relu(answer, SLOPE) + beside, stride, grid * thin

    def _answer(self, means: Tensor) -> Tensor:
        hidden, classes = self.network.hidden, self.network.classes
        inner = functional.conv2d(means, hidden.weight[:, :, None, None], hidden.bias)
        return functional.conv2d(functional.leaky_relu(inner, SLOPE), classes.weight[:, :, None, None], classes.bias)


def _largest(maps: Tensor, apart: int, thin: int) -> Tensor:
    """The maximum of 2x2 samples that lie ``apart``, at every ``thin``-th place."""
    if apart == 1:
        return functional.max_pool2d(maps, 2, thin)
    # OpenVINO takes tens of times as long for a pooling with distances (2026.4).
    rows = torch.maximum(maps[..., :-apart, :], maps[..., apart:, :])
    return torch.maximum(rows[..., :-apart], rows[..., apart:])[..., ::thin, ::thin]


def _mean(maps: Tensor, side: int, apart: int) -> Tensor:
    """The mean of ``side`` x ``side`` samples that lie ``apart``, at every place."""
    total: Tensor | None = None
    for row, column in product(range(side), range(side)):
        # Ends are counted from behind, so that a graph asks no shape for its own.
        ends = [(n - side + 1) * apart or None for n in (row, column)]
        part = maps[..., row * apart : ends[0], column * apart : ends[1]]
        total = part if total is None else total + part
    assert total is not None
    return total / side**2
