"""SMICNet rearranged for speed: the same function of a window, with what windows of one slice share computed once.

Three identities are used. Batch norm is multiplied into the depthwise weights. The rectifier rises, so it can follow
the maximum of 2x2. And behind the first block's single channel z, the maximum of ``w z + b`` over 2x2 is
``w+ max(z) + w- min(z) + b``, w+ and w- being the positive and the negative part of w: the first block needs only the
largest and the smallest z of each 2x2, its *extremes*, which can be read from maps of the whole slice.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gracile.networks.smicnet import SLOPE, SMICNet, WindowBlock, folded_depthwise


@dataclass(frozen=True)
class FoldedBlock:
    """Weights of one block behind the first.

    Args:
        depthwise: ``(channels, 1, 3, 3)`` with the batch norm multiplied in, and ``(channels,)`` bias.
        pointwise: ``(out, channels)`` and ``(out,)`` bias.
        shortcut: The same for the shortcut.
        stride: Of the shortcut.
        pooled: Whether a maximum of 2x2 follows the pointwise layer.
    """

    depthwise: tuple[Tensor, Tensor]
    pointwise: tuple[Tensor, Tensor]
    shortcut: tuple[Tensor, Tensor]
    stride: int
    pooled: bool


class FoldedSMICNet:
    """The trained weights of a SMICNet, rearranged; constants, on the network's device.

    Args:
        network: A trained network.
        size: Side of its windows in samples; odd, so that a window has a middle.
    """

    def __init__(self, network: SMICNet, size: int) -> None:
        self.padded = network.padded
        self.size = size
        self.sides = network.sides(size)
        first, *others = network.blocks
        assert isinstance(first, WindowBlock)
        self.first_kernel, self.first_bias = folded_depthwise(first)
        weight = _matrix(first.pointwise.weight)
        self.first_pointwise = torch.cat([weight.clamp(min=0), weight.clamp(max=0)], dim=1), _constant(first.pointwise)
        self.blocks = [_folded(block) for block in others]
        self.hidden = network.hidden.weight.detach(), _constant(network.hidden)
        self.classes = network.classes.weight.detach(), _constant(network.classes)

    @property
    def side(self) -> int:
        """Side of a window's extremes."""
        return self.sides[0]

    def extreme_maps(self, planes: Tensor) -> Tensor:
        """The extremes of every 2x2 of slices.

        Args:
            planes: ``(slices, height, width)``.

        Returns:
            ``(kinds, slices, 2, height - 3, width - 3)``: largest and smallest z of the 2x2 whose first sample has the
            3x3 from that row and column on. Without padding there is one kind. With it there are four, which see zeros
            instead of the row above, instead of the column to the left, and instead of both, as a window's first ones.
        """
        kernel = self.first_kernel
        if not self.padded:
            z = self._first(planes, kernel)
            return _extremes(z, z, z, z)[None]
        no_row, no_column = kernel.clone(), kernel.clone()
        no_row[..., 0, :] = 0.0
        no_column[..., :, 0] = 0.0
        neither = no_row.clone()
        neither[..., :, 0] = 0.0
        z, above, left, corner = (self._first(planes, part) for part in (kernel, no_row, no_column, neither))
        quads = [(z, z, z, z), (above, above, z, z), (left, z, left, z), (corner, above, left, z)]
        return torch.stack([_extremes(*quad) for quad in quads])

    def _first(self, planes: Tensor, kernel: Tensor) -> Tensor:
        z = functional.conv2d(planes[:, None], kernel, self.first_bias)[:, 0]
        return functional.leaky_relu(z, SLOPE)

    def logits(self, extremes: Tensor) -> Tensor:
        """``(batch, 2, side, side)`` extremes of windows to ``(batch, classes)`` logits."""
        weight, bias = self.first_pointwise
        features = functional.leaky_relu(functional.conv2d(extremes, weight[:, :, None, None], bias), SLOPE)
        for block in self.blocks:
            weight, bias = block.depthwise
            inner = functional.conv2d(features, weight, bias, padding=int(self.padded), groups=len(weight))
            weight, bias = block.pointwise
            answer = functional.conv2d(functional.leaky_relu(inner, SLOPE), weight[:, :, None, None], bias)
            if block.pooled:
                answer = functional.max_pool2d(answer, 2)
            if not self.padded:
                features = features[..., 1:-1, 1:-1]
            weight, bias = block.shortcut
            beside = functional.conv2d(features, weight[:, :, None, None], bias, stride=block.stride)
            features = functional.leaky_relu(answer, SLOPE) + beside[..., : answer.shape[-2], : answer.shape[-1]]
        return self.answer(features.mean(dim=(2, 3)))

    def answer(self, features: Tensor) -> Tensor:
        """``(..., channels)`` mean features to ``(..., classes)`` logits."""
        return functional.linear(functional.leaky_relu(functional.linear(features, *self.hidden), SLOPE), *self.classes)


def _folded(block: torch.nn.Module) -> FoldedBlock:
    assert isinstance(block, WindowBlock)
    assert block.shortcut is not None
    return FoldedBlock(
        folded_depthwise(block),
        (_matrix(block.pointwise.weight), _constant(block.pointwise)),
        (_matrix(block.shortcut.weight), _constant(block.shortcut)),
        int(block.shortcut.stride[0]),
        block.pooled,
    )


def _matrix(weight: Tensor) -> Tensor:
    """The ``(out, in)`` matrix of a 1x1 convolution."""
    return weight.detach()[:, :, 0, 0].contiguous()


def _constant(layer: torch.nn.Conv2d | torch.nn.Linear) -> Tensor:
    assert layer.bias is not None
    return layer.bias.detach()


def _extremes(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """``(slices, 2, rows - 1, columns - 1)`` of 2x2 whose samples are those of the four maps, row by row."""
    parts = [a[..., :-1, :-1], b[..., :-1, 1:], c[..., 1:, :-1], d[..., 1:, 1:]]
    largest = torch.maximum(torch.maximum(parts[0], parts[1]), torch.maximum(parts[2], parts[3]))
    smallest = torch.minimum(torch.minimum(parts[0], parts[1]), torch.minimum(parts[2], parts[3]))
    return torch.stack([largest, smallest], dim=1)
