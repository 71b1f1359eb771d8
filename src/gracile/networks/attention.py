"""Attention U-Net, R2U-Net and both together: one skeleton with gated skip connections, recurrent blocks, or both.

Attention gates after Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, MIDL 2018
(arXiv:1804.03999). Recurrent residual units after Alom et al., Recurrent Residual Convolutional Neural Network based
on U-Net (R2U-Net) for Medical Image Segmentation, 2018 (arXiv:1802.06955), whose recurrent layers are those of Liang
and Hu, CVPR 2015. Written from the papers' equations.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.unet import EncoderDecoder, double_convolution


class AttentionGate(nn.Module):
    """Weighs each pixel of a skip connection by additive attention that also sees the coarser features.

    The weight is ``sigmoid(psi(relu(W_x x + W_g g)))`` on the coarser grid, enlarged bilinearly (equations 1 and 2).

    Args:
        channels: Channels of the skip connection; the attention has as many inside.
        coarser_channels: Channels of the coarser features.
    """

    def __init__(self, channels: int, coarser_channels: int) -> None:
        super().__init__()
        self.own = nn.Conv2d(channels, channels, 2, stride=2, bias=False)
        self.coarser = nn.Conv2d(coarser_channels, channels, 1)
        self.weight = nn.Conv2d(channels, 1, 1)

    def forward(self, skip: Tensor, coarser: Tensor) -> Tensor:
        """Skip ``(batch, channels, 2h, 2w)`` and coarser ``(batch, coarser_channels, h, w)`` to the weighed skip."""
        weight = torch.sigmoid(self.weight(functional.relu(self.own(skip) + self.coarser(coarser))))
        return skip * functional.interpolate(weight, scale_factor=2.0, mode="bilinear")


class RecurrentConvolution(nn.Module):
    """A convolution whose answer comes back to it: ``x(t) = relu(W_f u + W_r x(t - 1))``, from ``x(0) = relu(W_f u)``.

    The weights are the same at each time; the statistics of the normalization are each time's own, as they differ.

    Args:
        in_channels: Channels of the input ``u``.
        out_channels: Channels of the state ``x``.
        steps: How often the state comes back: the paper's t.
    """

    def __init__(self, in_channels: int, out_channels: int, steps: int) -> None:
        super().__init__()
        self.feed = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.recur = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(out_channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(out_channels) for _ in range(steps))

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)`` to ``(batch, out_channels, height, width)``."""
        fed = self.feed(features)
        state = functional.relu(self.first_norm(fed))
        for norm in self.norms:
            state = functional.relu(norm(fed + self.recur(state)))
        return state


class RecurrentResidualUnit(nn.Module):
    """Two recurrent convolutions with a shortcut around them: a linear one where the channels change."""

    def __init__(self, in_channels: int, out_channels: int, steps: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            RecurrentConvolution(in_channels, out_channels, steps),
            RecurrentConvolution(out_channels, out_channels, steps),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)`` to ``(batch, out_channels, height, width)``."""
        return self.shortcut(features) + self.convolutions(features)


class AttentionUNet(EncoderDecoder):
    """Attention U-Net in two dimensions; while it trains each level of its decoder answers, as in the paper.

    The paper states 6.40 million weights against 5.88 million without gates, 9 % more, in three dimensions and with 16
    channels at full resolution; it has no figure for two. Here the gates add 7 %, to 33.5 million.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels at full resolution; they double at each coarser level.
        levels: Resolutions, the full one included.
        deep_supervision: Whether the coarser levels answer too while it trains.
        dropout: Share of the channels left out at the end of the encoder while it trains.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 64,
        levels: int = 5,
        deep_supervision: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            width=width,
            levels=levels,
            block=double_convolution,
            gate=AttentionGate,
            upsampling="bilinear",
            dropout=dropout,
            deep_supervision=deep_supervision,
        )


class R2UNet(EncoderDecoder):
    """R2U-Net: U-Net of recurrent residual units, 16 to 128 channels in four levels as in the paper.

    This has 0.996 million weights for one channel and one class with two steps, 18 % more than the 0.841 million known
    for the original, which has 1.037 million with three steps. Here the steps add next to none: in the paper's equation
    a recurrent layer has one set of weights for all times.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels at full resolution; they double at each coarser level.
        levels: Resolutions, the full one included.
        steps: How often a recurrent layer sees its own answer: 2 or 3 in the paper.
        attention: Whether attention gates filter the skip connections, which makes it R2-Attention U-Net.
        dropout: Share of the channels left out at the end of the encoder while it trains.
    """

    looking = ("encoder.0.convolutions.0.feed", "encoder.0.shortcut")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 16,
        levels: int = 4,
        steps: int = 2,
        attention: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            width=width,
            levels=levels,
            block=partial(RecurrentResidualUnit, steps=steps),
            gate=AttentionGate if attention else None,
            dropout=dropout,
        )


class R2AttentionUNet(R2UNet):
    """R2U-Net with attention gates on its skip connections. Takes R2U-Net's options but ``attention``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 16,
        levels: int = 4,
        steps: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            in_channels, out_channels, width=width, levels=levels, steps=steps, attention=True, dropout=dropout
        )
