"""What a runner is, what is asked of it, and what it says of how it computes."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Computing:
    """How networks are to be computed: engine, precision, processor threads (0: all) and device."""

    engine: str = "auto"
    precision: str = "auto"
    threads: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class Computed:
    """How a network is computed."""

    engine: str
    version: str
    precision: str
    threads: int
    device: str

    def as_dict(self) -> dict[str, Any]:
        """For a record."""
        return dict(vars(self))


class Runner(Protocol):
    """A network as a function of arrays."""

    computed: Computed

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """``(batch, ...)`` inputs to a ``(batch, ...)`` float32 answer."""
        ...
