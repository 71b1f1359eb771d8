"""Losses of regions, which overlap."""

import torch
from torch import Tensor, nn

from gracile.losses.base import Structures, joined


class OfRegions(nn.Module):
    """Any loss on regions, which overlap: each region beside all else, by the sigmoid of its logit; averaged.

    The softmax of 0 and a logit is the logit's sigmoid, so that each region is a loss's two classes of its own.

    Args:
        structures: Class indices of each region.
        loss: Compares two classes, of which the second is the structure.
    """

    def __init__(self, structures: Structures, loss: nn.Module) -> None:
        super().__init__()
        self.structures = dict(structures)
        self.loss = loss

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        """``(batch, regions, *spatial)`` logits, and the truth's ``(batch, classes, *spatial)`` shares."""
        targets = joined(truth, self.structures)[:, :-1].clamp(0.0, 1.0)
        each = []
        for logit, target in zip(logits.split(1, dim=1), targets.split(1, dim=1), strict=True):
            pair = torch.cat([torch.zeros_like(logit), logit], dim=1)
            each.append(self.loss(pair, torch.cat([1.0 - target, target], dim=1), region))
        return torch.stack(each).mean()
