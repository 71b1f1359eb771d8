"""Golden answers: what PyTorch said in float32 to a few inputs, kept small, so that any engine can be checked by it.

An input is a few thousand values, repeated until its shape is full; of an answer, values at equal steps are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gracile.errors import DataError
from gracile.io.weights import read_weights, weights_content

MOST = 4093
"""Values kept of an input or answer; a prime number, so that what repeats does not line up with rows."""


@dataclass(frozen=True)
class Golden:
    """One case.

    Args:
        inputs: The network's inputs.
        shape: Of the answer.
        answer: ``(n,)`` float32, every so many-th value of the answer in C order.
    """

    inputs: tuple[np.ndarray, ...]
    shape: tuple[int, ...]
    answer: np.ndarray

    @classmethod
    def of(cls, inputs: Sequence[np.ndarray], answer: np.ndarray) -> "Golden":
        """A case with the answer that is right."""
        return cls(tuple(inputs), answer.shape, kept_of(answer))

    def difference(self, answer: np.ndarray) -> float:
        """Largest difference of an answer, as a share of the golden answer's range.

        Raises:
            DataError: The answer has another shape.
        """
        if answer.shape != self.shape:
            raise DataError(f"the answer's shape is {answer.shape}, where {self.shape} is right")
        found = kept_of(answer)
        if not np.isfinite(found).all():
            return float("inf")
        span = float(np.ptp(self.answer))
        return float(np.abs(found - self.answer).max()) / (span or 1.0)


def kept_of(answer: np.ndarray) -> np.ndarray:
    """``(n,)`` values of an answer at equal steps, at most `MOST`."""
    return answer.ravel()[:: max(1, -(-answer.size // MOST))].astype(np.float32)


def noise(shape: Sequence[int], seed: int) -> np.ndarray:
    """An input of standardized intensities, float32, that a golden case can keep."""
    values = np.random.default_rng(seed).normal(size=min(MOST, int(np.prod(shape)))).astype(np.float32)
    return np.resize(values, shape)


def golden_content(cases: Sequence[Golden]) -> bytes:
    """The file of some cases. Inputs larger than `MOST` must be such as `noise` makes."""
    arrays: dict[str, np.ndarray] = {}
    for number, case in enumerate(cases):
        for place, values in enumerate(case.inputs):
            arrays[f"{number}.input.{place}"] = values.ravel()[:MOST]
            arrays[f"{number}.input.{place}.shape"] = np.array(values.shape, dtype=np.int64)
        arrays[f"{number}.answer"] = case.answer
        arrays[f"{number}.answer.shape"] = np.array(case.shape, dtype=np.int64)
    return weights_content(arrays)


def read_goldens(content: bytes) -> list[Golden]:
    """The cases of a file. Raises DataError when it is none."""
    arrays = read_weights(content)
    cases: list[Golden] = []
    while f"{len(cases)}.answer" in arrays:
        cases.append(_case(arrays, f"{len(cases)}."))
    if not cases:
        raise DataError("it holds no golden answers")
    return cases


def _case(arrays: Mapping[str, np.ndarray], prefix: str) -> Golden:
    inputs: list[np.ndarray] = []
    try:
        while (name := f"{prefix}input.{len(inputs)}") in arrays:
            inputs.append(np.resize(arrays[name], _shape(arrays[f"{name}.shape"])))
        return Golden(tuple(inputs), _shape(arrays[f"{prefix}answer.shape"]), arrays[f"{prefix}answer"])
    except KeyError as error:
        raise DataError(f"it lacks {error}") from None


def _shape(lengths: np.ndarray) -> tuple[int, ...]:
    return tuple(int(length) for length in lengths)
