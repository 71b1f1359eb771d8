"""DoubleU-Net: two U-Nets in a row, of which the second sees the image where the first one found something.

After Jha et al., DoubleU-Net: A Deep Convolutional Neural Network for Medical Image Segmentation, CBMS 2020
(arXiv:2006.04868); squeeze-and-excite after Hu et al., CVPR 2018; atrous spatial pyramid pooling after Chen et al.,
2017 (arXiv:1706.05587). Written from the papers' descriptions; the trunk is torchvision's VGG19.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.vgg import make_layers

from gracile.errors import RecipeError
from gracile.networks.anatomy import Anatomy, answers, in_part, looks
from gracile.networks.unet import double_convolution, pad_to_multiple

LEVELS = 5
"""Resolutions of both networks, the full one and the deepest included."""

CONVOLUTIONS = (2, 2, 4, 4, 4)
"""Convolutions of VGG19 at each resolution."""


class SqueezeExcite(nn.Module):
    """Weighs each channel by what all channels hold on average over the image."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.weigh = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.ReLU(), nn.Conv2d(inner, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        return features * torch.sigmoid(self.weigh(features.mean(dim=(2, 3), keepdim=True)))


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: near, far, farther and the whole image side by side, then merged."""

    def __init__(self, in_channels: int, out_channels: int, rates: tuple[int, ...] = (6, 12, 18)) -> None:
        super().__init__()
        # No normalization here: one pixel per image has no statistics where the batch is one image.
        self.whole = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.ReLU())
        self.near = _convolve(in_channels, out_channels, 1)
        self.far = nn.ModuleList(_convolve(in_channels, out_channels, 3, rate) for rate in rates)
        self.merge = _convolve((2 + len(rates)) * out_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)`` to ``(batch, out_channels, height, width)``."""
        near = self.near(features)
        whole = self.whole(features.mean(dim=(2, 3), keepdim=True)).expand_as(near)
        return self.merge(torch.cat([whole, near, *(branch(features) for branch in self.far)], dim=1))


