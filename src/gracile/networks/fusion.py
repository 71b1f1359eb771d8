"""Artery branch, vein branch and all-class generator, fused, and the U-Net discriminator that judges their maps.

After Zhou et al., Learning to Address Intra-segment Misclassification in Retinal Imaging, MICCAI 2021
(arXiv:2104.12138); the backbone after Zhou et al., A refined equilibrium generative adversarial network for retinal
vessel segmentation, Neurocomputing 437, 2021 (arXiv:1909.11936). Written from the papers' descriptions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.anatomy import Anatomy, answers, in_part, looks

Norm = Literal["batch", "group"]

SIDES = 3
"""Side outputs of a generator: at 1/2, 1/4 and 1/8 of the resolution."""

DILATIONS = (1, 2, 4)
"""Reaches of the parallel convolutions that refine a skip connection."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm, slope: float) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            build_norm(norm, out_channels),
            nn.LeakyReLU(slope),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            build_norm(norm, out_channels),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.activation = nn.LeakyReLU(slope)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)`` to ``(batch, out_channels, height, width)``."""
        return self.activation(self.convolutions(features) + self.shortcut(features))


class RefineBlock(nn.Module):
    """Skip features refined at several scales, then weighted by an attention that also sees the coarser features."""

    def __init__(self, channels: int, coarser_channels: int, norm: Norm, slope: float) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.scales = nn.ModuleList(
            nn.Conv2d(channels, inner, 3, padding=dilation, dilation=dilation, bias=False) for dilation in DILATIONS
        )
        self.merge = nn.Sequential(
            build_norm(norm, inner * len(DILATIONS)),
            nn.LeakyReLU(slope),
            nn.Conv2d(inner * len(DILATIONS), channels, 1, bias=False),
            build_norm(norm, channels),
        )
        self.activation = nn.LeakyReLU(slope)
        self.attention_own = nn.Conv2d(channels, 1, 1)
        self.attention_coarser = nn.Conv2d(coarser_channels, 1, 1, bias=False)

    def forward(self, skip: Tensor, coarser: Tensor) -> Tensor:
        """Skip features and coarser ones of the same size to refined ones of the skip's shape."""
        scales = torch.cat([convolution(skip) for convolution in self.scales], dim=1)
        refined = self.activation(skip + self.merge(scales))
        return refined * torch.sigmoid(self.attention_own(refined) + self.attention_coarser(coarser))


class UNetBody(nn.Module):
    """U-Net of residual blocks with refined skip connections, without any head.

    Args:
        in_channels: Channels of the input.
        width: Channels at full resolution; they double at each coarser level.
        levels: Resolutions, the full one included.
        norm: ``batch``, or ``group`` which takes each sample by itself.
        slope: Slope of the rectifiers below zero.
    """

    def __init__(self, in_channels: int, width: int, levels: int = 5, norm: Norm = "batch", slope: float = 0.0) -> None:
        super().__init__()
        self.widths = [width * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList(
            ResidualBlock(before, after, norm, slope)
            for before, after in zip([in_channels, *self.widths], self.widths, strict=False)
        )
        pairs = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        self.reduce = nn.ModuleList(nn.Conv2d(coarser, own, 1, bias=False) for own, coarser in pairs)
        self.refine = nn.ModuleList(RefineBlock(own, own, norm, slope) for own, _ in pairs)
        self.decoder = nn.ModuleList(ResidualBlock(2 * own, own, norm, slope) for own, _ in pairs)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of each level, the finest first: level ``k`` has ``ceil(size / 2**k)`` pixels along each axis."""
        height, width = images.shape[-2:]
        multiple = 2 ** (len(self.widths) - 1)
        features = functional.pad(images, (0, -width % multiple, 0, -height % multiple))
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else functional.max_pool2d(features, 2))
            skips.append(features)
        found = [features]
        for level in reversed(range(len(self.decoder))):
            larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
            coarser = self.reduce[level](larger)
            refined = self.refine[level](skips[level], coarser)
            features = self.decoder[level](torch.cat((refined, coarser), dim=1))
            found.insert(0, features)
        return [part[..., : -(-height // 2**k), : -(-width // 2**k)] for k, part in enumerate(found)]


@dataclass
class BranchAnswer:
    """What one generator gives while it trains.

    Args:
        features: ``(batch, width, height, width)``, the last ones, which are fused.
        logits: ``(batch, out_channels, height, width)``, or None for a generator without a head of its own.
        sides: Logits at 1/2, 1/4 and 1/8 of the resolution, sizes rounded up.
    """

    features: Tensor
    logits: Tensor | None
    sides: list[Tensor]


class BranchUNet(nn.Module):
    """One generator: U-Net with three side outputs for deep supervision.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the map: 1 for a binary branch.
        width: Channels at full resolution.
        norm: ``batch`` or ``group``.
        head: Whether it gives a map of its own at full resolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int = 32, norm: Norm = "batch", head: bool = True
    ) -> None:
        super().__init__()
        self.body = UNetBody(in_channels, width, norm=norm)
        self.head = nn.Conv2d(width, out_channels, 1) if head else None
        self.side_heads = nn.ModuleList(nn.Conv2d(w, out_channels, 1) for w in self.body.widths[1 : SIDES + 1])

    def features(self, images: Tensor) -> Tensor:
        """The last features ``(batch, width, height, width)`` alone."""
        return self.body(images)[0]

    def forward(self, images: Tensor) -> BranchAnswer:
        """``(batch, in_channels, height, width)`` images, any size, to features, map and side maps."""
        found = self.body(images)
        sides = [head(part) for head, part in zip(self.side_heads, found[1:], strict=False)]
        return BranchAnswer(found[0], None if self.head is None else self.head(found[0]), sides)


