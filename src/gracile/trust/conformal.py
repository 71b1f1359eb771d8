"""How far nine in ten of new cases reach, told from those that were seen, by subject where there are enough of them."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gracile.trust.quality_card import By

SHARE = 0.9
"""Of new cases that shall be held."""

PEOPLE = 20
"""Subjects from which on each counts once, however many cases it has: fewer would make the quantile the largest value,
or none."""


class Reach(NamedTuple):
    """The value that nine in ten of new cases do not exceed, and by what it is known."""

    value: float
    by: By


def reach(values: Sequence[float], subjects: Sequence[str], share: float = SHARE) -> Reach:
    """The value that a share of new cases does not exceed, from those of cases that are exchangeable with them.

    - From `PEOPLE` subjects on, for a case of a new subject: each subject weighs 1/(n + 1), shared by its cases, and
      what is missing to 1 lies at infinity (Lee, Barber and Willett, Distribution-free inference with hierarchical
      data, arXiv:2306.06342, 2023).
    - With fewer, as if cases were exchangeable: the ⌈share (n + 1)⌉-th smallest (Vovk, Gammerman and Shafer,
      Algorithmic Learning in a Random World, 2005); it then holds for cases like these, hardly for new subjects.
    - Where even cases are too few for that, Student's t with a degree of freedom for each subject but one, as if values
      were the sizes of normally distributed errors.

    Args:
        values: At least 0.
        subjects: Of each.
        share: From 0 to 1.
    """
    numbers = np.asarray(values, dtype=float)
    counts = Counter(subjects)
    if len(counts) >= PEOPLE:
        order = np.argsort(numbers, kind="stable")
        weights = np.array([1.0 / counts[subjects[index]] for index in order]) / (len(counts) + 1)
        at = int(np.searchsorted(np.cumsum(weights), share - 1e-12))
        if at < len(order):
            return Reach(float(numbers[order[at]]), "subjects")
    rank = math.ceil(share * (len(numbers) + 1) - 1e-12)
    if rank <= len(numbers):
        return Reach(float(np.sort(numbers)[rank - 1]), "cases")
    from scipy.special import stdtrit  # slow to import, and seldom needed

    freedom = max(1, len(counts) - 1)
    factor = float(stdtrit(freedom, (1 + share) / 2)) * math.sqrt(1 + 1 / len(numbers))
    return Reach(factor * float(np.sqrt(np.mean(numbers**2))), "t")
