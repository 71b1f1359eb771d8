"""Networks through OpenVINO, the fastest engine on processors."""

import importlib
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from gracile.bundle import Bundle
from gracile.errors import UsageError
from gracile.runners.base import Computed, Computing, Graph, graph_of
from gracile.runners.engine_cache import cache_for, forget
from gracile.runners.ports import Port, fitted, refused

_BUILDING = threading.Lock()
"""OpenVINO's binding sets itself up at its first call: two threads in it at once wait for each other for ever."""

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}

_SET_UP = threading.Event()
"""Whether that first call is over."""


def open_openvino_runner(bundle: Bundle, stage: str, computing: Computing) -> "OpenVINORunner":
    """The network of a bundle's stage. Raises BundleError, UsageError."""
    return OpenVINORunner(graph_of(bundle, stage), computing)


def load_openvino() -> Any:
    """OpenVINO without its converter of models, which takes longer to import than all else and sets up telemetry."""
    converter = "openvino.tools.ovc"
    left_out = converter not in sys.modules
    if left_out:
        sys.modules[converter] = None  # type: ignore[assignment]  # says that there is none
    try:
        return importlib.import_module("openvino")
    finally:
        if left_out:
            del sys.modules[converter]


class OpenVINORunner:
    """A graph compiled by OpenVINO, of fixed or of any sizes as the graph has them.

    Args:
        graph: The network.
        computing: ``float32`` or ``bfloat16``, and how many threads. Each of its ``callers`` is to have cores of its
            own; further ones wait for each other.

    Raises:
        BundleError: The graph is damaged, or needs what OpenVINO does not know.
        UsageError: bfloat16 on a processor for which OpenVINO does not compute in it.
    """

    def __init__(self, graph: Graph, computing: Computing) -> None:
        self.graph = graph
        self._own = threading.local()
        with _BUILDING:
            openvino = load_openvino()
            version = openvino.__version__.split("-")[0]
            settings = {
                "INFERENCE_PRECISION_HINT": _PRECISIONS[computing.precision],
                "INFERENCE_NUM_THREADS": computing.threads,
                "NUM_STREAMS": min(computing.callers, computing.threads),
            }
            self._compiled = self._compile(openvino, version, settings)
            self._own.request = self._compiled.create_infer_request()
            self._ports = [_port(entry) for entry in self._compiled.inputs]
            precision = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if precision != _PRECISIONS[computing.precision]:
            raise UsageError(
                f"OpenVINO does not compute in {computing.precision} on this processor.", "Take --precision float32."
            )
        self.computed = Computed("openvino", version, computing.precision, computing.threads, "cpu")

    def _compile(self, openvino: Any, version: str, settings: dict[str, Any]) -> Any:
        """With the cache on disk where there is one; what lies in it may be damaged, and is then made anew."""
        folder = cache_for("openvino", version, self.graph.digest()) if isinstance(self.graph.source, Path) else None
        core = openvino.Core()
        try:
            if isinstance(self.graph.source, bytes):
                return core.compile_model(core.read_model(self.graph.source, b""), "CPU", settings)
            if folder is not None:
                try:
                    return core.compile_model(self.graph.source, "CPU", {**settings, "CACHE_DIR": str(folder)})
                except RuntimeError:
                    forget(folder)
            return core.compile_model(self.graph.source, "CPU", settings)
        except RuntimeError as error:
            raise refused(self.graph, "OpenVINO", error) from None

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """As `gracile.runners.Runner`. Raises BundleError when OpenVINO cannot compute inputs of these shapes."""
        values = fitted(self.graph, self._ports, inputs)
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        request = self._own.request
        try:
            if _SET_UP.is_set():
                request.infer(values)
            else:
                with _BUILDING:
                    request.infer(values)
                _SET_UP.set()
        except RuntimeError as error:
            raise refused(self.graph, "OpenVINO", error) from None
        return np.array(request.get_output_tensor().data, dtype=np.float32)


def _port(entry: Any) -> Port:
    lengths = [None if length.is_dynamic else length.get_length() for length in entry.partial_shape]
    return Port(entry.any_name, tuple(lengths), entry.element_type.to_dtype())
