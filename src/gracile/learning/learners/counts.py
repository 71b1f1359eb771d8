"""What validation scores of a delineation are counted from: overlaps of structures, and the entropy beside them."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from gracile.losses import Structures, joined, masked_mean

Counts = Mapping[str, tuple[Tensor, Tensor]]
"""Of each structure, the samples that are both found and true, and those found plus those true."""


def class_counts(logits: Tensor, truth: Tensor, region: Tensor, structures: Structures) -> tuple[Tensor, Counts]:
    """Cross-entropy, and counts of each structure by the likeliest class, where the region is 1.

    All classes are counted in one pass, as there may be hundreds.

    Args:
        logits: ``(batch, classes, *spatial)``.
        truth: Shares of the same shape.
        region: ``(batch, 1, *spatial)``.
        structures: Class indices of each structure.
    """
    inside, classes = region > 0.5, logits.shape[1]
    # A mean that is 0 where nothing counts, as of a case that is ignored as a whole.
    entropy = masked_mean(-(truth * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True), inside.to(logits.dtype))
    found, true = (maps.argmax(dim=1, keepdim=True)[inside] for maps in (logits, truth))
    pairs = torch.bincount(true * classes + found, minlength=classes**2).view(classes, classes)
    counts = {}
    for name, group in structures.items():
        members = torch.tensor(sorted(set(group)), device=logits.device)
        counts[name] = (pairs[members][:, members].sum(), pairs[members].sum() + pairs[:, members].sum())
    return entropy, counts


def region_counts(logits: Tensor, truth: Tensor, region: Tensor, structures: Structures) -> tuple[Tensor, Counts]:
    """Binary cross-entropy, and counts of each region by its own probability; as `class_counts`.

    Args:
        logits: ``(batch, regions, *spatial)``.
        truth: Shares of the classes, ``(batch, classes, *spatial)``.
        region: ``(batch, 1, *spatial)``.
        structures: Class indices of each of the regions.
    """
    inside = (region > 0.5).float()
    targets = joined(truth, structures)[:, :-1].clamp(0.0, 1.0)
    entropy = masked_mean(
        functional.binary_cross_entropy_with_logits(logits, targets, reduction="none"), inside
    )  # fmt: skip
    counts = {}
    for number, name in enumerate(structures):
        found, true = (maps[:, number : number + 1] for maps in (logits > 0, targets > 0.5))
        inner = inside > 0.5
        counts[name] = ((found & true & inner).sum(), (found & inner).sum() + (true & inner).sum())
    return entropy, counts
