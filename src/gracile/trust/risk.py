"""How well an order finds the worst cases: the area under the risk-coverage curve."""

from collections.abc import Sequence

import numpy as np

Numbers = Sequence[float] | np.ndarray


def aurc(trust: Numbers, risks: Numbers) -> float:
    """Area under the risk-coverage curve: the mean, over all k, of the mean risk of the k most trusted cases.

    Equally trusted cases count as if their order were drawn at random. Geifman and El-Yaniv, NeurIPS 2017.

    Args:
        trust: How far each case is trusted.
        risks: What is lost in it, such as 1 less its Dice.
    """
    order = np.argsort(-np.asarray(trust, dtype=float), kind="stable")
    sorted_trust, sorted_risks = np.asarray(trust, dtype=float)[order], np.asarray(risks, dtype=float)[order]
    _, group, counts = np.unique(-sorted_trust, return_inverse=True, return_counts=True)
    alike = (np.bincount(group, sorted_risks) / counts)[group]
    return float(np.mean(np.cumsum(alike) / np.arange(1, len(alike) + 1)))


def normalized_aurc(trust: Numbers, risks: Numbers) -> float | None:
    """`aurc` on the way from that of the best possible order, 0, to that of a random one, 1; None where all risks are
    alike.
    """
    values = np.asarray(risks, dtype=float)
    if len(values) < 2 or np.ptp(values) < 1e-12:
        return None
    best, random = aurc(-values, values), float(values.mean())
    return (aurc(trust, risks) - best) / (random - best)
