"""ResU-Net: a U-Net of pre-activated residual units.

After Zhang, Liu, Wang, Road Extraction by Deep Residual U-Net, IEEE Geoscience and Remote Sensing Letters 15(5), 2018
(arXiv:1711.10684). Written from the paper's table of layers.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.anatomy import Anatomy, answers, in_part, looks
from gracile.networks.unet import pad_to_multiple


class ResidualUnit(nn.Module):
    """Twice normalize, rectify and convolve, with a shortcut around; the size is divided by the stride.

    Args:
        in_channels: Channels before.
        out_channels: Channels after.
        stride: Stride of the first convolution, which takes the place of pooling.
        first: Whether it is the network's first unit, which convolves the image as it is.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, first: bool = False) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *([] if first else [nn.BatchNorm2d(in_channels), nn.ReLU()]),
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        # Average before the 1x1 convolution, so that no pixel of the finer map is ignored.
        smaller = [nn.AvgPool2d(stride)] if stride > 1 else []
        self.shortcut = nn.Sequential(*smaller, nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        return self.convolutions(features) + self.shortcut(features)


class ResUNet(nn.Module):
    """ResU-Net: three encoding units, a bridge, three decoding units.

    The paper states 7.8 million weights. This has 8.2 million, 5 % more: 0.4 million are the 1x1 convolutions of the
    shortcuts where the channels change, of which the paper says nothing.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels at full resolution, 64 in the paper; they double at each coarser level.
        levels: Resolutions, the full one and the bridge's included: 4 in the paper.

    Example:
        >>> ResUNet(3, 2, width=8)(torch.zeros(2, 3, 70, 50)).shape
        torch.Size([2, 2, 70, 50])
    """

    def __init__(self, in_channels: int, out_channels: int, *, width: int = 64, levels: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        pairs = list(pairwise(widths))
        self.multiple = 2 ** (levels - 1)
        self.entry = ResidualUnit(in_channels, width, first=True)
        self.encoder = nn.ModuleList(ResidualUnit(own, coarser, stride=2) for own, coarser in pairs)
        self.decoder = nn.ModuleList(ResidualUnit(own + coarser, own) for own, coarser in pairs)
        self.head = nn.Conv2d(width, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)``, any size, to logits ``(batch, out_channels, height, width)``."""
        height, width = images.shape[-2:]
        features = self.entry(pad_to_multiple(images, self.multiple))
        skips: list[Tensor] = []
        for unit in self.encoder:
            skips.append(features)
            features = unit(features)
        for skip, unit in zip(reversed(skips), reversed(self.decoder), strict=True):
            larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear")
            features = unit(torch.cat((skip, larger), dim=1))
        return self.head(features)[..., :height, :width]

    def anatomy(self) -> Anatomy:
        """Its parts, and where channels and classes lie."""
        deepest = len(self.encoder) - 1
        blocks = [
            *in_part("contracting", ["entry", *(f"encoder.{level}" for level in range(deepest))]),
            *in_part("bottleneck", [f"encoder.{deepest}"]),
            *in_part("expanding", [*(f"decoder.{level}" for level in reversed(range(deepest + 1))), "head"]),
        ]
        return Anatomy(tuple(blocks), (*looks("entry.convolutions.0", "entry.shortcut.0"), *answers("head")))
