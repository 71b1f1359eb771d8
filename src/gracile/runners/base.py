"""What a runner is, what is asked of it, and what is told of it afterwards."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from gracile.bundle import Bundle, stage_of

Engine = str
"""A name of `gracile.runners.ENGINES`."""

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Computing:
    """What was asked for.

    Args:
        engine: ``auto``, or a name of `gracile.runners.ENGINES`.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        threads: Of the processor; 0 takes as many as it has cores for this process.
        device: ``auto``, ``cpu`` or, with PyTorch alone, ``cuda``.
        callers: Threads that call a runner at once, among which the others are divided; 0 takes as many as those.
            PyTorch lets one call after the other have them all.
    """

    engine: str = "auto"
    precision: str = "auto"
    threads: int = 0
    device: str = "auto"
    callers: int = 1


@dataclass(frozen=True)
class Computed:
    """What computes, as it stands in every record and report.

    Args:
        engine: A name of `gracile.runners.ENGINES`.
        version: Of the engine's library.
        precision: In which numbers it computes; its answers are float32.
        threads: Of the processor.
        device: ``cpu`` or ``cuda``.
        notes: Why it is another than the first choice, a sentence each.
    """

    engine: str
    version: str
    precision: str
    threads: int
    device: str
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For records; notes stand in it where there are any."""
        content = {name: value for name, value in vars(self).items() if name != "notes"}
        return {**content, "notes": list(self.notes)} if self.notes else content


class Runner(Protocol):
    """A network as a function of arrays. Several threads may call it at once."""

    computed: Computed

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """The network's answer, float32, its first axis the batch.

        Args:
            inputs: In the order of the network's, their first axis the batch too.
        """


Opener = Callable[[Bundle, str, Computing], Runner]
"""Opens a network of a bundle by its name; precision, threads and device are told and no longer ``auto``.

Raises BundleError where the engine cannot take the network, UsageError where it cannot do what is asked.
"""


@dataclass(frozen=True)
class Graph:
    """A network as an ONNX graph.

    Args:
        source: Its file, beside which lies what it names as external data; or a serialized graph that names nothing.
        key: Tells graphs and weights apart: equal keys are the same network. Empty is by the content.
        name: For messages; that of the file where it is empty.
    """

    source: Path | bytes
    key: str = ""
    name: str = ""

    def __str__(self) -> str:
        return self.name or ("the graph" if isinstance(self.source, bytes) else str(self.source))

    def digest(self) -> str:
        """32 hexadecimal digits of the key or, without one, of the graph and the weights beside it."""
        whole = hashlib.sha256()
        if self.key:
            whole.update(self.key.encode())
        elif isinstance(self.source, bytes):
            whole.update(self.source)
        else:
            whole.update(self.source.read_bytes())
            weights = self.source.with_suffix(".safetensors")
            whole.update(weights.read_bytes() if weights.is_file() else b"")
        return whole.hexdigest()[:32]


def graph_of(bundle: Bundle, network: str) -> Graph:
    """The graph of a network of a bundle, which has one."""
    weights = bundle.checksums[stage_of(network)]
    return Graph(bundle.graphs[network], f"{bundle.graph_checksums[network]}:{weights}")
