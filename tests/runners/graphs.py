"""Graphs of one convolution, whose answers scipy gives as well."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from scipy.ndimage import correlate

from gracile.bundle import Bundle, add_graphs, write_bundle
from gracile.io.weights import stored_weights, weights_content
from gracile.recipe import Recipe
from gracile.runners.golden import Golden, golden_content, noise

STAGE = "vessels"
CHANNELS, CLASSES = 2, 3
SIZES = [(1, CHANNELS, 17, 23), (3, CHANNELS, 8, 9), (1, CHANNELS, 64, 31)]


def some_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Of the convolution; and a number that it does not use, as normalizations count their batches."""
    random = np.random.default_rng(seed)
    kernel = random.normal(size=(CLASSES, CHANNELS, 3, 3)).astype(np.float32)
    bias = random.normal(size=CLASSES).astype(np.float32)
    return {"odd": np.arange(3, dtype=np.int8), "head.weight": kernel, "head.bias": bias,
            "count": np.array(7, dtype=np.int64)}  # fmt: skip


def right_answer(images: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """``(batch, CLASSES, height, width)`` by scipy."""
    kernel, bias = weights["head.weight"], weights["head.bias"]
    answers = [
        [sum(correlate(image[c], kernel[k, c], mode="constant") for c in range(CHANNELS)) + bias[k]
         for k in range(CLASSES)]
        for image in images
    ]  # fmt: skip
    return np.array(answers, dtype=np.float32)


def graph_content(
    weights: dict[str, np.ndarray],
    file: str = f"{STAGE}.safetensors",
    operator: str = "Conv",
    change: Callable[[onnx.ModelProto], Any] = lambda model: None,
) -> bytes:
    """The convolution as a graph with its weights in a file; ``change`` spoils it."""
    stored = stored_weights(weights_content(weights))
    tensors = []
    for name in ("head.weight", "head.bias"):
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=weights[name].shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": file, "offset": stored[name].offset, "length": stored[name].length}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        tensors.append(tensor)
    node = helper.make_node(operator, ["images", "head.weight", "head.bias"], ["answer"], pads=[1, 1, 1, 1])
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["b", CHANNELS, "h", "w"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["b", CLASSES, "h", "w"])
    graph = helper.make_graph([node], "convolution", [images], [answer], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    change(model)
    content: bytes = model.SerializeToString()
    return content


def write_graph(folder: Path, **changes: Any) -> tuple[Path, dict[str, np.ndarray]]:
    """A graph beside its weights, and these."""
    weights = some_weights()
    (folder / f"{STAGE}.safetensors").write_bytes(weights_content(weights))
    path = folder / f"{STAGE}.onnx"
    path.write_bytes(graph_content(weights, **changes))
    return path, weights


def write_graph_bundle(recipe: Recipe, folder: Path, wrong_by: float = 0.0, **changes: Any) -> Path:
    """A bundle of the graph; its golden answers may be wrong by something."""
    weights = some_weights()
    write_bundle(Bundle(recipe=recipe, weights={STAGE: weights}, card={}), folder)
    cases = []
    for number, size in enumerate(SIZES):
        images = noise(size, number)
        cases.append(Golden.of([images], right_answer(images, weights) + np.float32(wrong_by)))
    add_graphs(folder, {STAGE: graph_content(weights, **changes)}, {STAGE: golden_content(cases)})
    return folder
