"""A loss for pictures and volumes."""

from collections.abc import Mapping

from torch import Tensor, nn


class Brier(nn.Module):
    """Squared difference of probabilities and truth (Brier 1950)."""

    def __init__(self, structures: Mapping[str, tuple[int, ...]], power: float = 2.0) -> None:
        super().__init__()
        self.power = power

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        """``(batch, classes, *spatial)`` logits and shares, ``(batch, 1, *spatial)`` region, to one number."""
        difference = (logits.softmax(dim=1) - truth).abs() ** self.power
        return (difference * region).sum() / region.sum().clamp_min(1.0)
