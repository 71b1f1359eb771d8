"""Losses of how far what was found and what is true overlap, structure by structure."""

from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError
from gracile.losses.base import Structures, joined, log_probabilities, masked_mean, require_known, soft_dice_loss


class Dice(nn.Module):
    """Soft Dice loss, mean over the foreground classes.

    Args:
        structures: Not used; here for all losses to be built alike.
        absent: What becomes of a class that a batch does not show, see `Absent`.
    """

    def __init__(self, structures: Structures, absent: str = "count") -> None:
        super().__init__()
        self.absent = require_known("dice", absent)

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        return soft_dice_loss(logits.softmax(dim=1)[:, 1:], truth[:, 1:], region, self.absent)


class Tree(nn.Module):
    """Binary cross-entropy and soft Dice loss of each structure and of the whole foreground.

    A structure's probability is the sum of those of its classes, so that a crossing counts in both trees.
    """

    def __init__(self, structures: Structures, entropy: float = 1.0, dice: float = 0.5) -> None:
        super().__init__()
        self.structures = dict(structures)
        self.entropy = entropy
        self.dice = dice

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        probabilities = joined(logits.softmax(dim=1), self.structures)
        target = joined(truth, self.structures)
        safe = probabilities.clamp(1e-5, 1.0 - 1e-5)
        entropy = functional.binary_cross_entropy(safe, target.clamp(0.0, 1.0), reduction="none")
        dice = soft_dice_loss(probabilities, target, region)
        return self.entropy * masked_mean(entropy, region) + self.dice * dice


class BinaryDice(nn.Module):
    """Binary cross-entropy and soft Dice loss of each structure by itself, both means over the structures.

    A structure's probability is the sum of those of its classes; the entropy is taken from the logits, so that a sure
    and wrong answer still has a gradient.
    """

    def __init__(self, structures: Structures, entropy: float = 1.0, dice: float = 1.0, absent: str = "count") -> None:
        super().__init__()
        self.structures = dict(structures)
        self.entropy = entropy
        self.dice = dice
        self.absent = require_known("bce-dice", absent)

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        target = joined(truth, self.structures)[:, :-1].clamp(0.0, 1.0)
        present, absent = log_probabilities(logits, self.structures)
        entropy = masked_mean(-target * present - (1.0 - target) * absent, region)
        return self.entropy * entropy + self.dice * soft_dice_loss(present.exp(), target, region, self.absent)


class Tversky(nn.Module):
    """One minus the Tversky index of each structure over the batch, averaged (Salehi et al., MLMI 2017).

    The index is ``TP / (TP + false_positives * FP + false_negatives * FN)`` (arXiv:1706.05721, where the weight of the
    false positives is alpha, 0.3 at the paper's best, and that of the false negatives beta, 0.7). Half each is the
    Dice loss of the structures.

    Args:
        structures: Class indices of each structure.
        false_negatives: Weight of what was missed.
        false_positives: Weight of what was found where nothing is.
    """

    def __init__(self, structures: Structures, false_negatives: float = 0.7, false_positives: float = 0.3) -> None:
        super().__init__()
        self.structures = dict(structures)
        self.false_negatives = false_negatives
        self.false_positives = false_positives

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        return self.shortfall(logits, truth, region).mean()

    def shortfall(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        """One minus the index of each structure, ``(structures,)``; 0 where one is neither there nor found."""
        found = joined(logits.softmax(dim=1), self.structures)[:, :-1]
        true = joined(truth, self.structures)[:, :-1]
        axes = (0, *range(2, logits.ndim))
        hits, extra, missed = (
            (part * region).sum(axes) for part in (found * true, found * (1.0 - true), (1.0 - found) * true)
        )
        # Half a pixel on both sides, so that half-and-half weights give soft_dice_loss exactly.
        whole = hits + self.false_positives * extra + self.false_negatives * missed
        return 1.0 - (hits + 0.5) / (whole + 0.5)


class FocalTversky(Tversky):
    """Focal Tversky loss: the mean over the structures of ``(1 - index) ** (1 / gamma)``.

    Abraham and Khan, ISBI 2019 (arXiv:1810.07842), whose exponent is 1 / gamma and whose best gamma is 4/3: the
    exponent 0.75. Some other texts call the exponent itself gamma; here it is the paper's. A ``gamma`` of 1 is the
    Tversky loss. The paper sums over the classes.

    Raises:
        RecipeError: ``gamma`` is not positive.
    """

    def __init__(
        self,
        structures: Structures,
        gamma: float = 4.0 / 3.0,
        false_negatives: float = 0.7,
        false_positives: float = 0.3,
    ) -> None:
        super().__init__(structures, false_negatives, false_positives)
        if gamma <= 0:
            raise RecipeError(
                f"The loss 'focal-tversky' cannot have a gamma of {gamma}.",
                "Take more than 0; the exponent is 1 / gamma, and the paper's gamma lies from 1 to 3.",
            )
        self.gamma = gamma

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        # Not quite 0: an exponent below 1 has no finite slope there.
        return (self.shortfall(logits, truth, region).clamp_min(1e-6) ** (1.0 / self.gamma)).mean()
