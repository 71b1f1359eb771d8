"""MultiResUNet: blocks that see three scales at once, and convolutions along the skip connections.

After Ibtehaz, Rahman, MultiResUNet: Rethinking the U-Net architecture for multimodal biomedical image segmentation,
Neural Networks 121, 2020 (arXiv:1902.04049). Written from the paper's description and its table of filters.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.anatomy import Anatomy, answers, in_part, looks
from gracile.networks.refining_unet import convolve_and_normalize
from gracile.networks.unet import pad_to_multiple


class MultiResBlock(nn.Module):
    """Three 3x3 convolutions in a row, which see 3x3, 5x5 and 7x7 pixels, side by side in the answer; a shortcut.

    Args:
        in_channels: Channels before.
        filters: W of the paper: a sixth, a third and a half of it, rounded down, are the channels of the three.
    """

    def __init__(self, in_channels: int, filters: float) -> None:
        super().__init__()
        # At least one each, for networks made very small.
        thirds = [max(1, int(filters / part)) for part in (6, 3, 2)]
        self.out_channels = sum(thirds)
        self.convolutions = nn.ModuleList(
            convolve_and_normalize(before, after) for before, after in zip([in_channels, *thirds], thirds, strict=False)
        )
        self.norm = nn.BatchNorm2d(self.out_channels)
        self.shortcut = convolve_and_normalize(in_channels, self.out_channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)`` to ``(batch, out_channels, height, width)``."""
        scales, found = [], features
        for convolution in self.convolutions:
            found = functional.relu(convolution(found))
            scales.append(found)
        return functional.relu(self.norm(torch.cat(scales, dim=1)) + self.shortcut(features))


class ResPath(nn.Module):
    """Residual convolutions along a skip connection, the more the further apart encoder and decoder are."""

    def __init__(self, in_channels: int, out_channels: int, length: int) -> None:
        super().__init__()
        before = [in_channels] + [out_channels] * (length - 1)
        self.convolutions = nn.ModuleList(convolve_and_normalize(b, out_channels) for b in before)
        self.shortcuts = nn.ModuleList(convolve_and_normalize(b, out_channels, kernel_size=1) for b in before)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)`` to ``(batch, out_channels, height, width)``."""
        for convolution, shortcut in zip(self.convolutions, self.shortcuts, strict=True):
            features = functional.relu(convolution(features) + shortcut(features))
        return features


class MultiResUNet(nn.Module):
    """MultiResUNet: five levels, Res paths of 4, 3, 2 and 1 convolutions.

    The paper states 7,262,750 weights; for one channel and one class this has 7,244,559, 0.25 % fewer.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        width: U of the paper at full resolution: 32 there; it doubles at each coarser level.
        alpha: How much wider a block is than U-Net's: W = alpha U, 1.67 in the paper.

    Example:
        >>> MultiResUNet(3, 2, width=8)(torch.zeros(2, 3, 70, 50)).shape
        torch.Size([2, 2, 70, 50])
    """

    def __init__(self, in_channels: int, out_channels: int, *, width: int = 32, alpha: float = 1.67) -> None:
        super().__init__()
        levels = 5
        self.multiple = 2 ** (levels - 1)
        widths = [width * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList()
        self.paths = nn.ModuleList()
        channels = in_channels
        for level, own in enumerate(widths):
            block = MultiResBlock(channels, alpha * own)
            channels = block.out_channels
            self.encoder.append(block)
            if level < levels - 1:
                self.paths.append(ResPath(channels, own, length=levels - 1 - level))
        larger: list[nn.Module] = []
        decoder: list[nn.Module] = []
        for own in reversed(widths[:-1]):
            larger.append(nn.ConvTranspose2d(channels, own, 2, stride=2))
            block = MultiResBlock(2 * own, alpha * own)
            channels = block.out_channels
            decoder.append(block)
        self.larger = nn.ModuleList(larger)
        self.decoder = nn.ModuleList(decoder)
        self.head = nn.Conv2d(channels, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, in_channels, height, width)``, any size, to logits ``(batch, out_channels, height, width)``."""
        height, width = images.shape[-2:]
        features = pad_to_multiple(images, self.multiple)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else functional.max_pool2d(features, 2))
            if level < len(self.paths):
                skips.append(self.paths[level](features))
        for skip, larger, block in zip(reversed(skips), self.larger, self.decoder, strict=True):
            features = block(torch.cat((skip, larger(features)), dim=1))
        return self.head(features)[..., :height, :width]

    def anatomy(self) -> Anatomy:
        """Its parts, and where channels and classes lie. A residual path belongs to the level that it leads to."""
        deepest = len(self.paths)
        expanding: list[str] = []
        for step in range(deepest):
            expanding += [f"larger.{step}", f"paths.{deepest - 1 - step}", f"decoder.{step}"]
        blocks = [
            *in_part("contracting", [f"encoder.{level}" for level in range(deepest)]),
            *in_part("bottleneck", [f"encoder.{deepest}"]),
            *in_part("expanding", [*expanding, "head"]),
        ]
        seeing = looks("encoder.0.convolutions.0.0", "encoder.0.shortcut.0")
        return Anatomy(tuple(blocks), (*seeing, *answers("head")))
