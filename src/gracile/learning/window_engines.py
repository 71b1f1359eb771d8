"""What computes batches of windows in exact mode: OpenVINO, ONNX Runtime or PyTorch, in float32."""

import importlib.util
from collections.abc import Callable
from threading import Lock
from typing import Literal

import numpy as np
import torch

from gracile.errors import UsageError
from gracile.networks.smicnet_folded import FoldedSMICNet

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]
BATCH = 16
"""Windows of one call: as many as the caches of a processor's core hold."""

Engine = Callable[[np.ndarray], np.ndarray]
"""Maps ``(BATCH, 2, side, side)`` extremes to ``(BATCH, classes)`` logits; several threads may call it at once."""

_BUILDING = Lock()


def choose_engine(name: EngineName, device: torch.device) -> EngineName:
    """The engine that ``auto`` stands for.

    A GPU runs PyTorch. A processor runs OpenVINO or, where that is absent, ONNX Runtime, which takes a third longer;
    PyTorch, several times slower, is left where neither is there. OpenVINO takes a tenth of a second more to get ready,
    which it saves within some thousand windows.

    Raises:
        UsageError: The engine asked for is not installed, or does not run on the device.
    """
    libraries: list[EngineName] = ["openvino", "onnxruntime"]
    present = [library for library in libraries if importlib.util.find_spec(library)]
    if name == "auto":
        return present[0] if present and device.type == "cpu" else "torch"
    if name != "torch" and name not in present:
        raise UsageError(f"{name} is not installed.", f"Install it, or take another engine: pip install {name}.")
    if name != "torch" and device.type != "cpu":
        raise UsageError(f"The engine {name} runs on the processor.", "Use --device cpu, or the engine torch.")
    return name


def build_engine(network: FoldedSMICNet, name: EngineName, device: torch.device) -> Engine:
    """The engine of a name for a network, ready to be called. Raises UsageError."""
    builders = {"torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino}
    with _BUILDING:
        engine = builders[choose_engine(name, device)](network, device)
        # OpenVINO's binding sets itself up at its first call: two threads in it at once wait for each other for ever.
        engine(np.zeros((BATCH, 2, network.side, network.side), dtype=np.float32))
    return engine


def _torch(network: FoldedSMICNet, device: torch.device) -> Engine:
    def answer(extremes: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            return network.logits(torch.from_numpy(extremes).to(device)).cpu().numpy()

    return answer


def _onnxruntime(network: FoldedSMICNet, device: torch.device) -> Engine:
    import onnxruntime

    from gracile.networks.smicnet_onnx import onnx_graph

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # threads take whole batches instead: nothing to wait for within one
    options.log_severity_level = 3
    graph = onnx_graph(network, BATCH)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def answer(extremes: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {"extremes": extremes})[0])

    return answer


def _openvino(network: FoldedSMICNet, device: torch.device) -> Engine:
    import threading

    import openvino

    from gracile.networks.smicnet_onnx import onnx_graph

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    settings |= {"NUM_STREAMS": torch.get_num_threads()}  # of one thread each
    compiled = core.compile_model(core.read_model(onnx_graph(network, BATCH), b""), "CPU", settings)
    own = threading.local()

    def answer(extremes: np.ndarray) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        own.request.infer([extremes])
        return np.array(own.request.get_output_tensor().data)

    return answer
