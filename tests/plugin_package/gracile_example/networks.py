"""A network for pictures."""

import torch
from torch import Tensor, nn


class TwoScales(nn.Module):
    """Sees a picture at its own size and at half of it.

    Args:
        in_channels: Channels of the picture.
        out_channels: Number of classes, the background included.
        width: Features of a layer.
    """

    inputs = ("image",)
    multiple = 2

    def __init__(self, in_channels: int, out_channels: int, width: int = 16) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(in_channels, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU())
        self.coarse = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(width, width, 5, padding=2), nn.ReLU())
        self.answer = nn.Conv2d(2 * width, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` pictures to ``(batch, classes, height, width)`` logits."""
        fine = self.fine(images)
        coarse = nn.functional.interpolate(self.coarse(fine), scale_factor=2.0)
        return self.answer(torch.cat([fine, coarse], dim=1))
