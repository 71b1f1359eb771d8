"""3D U-Net.

After Çiçek, Abdulkadir, Lienkamp, Brox, Ronneberger, 3D U-Net: Learning Dense Volumetric Segmentation from Sparse
Annotation, MICCAI 2016 (arXiv:1606.06650). Written from the paper; here convolutions are padded, so that the answer
has the volume's size. The spinal cord's published segmenter (Gros et al., Automatic segmentation of the spinal cord and
intramedullary multiple sclerosis lesions with convolutional neural networks, NeuroImage 2019) has this shape with 24
and 48 filters at the top.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.anatomy import Anatomy, answers, in_part, looks
from gracile.networks.light_unet_3d import convolve_and_normalize_3d, pad_to_multiple_3d


class UNet3d(nn.Module):
    """3D U-Net: each level has two convolutions, the second of which doubles the channels.

    Args:
        in_channels: Channels of the volume.
        out_channels: Number of classes, the background included.
        width: Channels after the first convolution; the paper's is 32, and then 4 levels have 19.07 million weights.
        levels: Resolutions, the full one included.

    Example:
        >>> import torch
        >>> UNet3d(1, 2, width=4, levels=3)(torch.zeros(1, 1, 20, 18, 7)).shape
        torch.Size([1, 2, 20, 18, 7])
    """

    def __init__(self, in_channels: int, out_channels: int, *, width: int = 24, levels: int = 4) -> None:
        super().__init__()
        self.multiple = (2 ** (levels - 1),) * 3
        outs = [width * 2 ** (level + 1) for level in range(levels)]
        self.encoder = nn.ModuleList()
        before = in_channels
        for own in outs:
            self.encoder.append(_block(before, own // 2, own))
            before = own
        self.larger = nn.ModuleList(nn.ConvTranspose3d(own * 2, own * 2, 2, stride=2) for own in outs[:-1])
        self.decoder = nn.ModuleList(_block(own * 3, own, own) for own in outs[:-1])
        self.head = nn.Conv3d(outs[0], out_channels, 1)

    def forward(self, volumes: Tensor) -> Tensor:
        """``(batch, in_channels, x, y, z)``, any size, to logits ``(batch, out_channels, x, y, z)``."""
        size = volumes.shape[2:]
        features = pad_to_multiple_3d(volumes, self.multiple)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(functional.max_pool3d(features, 2) if level else features)
            skips.append(features)
        for level in reversed(range(len(self.decoder))):
            joined = torch.cat([self.larger[level](features), skips[level]], dim=1)
            features = self.decoder[level](joined)
        return self.head(features)[..., : size[0], : size[1], : size[2]]

    def anatomy(self) -> Anatomy:
        """Its parts, and where channels and classes lie."""
        deepest = len(self.decoder)
        levels = reversed(range(deepest))
        expanding = [name for level in levels for name in (f"larger.{level}", f"decoder.{level}")]
        blocks = [
            *in_part("contracting", [f"encoder.{level}" for level in range(deepest)]),
            *in_part("bottleneck", [f"encoder.{deepest}"]),
            *in_part("expanding", [*expanding, "head"]),
        ]
        return Anatomy(tuple(blocks), (*looks("encoder.0.0"), *answers("head")))


def _block(before: int, middle: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        *convolve_and_normalize_3d(before, middle),
        nn.ReLU(inplace=True),
        *convolve_and_normalize_3d(middle, after),
        nn.ReLU(inplace=True),
    )
