"""A classifier that looks where: presence pooled from a map that masks can teach."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from gracile.networks.anatomy import Anatomy, anatomy_of


class MapClassifier(nn.Module):
    """Tells absent from present by the map of a network that delineates.

    The map's logits are pooled by log-mean-exp, a soft maximum under which a small bright spot counts (Pinheiro and
    Collobert, From Image-level to Pixel-level Labeling with Convolutional Networks, CVPR 2015), then scaled and
    shifted. A few dozen masks say more than as many words "present": they may teach the map beside the classes.

    Args:
        network: From ``(batch, channels, height, width)`` to a map of logits ``(batch, 1, height, width)``, or a list
            of such.
        sharpness: How near the pooling is to the maximum; 0 would be the mean.
    """

    def __init__(self, network: nn.Module, sharpness: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.sharpness = sharpness
        self.scale = nn.Parameter(torch.ones(()))
        self.shift = nn.Parameter(torch.full((), 3.0))

    def maps(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` to logits of the structure ``(batch, 1, height, width)``."""
        answers = self.network(images)
        return answers[-1] if isinstance(answers, list | tuple) else answers

    def pooled(self, maps: Tensor) -> Tensor:
        """``(batch, 1, height, width)`` maps to logits of absent and present, ``(batch, 2)``."""
        values = maps.float().flatten(1) * self.sharpness
        soft_maximum = (values.logsumexp(dim=1) - math.log(values.shape[1])) / self.sharpness
        present = self.scale * soft_maximum + self.shift
        return torch.stack([torch.zeros_like(present), present], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` to logits of absent and present, ``(batch, 2)``."""
        return self.pooled(self.maps(images))

    def anatomy(self) -> Anatomy:
        """That of the network; its map is one of presence, whatever the classes are called."""
        inner = anatomy_of(self.network)
        return replace(inner, axes=tuple(axis for axis in inner.axes if axis.of == "channels")).inside("network")
