"""Whether a confidence ranks cases by how wrong their answers are: curves and areas of risk against coverage.

Cases are taken from the most confident one on. The share taken so far is the *coverage*, the mean risk of those taken
the *selective risk* (Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017; of
segmentations Zenk et al., "Comparative benchmarking of failure detection methods in medical image segmentation", Medical
Image Analysis 2025). A risk is 1 - score, or an error in mm.

Cases of one confidence have no order of their own: everything here is the expectation over all orders of them, which is
exact, as the expected risk of the first few of a tied group is the group's mean.
"""

from collections.abc import Sequence

import numpy as np

Numbers = Sequence[float | None] | np.ndarray


def risk_coverage(risks: Numbers, confidences: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """The curve of selective risk over coverage.

    Args:
        risks: One per case, such as 1 - Dice or an error in mm; undefined ones (None, NaN) are left out.
        confidences: One per case, higher where the answer is trusted more, in any unit; an undefined one is the lowest.

    Returns:
        Coverages ``k / n`` for k = 1 ... n, ``(n,)``, and the mean risk of the k most confident cases, ``(n,)``.

    Raises:
        ValueError: Other numbers of risks than of confidences.
    """
    ranked, weights = _ranked(risks, confidences)
    taken = np.cumsum(weights)
    return taken / max(len(weights), 1), np.cumsum(ranked * weights) / taken


def aurc(risks: Numbers, confidences: Numbers) -> float:
    """Area under the risk-coverage curve: the mean of the selective risks at the coverages 1/n, 2/n, ..., 1.

    NaN without cases. For the arguments see `risk_coverage`.

    Source: Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019.
    """
    selective = risk_coverage(risks, confidences)[1]
    return float(selective.mean()) if selective.size else float("nan")


def normalized_aurc(risks: Numbers, confidences: Numbers) -> float | None:
    """``(AURC - AURC of the best order) / (AURC of a random order - AURC of the best order)``: 0 is best, 1 is random.

    The best order is that of the risks themselves; a random order is expected to have the mean risk at every coverage,
    so that its area is the mean risk. Above 1 the order is worse than none. The numerator is the excess AURC of Geifman,
    Uziel and El-Yaniv (ICLR 2019). For the arguments see `risk_coverage`.

    Returns:
        The share, or None where all risks are equal or fewer than two are defined: then every order is as good.
    """
    numbers, _ = _known(risks, confidences)
    if numbers.size < 2 or numbers.min() == numbers.max():
        return None
    best = aurc(numbers, -numbers)
    return (aurc(risks, confidences) - best) / (float(numbers.mean()) - best)


def _known(risks: Numbers, confidences: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Risks and confidences of cases whose risk is defined; an undefined confidence is the lowest."""
    risk, confidence = (
        np.array([np.nan if n is None else n for n in numbers], dtype=float) for numbers in (risks, confidences)
    )
    if risk.shape != confidence.shape:
        raise ValueError(f"There are {risk.size} risks and {confidence.size} confidences.")
    kept = np.isfinite(risk)
    return risk[kept], np.where(np.isnan(confidence), -np.inf, confidence)[kept]


def _ranked(risks: Numbers, confidences: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Expected risks from the most confident case on, those of one confidence being their mean, and their weights."""
    risk, confidence = _known(risks, confidences)
    _, group = np.unique(-confidence, return_inverse=True)
    members = np.bincount(group)
    means = np.bincount(group, risk) / members
    return np.repeat(means, members), np.ones(risk.size)