class Decoder(nn.Module):
    """Enlarges features step by step; each step sees the skip connections of its size.

    Args:
        in_channels: Channels of the deepest features.
        skip_channels: Channels of all skip connections of one size together, the finest first.
        width: Channels at full resolution; they double at each coarser level.
        out_channels: Number of classes.
    """

    def __init__(self, in_channels: int, skip_channels: list[int], width: int, out_channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for level in reversed(range(len(skip_channels))):
            own = width * 2**level
            block = double_convolution(in_channels + skip_channels[level], own)
            self.blocks.append(nn.Sequential(*block, SqueezeExcite(own)))
            in_channels = own
        self.head = nn.Conv2d(width, out_channels, 1)

    def forward(self, features: Tensor, skips: list[list[Tensor]]) -> Tensor:
        """Deepest features and the skip connections of each encoder, finest first, to logits at full size."""
        for step, block in enumerate(self.blocks, start=1):
            larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear")
            features = block(torch.cat([larger, *(encoder[-step] for encoder in skips)], dim=1))
        return self.head(features)


class DoubleUNet(nn.Module):
    """DoubleU-Net: a VGG19 U-Net, then a smaller U-Net on the image times the first answer.

    The paper states no count of weights; 29.29 million is the usual figure for it, and this has 29.30 million.

    With several classes the image is multiplied by the probability that a pixel is no background, class 0.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: Channels of both decoders and of the second encoder at full resolution; the trunk has twice as many.
        weights: File of torchvision's ``vgg19_bn`` weights (``.pth`` or ``.safetensors``) for the trunk; it needs the
            width 32. None begins with random weights.

    Example:
        >>> DoubleUNet(3, 2, width=4).eval()(torch.zeros(1, 3, 70, 50)).shape
        torch.Size([1, 2, 70, 50])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int = 32, weights: str | Path | None = None
    ) -> None:
        super().__init__()
        trunk_widths = [2 * width * factor for factor in (1, 2, 4, 8, 8)]
        widths = [width * 2**level for level in range(LEVELS - 1)]
        self.trunk = _build_trunk(in_channels, trunk_widths)
        if weights is not None:
            _load_trunk(self.trunk, Path(weights), in_channels)
        self.first_context = AtrousPyramid(trunk_widths[-1], 2 * width)
        self.first_decoder = Decoder(2 * width, trunk_widths[:-1], width, out_channels)
        self.encoder = nn.ModuleList(
            nn.Sequential(*double_convolution(before, after), SqueezeExcite(after))
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.second_context = AtrousPyramid(widths[-1], 2 * width)
        both = [own + other for own, other in zip(widths, trunk_widths, strict=False)]
        self.second_decoder = Decoder(2 * width, both, width, out_channels)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """``(batch, in_channels, height, width)``, any size, to logits ``(batch, out_channels, height, width)``.

        Returns:
            While it trains the logits of both networks, the second's last; the second's alone otherwise.
        """
        height, width = images.shape[-2:]
        images = pad_to_multiple(images, 2 ** (LEVELS - 1))
        features, trunk_skips = images, []
        for layer in self.trunk:
            if isinstance(layer, nn.MaxPool2d):
                trunk_skips.append(features)
            features = layer(features)
        first = self.first_decoder(self.first_context(features), [trunk_skips])
        found = torch.sigmoid(first) if first.shape[1] == 1 else 1.0 - torch.softmax(first, dim=1)[:, :1]
        features, skips = images * found, []
        for block in self.encoder:
            features = block(features)
            skips.append(features)
            features = functional.max_pool2d(features, 2)
        second = self.second_decoder(self.second_context(features), [skips, trunk_skips])[..., :height, :width]
        return [first[..., :height, :width], second] if self.training else second

    def anatomy(self) -> Anatomy:
        """Its parts, of both networks alike, and where channels and classes lie."""
        blocks = [
            *in_part("contracting", ["trunk"]),
            *in_part("bottleneck", ["first_context"]),
            *in_part("expanding", ["first_decoder"]),
            *in_part("contracting", ["encoder"]),
            *in_part("bottleneck", ["second_context"]),
            *in_part("expanding", ["second_decoder"]),
        ]
        heads = answers("first_decoder.head", "second_decoder.head")
        return Anatomy(tuple(blocks), (*looks("trunk.0", "encoder.0.0"), *heads))


def _convolve(in_channels: int, out_channels: int, kernel_size: int, rate: int = 1) -> nn.Sequential:
    padding = rate * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _build_trunk(in_channels: int, widths: list[int]) -> nn.Sequential:
    """Build VGG19's convolutions with batch normalization up to the last pooling, which is left out."""
    plan: list[str | int] = []
    for own, count in zip(widths, CONVOLUTIONS, strict=True):
        plan += [own] * count + ["M"]
    trunk = make_layers(plan[:-1], batch_norm=True)
    trunk[0] = nn.Conv2d(in_channels, widths[0], 3, padding=1)
    return trunk


def _load_trunk(trunk: nn.Sequential, path: Path, in_channels: int) -> None:
    """Read torchvision's ``vgg19_bn`` weights; for other than three channels the colors' mean takes their place."""
    if not path.is_file():
        raise RecipeError(f"There is no file {path} of weights.", "Name a local file, or leave weights out.")
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    wanted = trunk.state_dict()
    found = {name: state[f"features.{name}"] for name in wanted if f"features.{name}" in state}
    first = found.get("0.weight")
    if first is not None and in_channels != first.shape[1]:
        mean = first.mean(dim=1, keepdim=True) * (first.shape[1] / in_channels)
        found["0.weight"] = mean.expand(-1, in_channels, -1, -1)
    if any(name not in found or found[name].shape != value.shape for name, value in wanted.items()):
        raise RecipeError(
            f"{path.name} does not fit the trunk of double-unet.",
            "It takes the weights of torchvision's vgg19_bn, and the width 32.",
        )
    trunk.load_state_dict(found)
