"""Losses pixel by pixel: cross-entropy and its kin."""

from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError
from gracile.losses.base import Structures, masked_mean


class CrossEntropy(nn.Module):
    """Cross-entropy over all classes with soft targets, optionally weighted by class."""

    def __init__(self, structures: Structures, class_weights: list[float] | None = None) -> None:
        super().__init__()
        self.class_weights = class_weights

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        terms = -truth * functional.log_softmax(logits, dim=1)
        if self.class_weights is not None:
            terms = terms * terms.new_tensor(self.class_weights).view(1, -1, *[1] * (logits.ndim - 2))
        return masked_mean(terms.sum(dim=1, keepdim=True), region)


class Focal(nn.Module):
    """Focal loss over all classes: cross-entropy times ``(1 - p) ** gamma`` (Lin et al., ICCV 2017, arXiv:1708.02002).

    The paper's is of one sigmoid; here each class's share of a pixel takes the class's softmax probability as ``p``,
    and the mean is over the region's pixels. ``class_weights`` are the paper's alpha. With a ``gamma`` of 0 it is
    cross-entropy.

    Raises:
        RecipeError: ``gamma`` is negative.
    """

    def __init__(self, structures: Structures, gamma: float = 2.0, class_weights: list[float] | None = None) -> None:
        super().__init__()
        if gamma < 0:
            raise RecipeError(f"The loss 'focal' cannot have a gamma of {gamma}.", "Take 0 or more; 2 is usual.")
        self.gamma = gamma
        self.class_weights = class_weights

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        logarithms = functional.log_softmax(logits, dim=1)
        # Not quite 0: there the power of a gamma below 1 has no finite slope.
        doubt = (1.0 - logarithms.exp()).clamp_min(1e-6) ** self.gamma
        terms = -truth * doubt * logarithms
        if self.class_weights is not None:
            terms = terms * terms.new_tensor(self.class_weights).view(1, -1, *[1] * (logits.ndim - 2))
        return masked_mean(terms.sum(dim=1, keepdim=True), region)