@dataclass
class FusionAnswer:
    """What the fused generators give while they train.

    Args:
        logits: ``(batch, classes, height, width)``, of the fused features.
        sides: Side logits of the all-class generator at 1/2, 1/4 and 1/8 of the resolution.
        branches: Answer of each binary branch by name, maps with one channel.
    """

    logits: Tensor
    sides: list[Tensor]
    branches: dict[str, BranchAnswer]


class FusionGenerator(nn.Module):
    """Binary branches and an all-class generator whose last features are averaged and give the classes.

    A branch learns one vessel tree by itself, so that it never meets the ambiguous labels of crossings; the mean of
    the features keeps a short way for the gradient into every branch.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels of each generator at full resolution.
        branches: Names of the binary branches.
        norm: ``batch`` or ``group``.

    Example:
        >>> answer = FusionGenerator(3, 4, width=8)(torch.zeros(1, 3, 64, 64))
        >>> answer.logits.shape, answer.branches["artery"].sides[0].shape
        (torch.Size([1, 4, 64, 64]), torch.Size([1, 1, 32, 32]))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 32,
        branches: Sequence[str] = ("artery", "vein"),
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({name: BranchUNet(in_channels, 1, width=width, norm=norm) for name in branches})
        self.all_classes = BranchUNet(in_channels, out_channels, width=width, norm=norm, head=False)
        self.classify = nn.Conv2d(width, out_channels, 1)

    def forward(self, images: Tensor) -> FusionAnswer | Tensor:
        """``(batch, in_channels, height, width)`` images of any size.

        Returns:
            Everything there is to learn from while it trains; the class logits alone in evaluation mode.
        """
        if not self.training:
            features = self.all_classes.features(images)
            for branch in self.branches.values():
                features = features + cast(BranchUNet, branch).features(images)
            return self.classify(features / (len(self.branches) + 1))
        branches = {name: branch(images) for name, branch in self.branches.items()}
        whole = self.all_classes(images)
        features = whole.features
        for answer in branches.values():
            features = features + answer.features
        return FusionAnswer(self.classify(features / (len(branches) + 1)), whole.sides, branches)

    def anatomy(self) -> Anatomy:
        """Its parts, of all generators alike and level by level, and where channels and classes lie."""
        bodies = [*(f"branches.{name}" for name in self.branches), "all_classes"]
        deepest = len(self.all_classes.body.decoder)
        levels = [f"body.encoder.{level}" for level in range(deepest)]
        rising = [
            f"body.{kind}.{level}" for level in reversed(range(deepest)) for kind in ("reduce", "refine", "decoder")
        ]
        blocks = [
            *in_part("contracting", [f"{body}.{level}" for level in levels for body in bodies]),
            *in_part("bottleneck", [f"{body}.body.encoder.{deepest}" for body in bodies]),
            *in_part("expanding", [f"{body}.{level}" for level in rising for body in bodies]),
            *in_part("expanding", [f"{body}.{head}" for body in bodies for head in ("side_heads", "head")]),
            *in_part("expanding", ["classify"]),
        ]
        entry = [f"{body}.body.encoder.0.{kind}" for body in bodies for kind in ("convolutions.0", "shortcut")]
        sides = [f"all_classes.side_heads.{index}" for index in range(SIDES)]
        return Anatomy(tuple(blocks), (*looks(*entry), *answers("classify", *sides)))


@dataclass
class Realness:
    """How real the discriminator takes maps to be, as logits.

    Args:
        pixels: ``(batch, out_channels, height, width)``, of each pixel.
        whole: ``(batch, out_channels)``, of the map as a whole.
    """

    pixels: Tensor
    whole: Tensor


class UNetDiscriminator(nn.Module):
    """Judges whether maps are an expert's or a generator's, pixel by pixel and as a whole.

    Its U-Net is that of the generators, so that the two players are equally strong. Each sample is normalized by
    itself: statistics over a batch would tell real from generated.

    Args:
        in_channels: Channels of image and maps together.
        out_channels: Judgments per pixel.
        width: Channels at full resolution.
    """

    def __init__(self, in_channels: int, out_channels: int = 1, *, width: int = 32) -> None:
        super().__init__()
        self.body = UNetBody(in_channels, width, norm="group", slope=0.2)
        self.pixels = nn.Conv2d(width, out_channels, 1)
        self.whole = nn.Linear(self.body.widths[-1], out_channels)

    def forward(self, images_and_maps: Tensor) -> Realness:
        """``(batch, in_channels, height, width)``, the image first and the maps behind it, any size."""
        found = self.body(images_and_maps)
        return Realness(self.pixels(found[0]), self.whole(found[-1].mean(dim=(2, 3))))


def build_norm(norm: Norm, channels: int) -> nn.Module:
    """Normalization layer of that name. Raises ValueError for another name."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(math.gcd(8, channels), channels)
    raise ValueError(f"norm is batch or group, not {norm!r}")
