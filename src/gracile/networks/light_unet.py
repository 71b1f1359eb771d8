"""A light U-Net for video on a processor: it computes at a quarter of the image's resolution and below.

Chosen among designs by their time alone, on one core of an AMD EPYC (Zen 4) in bfloat16, channels last, 512x512:

- Blocks are residual with plain 3x3 convolutions. At equal widths and depths separable ones (depthwise 5x5) need 0.3
  of the multiplications, but 0.64 of the time of an answer and 1.5 times that of a training step; inverted residual
  ones 0.8 and 2.2 times.
- Two convolutions of stride 2 begin. Folding the image (pixel-unshuffle by 4) and convolving takes 2.4 times as long.
- The head is a 1x1 convolution and a pixel-shuffle: a quarter of the time of enlarging the logits bilinearly.
- Depth lies at 1/16 and 1/32 of the resolution, where a block takes a quarter and a sixth of the time of one at 1/4.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.anatomy import Anatomy, answers, in_part, looks
from gracile.networks.refining_unet import ResidualBlock, convolve_and_normalize
from gracile.networks.supervision import coarse_answers, coarse_heads, cropped
from gracile.networks.unet import pad_to_multiple

FOLD = 4
"""The finest grid it computes on has a pixel for this many of the image's, along each axis."""


class WideContext(nn.Module):
    """Adds what lies far off: depthwise convolutions of several reaches, and the mean over the whole image."""

    def __init__(self, channels: int, dilations: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.reaches = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=d, dilation=d, groups=channels, bias=False) for d in dilations
        )
        self.whole = nn.Conv2d(channels, channels, 1)
        self.merge = convolve_and_normalize(channels, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` to the same shape."""
        found = self.whole(features.mean(dim=(2, 3), keepdim=True)) + features
        for reach in self.reaches:
            found = found + reach(features)
        return functional.relu(features + self.merge(found), inplace=True)


class Refinement(nn.Module):
    """Adds a skip connection to the enlarged coarser features, and convolves the sum once around a shortcut."""

    def __init__(self, channels: int, coarser_channels: int) -> None:
        super().__init__()
        self.reduce = convolve_and_normalize(coarser_channels, channels, kernel_size=1)
        self.convolution = convolve_and_normalize(channels, channels)

    def forward(self, skip: Tensor, coarser: Tensor) -> Tensor:
        """Skip ``(batch, channels, 2h, 2w)`` and coarser ``(batch, coarser_channels, h, w)`` to the skip's shape."""
        larger = functional.interpolate(self.reduce(coarser), scale_factor=2.0, mode="bilinear")
        features = functional.relu(larger + skip, inplace=True)
        return functional.relu(self.convolution(features) + features, inplace=True)


class LightUNet(nn.Module):
    """A light U-Net: 0.78 million weights and 1.13 billion multiplications for a 512x512 image of three channels.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels at a quarter of the resolution; 1.5, 2 and 3 times as many at the coarser levels. Multiples of
            16 suit the processor.
        depths: Residual blocks at 1/4, 1/8, 1/16 and 1/32 of the resolution.
        supervised: Coarser resolutions that answer too while it trains, from 1/8 on.

    Example:
        >>> import torch
        >>> LightUNet(3, 2)(torch.zeros(2, 3, 130, 70)).shape
        torch.Size([2, 2, 130, 70])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 32,
        depths: tuple[int, int, int, int] = (1, 1, 2, 3),
        supervised: int = 0,
    ) -> None:
        super().__init__()
        widths = [width, width * 3 // 2, width * 2, width * 3]
        self.multiple = FOLD * 2 ** (len(widths) - 1)
        self.stem = nn.Sequential(
            *convolve_and_normalize(in_channels, width // 2, stride=2),
            nn.ReLU(inplace=True),
            *convolve_and_normalize(width // 2, width, stride=2),
            nn.ReLU(inplace=True),
        )
        self.encoder = nn.ModuleList()
        for level, (before, own, depth) in enumerate(zip([width, *widths], widths, depths, strict=False)):
            blocks = [ResidualBlock(before, own, stride=2 if level else 1)]
            blocks += [ResidualBlock(own, own) for _ in range(depth - 1)]
            self.encoder.append(nn.Sequential(*blocks))
        self.context = WideContext(widths[-1])
        self.decoder = nn.ModuleList(Refinement(own, coarser) for own, coarser in pairwise(widths))
        self.head = nn.Conv2d(width, out_channels * FOLD**2, 1)
        self.coarse = coarse_heads(nn.Conv2d, widths, out_channels, supervised)

    training_only = ("coarse",)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """``(batch, in_channels, height, width)``, any size, to logits ``(batch, out_channels, height, width)``.

        While it trains, ``supervised`` coarser ones come before them, the coarsest first.
        """
        height, width = images.shape[-2:]
        features = self.stem(pad_to_multiple(images, self.multiple))
        skips: list[Tensor] = []
        for blocks in self.encoder:
            features = blocks(features)
            skips.append(features)
        features = self.context(features)
        coarser: list[Tensor] = []
        heads = self.coarse if self.training else ()
        for level in reversed(range(len(self.decoder))):
            if level < len(heads):
                coarser.append(cropped(heads[level](features), (height, width), [FOLD * 2 ** (level + 1)] * 2))
            features = self.decoder[level](skips[level], features)
        answer = functional.pixel_shuffle(self.head(features), FOLD)[..., :height, :width]
        return [*coarser, answer] if coarser else answer

    def anatomy(self) -> Anatomy:
        """Its parts, and where channels and classes lie; the head has FOLD² rows for each class."""
        deepest = len(self.encoder) - 1
        blocks = [
            *in_part("contracting", ["stem", *(f"encoder.{level}" for level in range(deepest))]),
            *in_part("bottleneck", [f"encoder.{deepest}", "context"]),
            *in_part("expanding", [*(f"decoder.{level}" for level in reversed(range(deepest))), "head"]),
        ]
        return Anatomy(tuple(blocks), (*looks("stem.0"), *answers("head", each=FOLD**2), *coarse_answers(self.coarse)))
