"""Intervals by resampling the cases that were scored.

The percentile bootstrap (Efron 1979; Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): cases
are drawn with replacement, as many as there are, the score is computed anew, and the interval holds the middle 95 % of
the answers. Pictures of one patient are alike, so that with groups whole groups are drawn.
"""

from collections.abc import Iterator, Sequence

import numpy as np

ROUNDS = 2000
_NUMBERS_AT_ONCE = 1_000_000


def bootstrap_interval(
    values: Sequence[float | None], groups: Sequence[str] | None = None, seed: int = 0, rounds: int = ROUNDS
) -> tuple[float, float] | None:
    """95 % interval of the mean of some values.

    Args:
        values: One value per case; undefined ones (None, not a number) are left out.
        groups: The group (subject) of each case; then groups are drawn, each with all its cases.
        seed: Of the random numbers; the same seed gives the same interval.
        rounds: How often is drawn.

    Returns:
        Lower and upper end, or None where fewer than two cases (groups) are defined.
    """
    numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    known = np.isfinite(numbers)
    members = None if groups is None else [group for group, kept in zip(groups, known, strict=True) if kept]
    numbers = numbers[known]
    means = [
        weights @ numbers / weights.sum(axis=1) for weights in resampled_weights(numbers.size, members, seed, rounds)
    ]
    return percentile_interval(np.concatenate(means)) if means else None


def resampled_weights(
    cases: int, groups: Sequence[str] | None = None, seed: int = 0, rounds: int = ROUNDS
) -> Iterator[np.ndarray]:
    """How often each case was drawn in each round.

    Args:
        cases: Number of cases.
        groups: The group of each case, or None to draw single cases.
        seed: Of the random numbers.
        rounds: How often is drawn.

    Yields:
        ``(some rounds, cases)`` float64 counts, as many rounds at once as fit into about 8 MB. Nothing where there
        are fewer than two cases (groups): one alone says nothing about the spread.
    """
    member = np.arange(cases) if groups is None else np.unique(np.array(groups, dtype=str), return_inverse=True)[1]
    units = int(member.max(initial=-1)) + 1
    if units < 2:
        return
    random = np.random.default_rng(seed)
    block = max(1, _NUMBERS_AT_ONCE // max(cases, units))
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        drawn = random.integers(units, size=(size, units)) + np.arange(size)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units)
        yield counts[:, member].astype(float)


def percentile_interval(estimates: np.ndarray) -> tuple[float, float] | None:
    """The middle 95 % of the estimates of all rounds; None where more than half of the rounds are undefined (NaN)."""
    known = estimates[np.isfinite(estimates)]
    if not known.size or 2 * known.size < estimates.size:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
