"""A small two-step refining U-Net that computes at half the input's resolution.

The image is folded (pixel-unshuffle) into half-size maps, two chained U-Nets answer there, and each
answer is unfolded (pixel-shuffle) to the input's size. The second U-Net sees the first one's features
and its answer, so it can correct vessels whose tree was mixed up along their course.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from gracile.networks.anatomy import Anatomy, Axis, answers, in_part, looks
from gracile.networks.supervision import coarse_answers, coarse_heads, cropped


def convolve_and_normalize(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution without bias and a batch normalization: (B, C, H, W) to (B, D, H / s, W / s)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: (B, C, H, W) to (B, D, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolve_and_normalize(in_channels, out_channels, stride=stride)
        self.second = convolve_and_normalize(out_channels, out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            # Average before the 1x1 convolution, so that no pixel of the finer map is ignored.
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride), *convolve_and_normalize(in_channels, out_channels, kernel_size=1)
            )
        elif in_channels != out_channels:
            self.shortcut = convolve_and_normalize(in_channels, out_channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.first(features), inplace=True)
        return functional.relu(self.second(inner) + self.shortcut(features), inplace=True)


class UNetStep(nn.Module):
    """One U-Net whose skip connections are summed.

    It takes maps (B, widths[0], H, W), H and W divisible by 2 ** (levels - 1), and returns one map for
    each level, finest first: (B, widths[i], H / 2 ** i, W / 2 ** i). An earlier step's maps may be given:
    they are added to this step's encoder, level by level.
    """

    def __init__(self, widths: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.entry = ResidualBlock(widths[0], widths[0])
        self.encoders = nn.ModuleList(ResidualBlock(a, b, stride=2) for a, b in pairwise(widths))
        self.reducers = nn.ModuleList(convolve_and_normalize(b, a, kernel_size=1) for a, b in pairwise(widths))
        self.decoders = nn.ModuleList(ResidualBlock(a, a) for a in widths[:-1])
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: Tensor, earlier: Sequence[Tensor] | None = None) -> list[Tensor]:
        features = self.entry(features)
        skips = [features]
        for level, encoder in enumerate(self.encoders, start=1):
            features = encoder(features)
            if earlier is not None:
                features = features + earlier[level]
            skips.append(features)
        features = self.dropout(features)
        answers = [features]
        for level in reversed(range(len(self.decoders))):
            coarse = self.reducers[level](features)
            coarse = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
            features = self.decoders[level](coarse + skips[level])
            answers.insert(0, features)
        return answers


class RefiningUNet(nn.Module):
    """Two (or more) chained U-Nets at half resolution.

    Input: images (B, in_channels, H, W), any H and W. Output in training mode: one logits tensor
    (B, out_channels, H, W) for each step, first step first; in evaluation mode: the last step's logits. In training
    mode, ``supervised`` coarser answers of the last step come before them, the coarsest first.
    """

    training_only = ("coarse",)

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 4,
        widths: Sequence[int] = (32, 48, 64, 96, 128),
        steps: int = 2,
        fold: int = 2,
        dropout: float = 0.1,
        supervised: int = 0,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.multiple = fold * 2 ** (len(widths) - 1)
        folded_classes = out_channels * fold**2
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(fold),
            *convolve_and_normalize(in_channels * fold**2, widths[0]),
            nn.ReLU(inplace=True),
        )
        self.steps = nn.ModuleList(UNetStep(widths, dropout) for _ in range(steps))
        self.heads = nn.ModuleList(nn.Conv2d(widths[0], folded_classes, 3, padding=1) for _ in range(steps))
        self.coarse = coarse_heads(nn.Conv2d, widths, out_channels, supervised)
        self.feedback = nn.ModuleList(convolve_and_normalize(folded_classes, widths[0]) for _ in range(steps - 1))

    def forward(self, images: Tensor) -> list[Tensor] | Tensor:
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % self.multiple, 0, -height % self.multiple))
        stem = self.stem(padded)
        features, earlier, found = stem, None, []
        for index, (step, head) in enumerate(zip(self.steps, self.heads, strict=True)):
            earlier = step(features, earlier)
            logits = functional.pixel_shuffle(head(earlier[0]), self.fold)
            found.append(logits[..., :height, :width])
            if index + 1 < len(self.steps):
                # The answer goes on as probabilities, folded again to half size.
                folded = functional.pixel_unshuffle(torch.softmax(logits, dim=1), self.fold)
                features = functional.relu(stem + earlier[0] + self.feedback[index](folded))
        if not self.training:
            return found[-1]
        assert earlier is not None
        coarser = [
            cropped(head(maps), (height, width), [self.fold * 2**level] * 2)
            for level, (head, maps) in enumerate(zip(self.coarse, earlier[1:], strict=False), start=1)
        ]
        return [*reversed(coarser), *found]

    def anatomy(self) -> Anatomy:
        """Its parts, of all steps alike, and where channels and classes lie: each takes fold² neighbors."""
        blocks = in_part("contracting", ["stem"])
        last = len(self.steps) - 1
        for index, step in enumerate(self.steps):
            deepest = len(cast(UNetStep, step).decoders) - 1
            down = ["entry", *(f"encoders.{level}" for level in range(deepest))]
            up = [f"{kind}.{level}" for level in reversed(range(deepest + 1)) for kind in ("reducers", "decoders")]
            blocks += in_part("contracting", [f"steps.{index}.{name}" for name in down])
            blocks += in_part("bottleneck", [f"steps.{index}.encoders.{deepest}"])
            blocks += in_part("expanding", [f"steps.{index}.{name}" for name in up])
            blocks += in_part("expanding", [f"heads.{index}", *([f"feedback.{index}"] if index < last else [])])
        each = self.fold**2
        heads = answers(*(f"heads.{index}" for index in range(last + 1)), each=each)
        fed = tuple(Axis(f"feedback.{index}.0.weight", "classes", 1, each) for index in range(last))
        return Anatomy(tuple(blocks), (*looks("stem.1", each=each), *heads, *fed, *coarse_answers(self.coarse)))
