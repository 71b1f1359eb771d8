"""Networks through ONNX Runtime, which runs nearly everywhere."""

from typing import Any

import numpy as np

from gracile.bundle import Bundle
from gracile.errors import UsageError
from gracile.runners.base import Computed, Computing, Graph, graph_of
from gracile.runners.ports import Port, fitted, refused


def open_onnxruntime_runner(bundle: Bundle, stage: str, computing: Computing) -> "OnnxRuntimeRunner":
    """The network of a bundle's stage. Raises BundleError, UsageError."""
    return OnnxRuntimeRunner(graph_of(bundle, stage), computing)


class OnnxRuntimeRunner:
    """A graph in a session of ONNX Runtime, of fixed or of any sizes as the graph has them, in float32.

    Args:
        graph: The network.
        computing: How many threads, and how many ``callers`` share them.

    Raises:
        BundleError: The graph is damaged, or needs what ONNX Runtime does not know.
        UsageError: Another precision than float32.
    """

    def __init__(self, graph: Graph, computing: Computing) -> None:
        import onnxruntime

        if computing.precision != "float32":
            raise UsageError(
                "ONNX Runtime computes in float32 alone on processors.",
                "Take --precision float32, or another engine: --engine openvino.",
            )
        self.graph = graph
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, computing.threads // computing.callers)
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it cannot do is told by the error
        # Threads that wait would take the cores of whatever else computes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        source: Any = graph.source if isinstance(graph.source, bytes) else str(graph.source)
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common kind
            raise refused(graph, "ONNX Runtime", error) from None
        self._ports = [_port(entry) for entry in self._session.get_inputs()]
        self.computed = Computed("onnxruntime", onnxruntime.__version__, "float32", computing.threads, "cpu")

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """As `gracile.runners.Runner`. Raises BundleError when it cannot compute inputs of these shapes."""
        values = fitted(self.graph, self._ports, inputs)
        names = [port.name for port in self._ports]
        try:
            answers = self._session.run(None, dict(zip(names, values, strict=True)))
        except Exception as error:  # its errors have no common kind
            raise refused(self.graph, "ONNX Runtime", error) from None
        return np.asarray(answers[0], dtype=np.float32)


def _port(entry: Any) -> Port:
    lengths = tuple(length if isinstance(length, int) else None for length in entry.shape)
    return Port(entry.name, lengths, np.int64 if entry.type == "tensor(int64)" else np.float32)
