"""The rest of a SMICNet behind its first layer, for single windows.

Behind the first block's single channel z, the maximum of ``w z + b`` over 2x2 is ``w+ max(z) + w- min(z) + b``, w+ and
w- being the positive and the negative part of w: the first block needs only the largest and the smallest z of each 2x2,
its *extremes*, which can be read from maps of the whole slice (`gracile.stages.window_extremes`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.smicnet import SLOPE, SMICNet


class FromExtremes(nn.Module):
    """A SMICNet from the extremes of its windows on.

    Args:
        network: With weights of its own, which stay where they are.
    """

    def __init__(self, network: SMICNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, extremes: Tensor) -> Tensor:
        """``(batch, 2, side, side)`` largest and smallest z of each 2x2 to ``(batch, classes)`` logits."""
        features = first_features(self.network, extremes)
        for block in self.network.blocks[1:]:
            features = block(features)
        hidden = functional.leaky_relu(self.network.hidden(features.mean(dim=(2, 3))), SLOPE)
        answer: Tensor = self.network.classes(hidden)
        return answer


def first_features(network: SMICNet, extremes: Tensor) -> Tensor:
    """What the first block makes of the extremes ``(batch, 2, height, width)`` of its 2x2."""
    pointwise = network.blocks[0].pointwise
    assert isinstance(pointwise, nn.Conv2d)
    weight = torch.cat([pointwise.weight.clamp(min=0), pointwise.weight.clamp(max=0)], dim=1)
    return functional.leaky_relu(functional.conv2d(extremes, weight, pointwise.bias), SLOPE)
