"""U-Net, and the skeleton of encoder, skip connections and decoder that its descendants share.

After Ronneberger, Fischer, Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015
(arXiv:1505.04597). Written from the paper; here convolutions are padded, so that the answer has the image's size.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.anatomy import Anatomy, answers, in_part, looks

Upsampling = Literal["transposed", "bilinear"]


class EncoderDecoder(nn.Module):
    """A U-shaped network of any block, with or without gates on its skip connections.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels at full resolution; they double at each coarser level.
        levels: Resolutions, the full one included.
        block: Builds the block of one level from its channels before and after; it keeps the size.
        gate: Builds what filters a skip connection from the skip's channels and those of the coarser level, which
            it is given at half the size. The finest skip connection has none. None leaves all as they are.
        upsampling: ``transposed``, a learned 2x2 up-convolution that halves the channels, or ``bilinear``.
        dropout: Share of the channels left out at the end of the encoder while it trains.
        deep_supervision: Whether each coarser level of the decoder answers too while it trains.
    """

    looking: tuple[str, ...] = ("encoder.0.0",)
    """The convolutions that see the image; which they are, depends on the block."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        levels: int,
        block: Callable[[int, int], nn.Module],
        gate: Callable[[int, int], nn.Module] | None = None,
        upsampling: Upsampling = "transposed",
        dropout: float = 0.0,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if upsampling not in ("transposed", "bilinear"):
            raise ValueError(f"upsampling is transposed or bilinear, not {upsampling!r}")
        widths = [width * 2**level for level in range(levels)]
        self.multiple = 2 ** (levels - 1)
        self.encoder = nn.ModuleList(
            block(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.dropout = nn.Dropout2d(dropout)
        pairs = list(pairwise(widths))
        self.gates = nn.ModuleList(gate(own, coarser) for own, coarser in pairs[1:]) if gate else None
        if upsampling == "transposed":
            self.larger = nn.ModuleList(nn.ConvTranspose2d(coarser, own, 2, stride=2) for own, coarser in pairs)
            self.decoder = nn.ModuleList(block(2 * own, own) for own, _ in pairs)
        else:
            self.larger = nn.ModuleList(nn.Upsample(scale_factor=2.0, mode="bilinear") for _ in pairs)
            self.decoder = nn.ModuleList(block(own + coarser, own) for own, coarser in pairs)
        self.head = nn.Conv2d(width, out_channels, 1)
        sides = widths[1:-1] if deep_supervision else []
        self.side_heads = nn.ModuleList(nn.Conv2d(own, out_channels, 1) for own in sides)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """``(batch, in_channels, height, width)``, any size, to logits ``(batch, out_channels, height, width)``.

        Returns:
            While it trains with deep supervision the logits of every level of the decoder at full size, the finest
            last; the finest ones alone otherwise.
        """
        height, width = images.shape[-2:]
        features = pad_to_multiple(images, self.multiple)
        size = features.shape[-2:]
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else functional.max_pool2d(features, 2))
            skips.append(features)
        features = self.dropout(features)
        found: list[Tensor] = []
        for level in reversed(range(len(self.decoder))):
            skip = skips[level]
            if self.gates is not None and level > 0:
                skip = self.gates[level - 1](skip, features)
            features = self.decoder[level](torch.cat((skip, self.larger[level](features)), dim=1))
            if self.training and 0 < level <= len(self.side_heads):
                side = self.side_heads[level - 1](features)
                found.append(functional.interpolate(side, size, mode="bilinear")[..., :height, :width])
        found.append(self.head(features)[..., :height, :width])
        return found if len(found) > 1 else found[0]

    def anatomy(self) -> Anatomy:
        """Its parts, and where channels and classes lie; each answer has one row for each class."""
        deepest, sides = len(self.decoder), range(len(self.side_heads))
        expanding: list[str] = []
        for level in reversed(range(deepest)):
            gate = [f"gates.{level - 1}"] if self.gates is not None and level else []
            side = [f"side_heads.{level - 1}"] if level - 1 in sides else []
            expanding += [*gate, f"larger.{level}", f"decoder.{level}", *side]
        blocks = [
            *in_part("contracting", [f"encoder.{level}" for level in range(deepest)]),
            *in_part("bottleneck", [f"encoder.{deepest}"]),
            *in_part("expanding", [*expanding, "head"]),
        ]
        heads = ["head", *(f"side_heads.{index}" for index in sides)]
        return Anatomy(tuple(blocks), (*looks(*self.looking), *answers(*heads)))


class UNet(EncoderDecoder):
    """U-Net: 23 convolutions at its published size, which are 31.0 million weights for one channel and two classes.

    The paper states the convolutions, no count of weights. Half as wide, for one channel and one class, it has the
    7,759,521 weights that Ibtehaz and Rahman 2020 state for theirs.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels at full resolution: 64 in the paper.
        levels: Resolutions, the full one included: 5 in the paper.
        batch_norm: Whether batch normalization follows each convolution; the paper has none.
        dropout: Share of the channels left out at the end of the encoder while it trains.

    Example:
        >>> UNet(1, 2, width=8)(torch.zeros(1, 1, 70, 50)).shape
        torch.Size([1, 2, 70, 50])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 64,
        levels: int = 5,
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        block = partial(double_convolution, batch_norm=batch_norm)
        super().__init__(in_channels, out_channels, width=width, levels=levels, block=block, dropout=dropout)


def double_convolution(in_channels: int, out_channels: int, batch_norm: bool = True) -> nn.Sequential:
    """Build two 3x3 convolutions, each rectified: ``(batch, in_channels, h, w)`` to ``(batch, out_channels, h, w)``."""
    layers: list[nn.Module] = []
    for before in (in_channels, out_channels):
        layers.append(nn.Conv2d(before, out_channels, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Images with zeros below and to the right, so that height and width are multiples of ``multiple``."""
    height, width = images.shape[-2:]
    return functional.pad(images, (0, -width % multiple, 0, -height % multiple))
