"""Whether a confidence ranks cases by how wrong their answers are: curves and areas of risk against coverage.

Cases are taken from the most confident one on. The share taken so far is the *coverage*, the mean risk of those taken
the *selective risk* (Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017; for
segmentation Zenk et al., "Comparative benchmarking of failure detection methods in medical image segmentation",
Medical Image Analysis 101, 2025). A risk is 1 - score, or an error in mm.

Cases of one confidence have no order of their own: everything here is the expectation over all orders of them, which is
exact, as the expected risk of the first few of a tied group is the group's mean.
"""

from collections.abc import Sequence

import numpy as np

Numbers = Sequence[float | None] | np.ndarray


def risk_coverage(
    risks: Numbers, confidences: Numbers, *, weights: Sequence[float] | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The curve of selective risk over coverage.

    Args:
        risks: One per case, such as 1 - Dice or an error in mm; undefined ones (None, NaN) are left out.
        confidences: One per case, higher where the answer is trusted more, in any unit; an undefined one is the lowest.
        weights: How much each case counts, such as 1 / the number of its subject's cases; all alike when None. Cases of
            one confidence then share their weight.

    Returns:
        Coverages, ``(n,)``: without weights ``k / n`` for k = 1 ... n; and the mean risk of the k most confident
        cases, ``(n,)``.

    Raises:
        ValueError: Other numbers of risks than of confidences.
    """
    ranked, counted = _ranked(risks, confidences, weights)
    taken = np.cumsum(counted)
    return taken / (taken[-1] if taken.size else 1), np.cumsum(ranked * counted) / taken


def aurc(risks: Numbers, confidences: Numbers, *, weights: Sequence[float] | np.ndarray | None = None) -> float:
    """Area under the risk-coverage curve: the mean of the selective risks at the coverages 1/n, 2/n, ..., 1.

    NaN without cases. For the arguments see `risk_coverage`; a weighted case's coverage is as wide as its weight.

    Source: Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019.
    """
    coverages, selective = risk_coverage(risks, confidences, weights=weights)
    return float(selective @ np.diff(coverages, prepend=0)) if selective.size else float("nan")


def normalized_aurc(
    risks: Numbers, confidences: Numbers, *, weights: Sequence[float] | np.ndarray | None = None
) -> float | None:
    """``(AURC - AURC of the best order) / (AURC of a random order - AURC of the best order)``: 0 is best, 1 is random.

    The best order is that of the risks themselves; a random order is expected to have the mean risk at every coverage,
    so that its area is the mean risk. Above 1 the order is worse than none. The numerator is the excess AURC of
    Geifman, Uziel and El-Yaniv (ICLR 2019). For the arguments see `risk_coverage`.

    Returns:
        The share, or None where all risks are equal or fewer than two are defined: then every order is as good.
    """
    risk, _, counted = _known(risks, confidences, weights)
    if risk.size < 2 or risk.min() == risk.max():
        return None
    best = aurc(risk, -risk, weights=counted)
    return (aurc(risks, confidences, weights=weights) - best) / (float(np.average(risk, weights=counted)) - best)


def _known(
    risks: Numbers, confidences: Numbers, weights: Sequence[float] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Risks, confidences and weights of cases whose risk is defined; an undefined confidence is the lowest."""
    risk, confidence = (
        np.array([np.nan if n is None else n for n in numbers], dtype=float) for numbers in (risks, confidences)
    )
    if risk.shape != confidence.shape:
        raise ValueError(f"There are {risk.size} risks and {confidence.size} confidences.")
    counted = np.ones(risk.size) if weights is None else np.asarray(weights, dtype=float)
    kept = np.isfinite(risk)
    return risk[kept], np.where(np.isnan(confidence), -np.inf, confidence)[kept], counted[kept]


def _ranked(
    risks: Numbers, confidences: Numbers, weights: Sequence[float] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Risks and weights from the most confident case on; cases of one confidence have the mean of theirs."""
    risk, confidence, counted = _known(risks, confidences, weights)
    _, group = np.unique(-confidence, return_inverse=True)
    members, weight = np.bincount(group), np.bincount(group, counted)
    means = np.bincount(group, risk * counted) / weight
    return np.repeat(means, members), np.repeat(weight / members, members)
