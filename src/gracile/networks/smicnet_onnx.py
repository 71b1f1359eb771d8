"""A SMICNet as an ONNX graph, from the extremes of its windows to logits, written node by node."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from gracile.networks.smicnet import SLOPE
from gracile.networks.smicnet_folded import FoldedSMICNet

OPSET = 17
IR_VERSION = 9
"""What ONNX Runtime and OpenVINO of the last years read."""


def onnx_graph(network: FoldedSMICNet, batch: int) -> bytes:
    """The serialized model: ``extremes`` ``(batch, 2, side, side)`` to ``logits`` ``(batch, classes)``, float32."""
    graph = _Graph()
    features = graph.leaky(graph.convolution("extremes", network.first_pointwise))
    sides = network.sides
    for number, block in enumerate(network.blocks):
        border = int(network.padded)
        inner = graph.convolution(features, block.depthwise, pads=[border] * 4, group=len(block.depthwise[0]))
        answer = graph.convolution(graph.leaky(inner), block.pointwise)
        if block.pooled:
            answer = graph.node("MaxPool", [answer], kernel_shape=[2, 2], strides=[2, 2])
        before, after = sides[number], sides[number + 1]
        # Only what the strided shortcut takes; one sample more would give it another side than the maximum has.
        start = 0 if network.padded else 1
        end = min(before - start, start + (after - 1) * block.stride + 1)
        if (start, end) != (0, before):
            features = graph.cut(features, start, end)
        beside = graph.convolution(features, block.shortcut, strides=[block.stride] * 2)
        features = graph.node("Add", [graph.leaky(answer), beside])
    mean = graph.node("Flatten", [graph.node("GlobalAveragePool", [features])], axis=1)
    hidden = graph.leaky(graph.dense(mean, network.hidden))
    logits = graph.dense(hidden, network.classes)
    side, classes = network.side, len(network.classes[0])
    inputs = [helper.make_tensor_value_info("extremes", TensorProto.FLOAT, [batch, 2, side, side])]
    outputs = [helper.make_tensor_value_info(logits, TensorProto.FLOAT, [batch, classes])]
    content = helper.make_graph(graph.nodes, "smicnet", inputs, outputs, graph.constants)
    model = helper.make_model(content, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"node {name}", **attributes))
        return name

    def constant(self, values: Tensor | list[int]) -> str:
        name = f"constant{len(self.constants)}"
        array = np.array(values, dtype=np.int64) if isinstance(values, list) else values.detach().cpu().numpy()
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def convolution(self, features: str, weights: tuple[Tensor, Tensor], **attributes: Any) -> str:
        weight, bias = weights
        if weight.ndim == 2:
            weight = weight[:, :, None, None]
        inputs = [features, self.constant(weight), self.constant(bias)]
        return self.node("Conv", inputs, kernel_shape=list(weight.shape[2:]), **attributes)

    def dense(self, features: str, weights: tuple[Tensor, Tensor]) -> str:
        return self.node("Gemm", [features, self.constant(weights[0]), self.constant(weights[1])], transB=1)

    def leaky(self, features: str) -> str:
        return self.node("LeakyRelu", [features], alpha=SLOPE)

    def cut(self, features: str, start: int, end: int) -> str:
        """The samples from ``start`` to before ``end`` of both sides."""
        bounds = [self.constant([value, value]) for value in (start, end)]
        return self.node("Slice", [features, *bounds, self.constant([2, 3])])
