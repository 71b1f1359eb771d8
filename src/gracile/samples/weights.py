"""How often cases are drawn: what their table says, and what a training makes of who labeled them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from gracile.errors import DataError
from gracile.recipe import TrainSpec
from gracile.samples.randomness import sample_generator
from gracile.transforms.prepared import Prepared


def weighted(cases: Sequence[Prepared], train: TrainSpec) -> list[Prepared]:
    """The cases with the weight that a training gives them; those of none are left out.

    Of a frame of a clip it is that of its table, times those of its source and of a label that contradicts its
    neighbors; of all other cases 1.

    Raises:
        DataError: None is left.
    """
    found = []
    for case in cases:
        weight = 1.0
        if case.moment is not None:
            weight = case.moment.weight * train.source_weights.get(case.moment.source, 1.0)
            weight *= train.contradicting_weight if case.moment.contradicts else 1.0
        if weight:
            found.append(case if weight == case.weight else replace(case, weight=weight))
    if cases and not found:
        raise DataError("All frames weigh nothing in learning.", "Correct their weights, or train.source_weights.")
    return found


def cumulated(cases: Sequence[Prepared]) -> Tensor | None:
    """``(cases,)`` float64 ends of the stretches of 0 to 1 by which `drawn` chooses; None where all weigh alike."""
    weights = [case.weight for case in cases]
    return torch.from_numpy(np.cumsum(weights) / np.sum(weights)) if len(set(weights)) > 1 else None


def drawn(ends: Tensor | None, count: int, generator: Generator) -> int:
    """Index of one of some cases, each as often as its weight says."""
    if ends is None:
        return int(torch.randint(count, (), generator=generator))
    place = torch.rand((), generator=generator, dtype=torch.float64)
    return min(int(torch.searchsorted(ends, place, right=True)), count - 1)


class DrawnByWeight(Dataset[dict[str, Tensor]]):
    """Samples of which index ``i`` shows case ``i mod cases``, redrawn so that cases come as often as they weigh.

    Index ``i`` gives the same sample for a seed, and another variation of its case at each index.
    """

    def __init__(self, samples: Dataset[dict[str, Tensor]], cases: Sequence[Prepared], seed: int) -> None:
        self.samples = samples
        self.count = len(cases)
        self.ends = cumulated(cases)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        case = drawn(self.ends, self.count, sample_generator(self.seed, index))
        return self.samples[case + index * self.count]


def by_weight(samples: Dataset[dict[str, Tensor]], cases: Sequence[Prepared], seed: int) -> Dataset[dict[str, Tensor]]:
    """The samples themselves where all cases weigh alike, else redrawn."""
    return samples if cumulated(cases) is None else DrawnByWeight(samples, cases, seed)
