"""What a graph takes, and what an engine says of one that it cannot take, in the user's words."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gracile.errors import BundleError
from gracile.runners.base import Graph

log = logging.getLogger(__name__)

LONGEST = 240


@dataclass(frozen=True)
class Port:
    """An input of a graph.

    Args:
        name: In the graph.
        shape: Its lengths; None for an axis of any length.
        dtype: Of its values.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: Any

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether something of a shape fits."""
        return len(shape) == len(self.shape) and all(
            own in (None, length) for own, length in zip(self.shape, shape, strict=True)
        )


def fitted(graph: Graph, ports: Sequence[Port], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Inputs as a graph takes them, C-contiguous and of its number formats.

    Raises:
        BundleError: They are too few or too many, or have another shape; engines do not check that themselves.
    """
    shapes = [values.shape for values in inputs]
    if len(inputs) != len(ports) or not all(port.takes(shape) for port, shape in zip(ports, shapes, strict=True)):
        wanted = ", ".join(f"({', '.join('any' if n is None else str(n) for n in port.shape)})" for port in ports)
        seen = ", ".join(str(shape) for shape in shapes)
        raise BundleError(f"{graph} takes {wanted}, not {seen}.", "Use the recipe that it was made with.")
    return [np.asarray(values, dtype=port.dtype, order="C") for port, values in zip(ports, inputs, strict=True)]


def refused(graph: Graph, engine: str, error: BaseException) -> BundleError:
    """The error of an engine that cannot load or compute a graph: names file and engine, and keeps the reason."""
    log.debug("%s and %s: %s", graph, engine, error)
    return BundleError(
        f"{graph} cannot be computed by {engine}: {_reason(error)}.",
        "Copy the bundle again, or take another engine (--engine).",
    )


def _reason(error: BaseException) -> str:
    """The last line that says something: libraries begin with places in their own source."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and "Exception from" not in line and "Check '" not in line]
    text = (telling or lines or [type(error).__name__])[-1].rstrip(".")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
