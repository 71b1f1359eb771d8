"""Networks as ONNX graphs whose weights stay where they are: in the safetensors file of their stage.

Batch normalizations are not folded into convolutions and nothing is rewritten, so that what the graph computes with are
the stage's own weights, each under its own name. Engines fold and fuse when they load it.
"""

import copy
import io
import warnings
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

from gracile.errors import BundleError
from gracile.io.onnx_graph import DTYPES
from gracile.io.weights import Stored, read_weights, stored_weights
from gracile.learning.learners import Exported

OPSET = 18
"""Of the graphs: what the engines of the last years read."""


def export_graph(exported: Exported, weights: bytes, weights_file: str) -> bytes:
    """A module, in float32 and in use, as a serialized ONNX graph.

    Args:
        exported: The module.
        weights: Content of the safetensors file in which its weights lie.
        weights_file: Name of that file, beside which the graph will lie.

    Returns:
        The graph: every value of it that is a weight of the file is external data there, under the weight's name.

    Raises:
        BundleError: PyTorch cannot make a graph of the module, or its weights are not those of the file.
    """
    module = copy.deepcopy(exported.module).float().eval()
    for values in [*module.parameters(), *module.buffers()]:
        values.data = values.data.contiguous()
    inputs = tuple(values.contiguous() for values in exported.inputs)
    shapes = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in exported.axes)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module, inputs, input_names=list(exported.names[: len(inputs)]), output_names=["answer"],
                opset_version=OPSET, dynamo=True, dynamic_shapes=shapes, optimize=False, verbose=False,
            )  # fmt: skip
    except Exception as error:  # PyTorch's own have no common kind
        raise BundleError(f"PyTorch makes no graph of it: {_first_line(error)}.") from None
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    _drop_made_biases(model.graph)
    _refer(model.graph, _Weights(weights, weights_file))
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")[:240]


def _forget_origin(model: onnx.ModelProto) -> None:
    """Leave out where in which program each node comes from, and the shapes that engines find again by themselves."""
    del model.metadata_props[:], model.graph.value_info[:]
    for graph in _graphs(model.graph):
        for part in [graph, *graph.node, *graph.input, *graph.output, *graph.initializer]:
            del part.metadata_props[:]
            part.doc_string = ""


def _drop_made_biases(graph: onnx.GraphProto) -> None:
    """Leave out the zeros that PyTorch adds in a convolution without bias, and what only they needed.

    Those of a 3D convolution have two axes, which no engine takes (torch 2.15).
    """
    made = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3:
            maker = made.get(node.input[2])
            if maker is not None and maker.op_type == "Expand":
                del node.input[2]
    kept: list[onnx.NodeProto] = []
    used = {output.name for output in graph.output}
    for node in reversed(graph.node):
        if used.intersection(node.output):
            kept.insert(0, node)
            used.update(name for one in (node, *_within(node)) for name in one.input)
    del graph.node[:]
    graph.node.extend(kept)


def _within(node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
    """The nodes of the graphs in a node."""
    for attribute in node.attribute:
        for inner in [attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs:
            for graph in _graphs(inner):
                yield from graph.node


def _graphs(graph: onnx.GraphProto) -> Iterable[onnx.GraphProto]:
    """A graph and those within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner)


class _Weights:
    """The weights of a file, found by name or by value."""

    def __init__(self, content: bytes, file: str) -> None:
        self.file = file
        self.stored = stored_weights(content)
        self.values = read_weights(content)
        self.by_value: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        for name, values in self.values.items():
            self.by_value.setdefault(self._key(self.stored[name].dtype, values), name)

    @staticmethod
    def _key(dtype: str, values: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
        return dtype, values.shape, values.tobytes()

    def named(self, tensor: TensorProto, values: np.ndarray) -> str:
        """Name of the weight that a graph's value is; empty for none.

        Raises:
            BundleError: The value bears the name of a weight that is another one.
        """
        parts = tensor.name.split(".")
        own = next((name for cut in range(len(parts)) if (name := ".".join(parts[cut:])) in self.values), "")
        if own and not np.array_equal(self.values[own], values):
            raise BundleError(f"The weights of {own} are not those of {self.file}.")
        dtype = DTYPES.get(tensor.data_type, "")
        if own and self.stored[own].dtype == dtype:
            return own
        return self.by_value.get(self._key(dtype, values), "") if values.ndim else ""

    def reference(self, name: str, tensor: TensorProto) -> TensorProto:
        """A graph's value that lies in the file."""
        place: Stored = self.stored[name]
        found = TensorProto(name=name, data_type=tensor.data_type, dims=tensor.dims)
        found.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self.file), ("offset", place.offset), ("length", place.length)):
            found.external_data.add(key=key, value=str(value))
        return found


def _refer(graph: onnx.GraphProto, weights: _Weights) -> None:
    """Let a graph's values lie in the file of the weights, each once; others stay in it."""
    taken: dict[str, TensorProto] = {}
    others: list[TensorProto] = []
    renamed: dict[str, str] = {}
    for tensor in graph.initializer:
        name = weights.named(tensor, numpy_helper.to_array(tensor))
        if name:
            taken[name] = weights.reference(name, tensor)
            renamed[tensor.name] = name
        else:
            others.append(tensor)
    used: dict[str, Any] = {name: None for one in _graphs(graph) for node in one.node for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(tensor for tensor in others if tensor.name in used)
    graph.initializer.extend(taken.values())
    for one in _graphs(graph):
        for node in one.node:
            for place, name in enumerate(node.input):
                if name in renamed:
                    node.input[place] = renamed[name]
