"""Graphs of ONNX, written as arithmetic: a `Graph` that grows node by node, and the `Value`s that flow in it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gracile.errors import BundleError

OPSET = 18
"""Of the exported graphs, and of those in the bundles that they take in."""

IR_VERSION = 10

UNTIL_DONE = 1_000_000
"""Rounds after which a loop ends whatever its condition says; none comes near."""


@dataclass(frozen=True)
class Value:
    """An array that will flow in a graph; arithmetic on it adds nodes. Numbers take its own type.

    Args:
        graph: Where it flows.
        name: In the graph.
        dtype: Of its numbers.
    """

    graph: "Graph"
    name: str
    dtype: np.dtype

    def __add__(self, other: "Operand") -> "Value":
        return self.graph.node("Add", self, other)

    def __radd__(self, other: "Operand") -> "Value":
        return self.graph.node("Add", self._like(other), self)

    def __sub__(self, other: "Operand") -> "Value":
        return self.graph.node("Sub", self, other)

    def __rsub__(self, other: "Operand") -> "Value":
        return self.graph.node("Sub", self._like(other), self)

    def __mul__(self, other: "Operand") -> "Value":
        return self.graph.node("Mul", self, other)

    def __rmul__(self, other: "Operand") -> "Value":
        return self.graph.node("Mul", self._like(other), self)

    def __truediv__(self, other: "Operand") -> "Value":
        return self.graph.node("Div", self, other)

    def __rtruediv__(self, other: "Operand") -> "Value":
        return self.graph.node("Div", self._like(other), self)

    def __floordiv__(self, other: "Operand") -> "Value":
        """Of whole numbers that are not negative: there alone ONNX's division rounds down."""
        return self.graph.node("Div", self, other)

    def __matmul__(self, other: "Value") -> "Value":
        return self.graph.node("MatMul", self, other)

    def __neg__(self) -> "Value":
        return self.graph.node("Neg", self)

    def __abs__(self) -> "Value":
        return self.graph.node("Abs", self)

    def __gt__(self, other: "Operand") -> "Value":
        return self.graph.node("Greater", self, other, dtype=bool)

    def __ge__(self, other: "Operand") -> "Value":
        return self.graph.node("GreaterOrEqual", self, other, dtype=bool)

    def __lt__(self, other: "Operand") -> "Value":
        return self.graph.node("Less", self, other, dtype=bool)

    def __le__(self, other: "Operand") -> "Value":
        return self.graph.node("LessOrEqual", self, other, dtype=bool)

    def __and__(self, other: "Value") -> "Value":
        return self.graph.node("And", self, other)

    def __or__(self, other: "Value") -> "Value":
        return self.graph.node("Or", self, other)

    def __invert__(self) -> "Value":
        return self.graph.node("Not", self)

    def equals(self, other: "Operand") -> "Value":
        """Where both are equal, bool."""
        return self.graph.node("Equal", self, other, dtype=bool)

    def to(self, dtype: Any) -> "Value":
        """The same numbers of another type."""
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return self
        return self.graph.node("Cast", self, dtype=wanted, to=helper.np_dtype_to_tensor_dtype(wanted))

    def size(self, axis: int) -> "Value":
        """``()`` int64, its length along an axis."""
        shape = self.graph.node("Shape", self, dtype=np.int64)
        return shape.pick(axis)

    def pick(self, index: "Operand", axis: int = 0) -> "Value":
        """What lies at an index of an axis, or at each of several."""
        if not isinstance(index, Value):
            index = self.graph.constant(index, np.int64)
        return self.graph.node("Gather", self, index, axis=axis)

    def part(self, start: "Operand", stop: "Operand", axis: int) -> "Value":
        """From one index of an axis up to another, which is left out."""
        ends = [self.graph.whole(end).reshape(1) for end in (start, stop)]
        return self.graph.node("Slice", self, *ends, [axis])

    def reshape(self, *lengths: "Operand") -> "Value":
        """In another shape."""
        if all(isinstance(length, int) for length in lengths):
            return self.graph.node("Reshape", self, self.graph.constant(lengths, np.int64))
        parts = [self.graph.whole(length).reshape(1) for length in lengths]
        return self.graph.node("Reshape", self, self.graph.node("Concat", *parts, axis=0))

    def lifted(self, *axes: int) -> "Value":
        """With axes of length 1 there."""
        return self.graph.node("Unsqueeze", self, list(axes))

    def sum(self, *axes: int, keep: bool = False) -> "Value":
        """Over some axes; all of them where none is named."""
        return self._reduced("ReduceSum", axes, keep)

    def most(self, *axes: int, keep: bool = False) -> "Value":
        """The largest along some axes."""
        return self._reduced("ReduceMax", axes, keep)

    def least(self, *axes: int, keep: bool = False) -> "Value":
        """The smallest along some axes."""
        return self._reduced("ReduceMin", axes, keep)

    def any(self, *axes: int) -> "Value":
        """Of bool: whether one is true along some axes."""
        return self.to(np.float32).most(*axes) > 0.5

    def _reduced(self, kind: str, axes: Sequence[int], keep: bool) -> "Value":
        return self.graph.node(kind, self, *([list(axes)] if axes else []), keepdims=int(keep))

    def _like(self, other: "Operand") -> "Value":
        return other if isinstance(other, Value) else self.graph.constant(other, self.dtype)


Operand: TypeAlias = Value | float | int | Sequence[int] | np.ndarray
"""A value, or numbers that become a constant: a list whole ones, others of the type of the first value beside them."""


class Graph:
    """A graph of ONNX that grows: nodes go into it, or into the branch or loop that is being written."""

    def __init__(self) -> None:
        self._scopes = [_Scope()]
        self._count = 0
        self.inputs: list[onnx.ValueInfoProto] = []
        self.defaults: list[onnx.TensorProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def node(self, kind: str, *inputs: Operand, dtype: Any = None, **attributes: Any) -> Value:
        """A node with one output, of the type of its first input where no other is told."""
        return self.nodes(kind, *inputs, dtypes=[dtype], **attributes)[0]

    def nodes(self, kind: str, *inputs: Operand, dtypes: Sequence[Any], **attributes: Any) -> list[Value]:
        """A node with an output of each type; None is that of the first input."""
        own = next((one.dtype for one in inputs if isinstance(one, Value)), np.dtype(np.float32))
        taken = [self._taken(one, own).name for one in inputs]
        found = [Value(self, self._name(kind), np.dtype(own if dtype is None else dtype)) for dtype in dtypes]
        made = helper.make_node(kind, taken, [one.name for one in found], **attributes)
        self._scopes[-1].nodes.append(made)
        return found

    def constant(self, numbers: Any, dtype: Any) -> Value:
        """Numbers that are known; each is stored once in a graph, and anew in each branch, where engines want it."""
        array = np.asarray(numbers, dtype=dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        constants = self._scopes[-1].constants
        if key not in constants:
            name = self._name("constant")
            self._scopes[-1].tensors[name] = numpy_helper.from_array(array, name)
            constants[key] = name
        return Value(self, constants[key], array.dtype)

    def whole(self, number: Operand) -> Value:
        """``()`` or ``(1,)`` int64."""
        return number.to(np.int64) if isinstance(number, Value) else self.constant(number, np.int64)

    def count_up(self, stop: Operand, start: int = 0) -> Value:
        """``(stop - start,)`` int64 whole numbers."""
        first, step = self.constant(start, np.int64), self.constant(1, np.int64)
        return self.node("Range", first, self.whole(stop), step)

    def where(self, condition: Value, one: Operand, other: Operand) -> Value:
        """The one where the condition holds, else the other."""
        own = next(value.dtype for value in (one, other) if isinstance(value, Value))
        return self.node("Where", condition, self._taken(one, own), self._taken(other, own), dtype=own)

    def smaller(self, *values: Operand) -> Value:
        """The smaller one of each pair."""
        return self.node("Min", *values)

    def larger(self, *values: Operand) -> Value:
        """The larger one of each pair."""
        return self.node("Max", *values)

    def joined(self, values: Sequence[Value], axis: int = 0) -> Value:
        """Side by side along an axis."""
        return values[0] if len(values) == 1 else self.node("Concat", *values, axis=axis)

    def choose(self, condition: Value, then: Callable[[], Value], otherwise: Callable[[], Value]) -> Value:
        """What one of two ways computes, by a condition ``()``; the other one costs nothing."""
        ways = [self._branch(way) for way in (then, otherwise)]
        dtype = ways[0][1]
        return self.node(
            "If", condition, dtype=dtype, then_branch=ways[0][0], else_branch=ways[1][0],
        )  # fmt: skip

    def settled(self, start: Value, step: Callable[[Value], Value]) -> Value:
        """``(1, 1, height, width)`` float32 after as many steps as change something."""
        scope = self._open()
        names = [self._name(what) for what in ("round", "go_on", "state")]
        state = Value(self, names[2], start.dtype)
        after = step(state)
        changes = (abs(after - state).most() > 0).to(bool)
        after, changes = self.node("Identity", after), self.node("Identity", changes)
        self._scopes.pop()
        like = [1, 1, None, None]
        body = scope.proto(
            "body",
            [_typed(names[0], np.int64, []), _typed(names[1], bool, []), _typed(names[2], start.dtype, like)],
            [_typed(changes.name, bool, []), _typed(after.name, start.dtype, like)],
        )
        rounds, go_on = self.constant(UNTIL_DONE, np.int64), self.constant(True, bool)
        return self.node("Loop", rounds, go_on, start, dtype=start.dtype, body=body)

    def network(self, file: Path, key: str, *inputs: Value) -> Value:
        """The answer of a bundle's graph, whose nodes are taken in; its weights are stored once under the key.

        Raises:
            BundleError: It is of another kind than those that Gracile makes.
        """
        model = onnx.load(file)
        versions = [(entry.domain, entry.version) for entry in model.opset_import]
        branches = any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute)
        if versions != [("", OPSET)] or branches or model.functions:
            raise BundleError(
                f"{file} is no graph as Gracile makes them, and is not taken into another.",
                "Make it anew: gracile models upgrade BUNDLE.",
            )
        graph = model.graph
        names = {port.name: value.name for port, value in zip(graph.input, inputs, strict=True)}
        scope = self._scopes[-1]
        for tensor in graph.initializer:
            names[tensor.name] = f"{key}.{tensor.name}"
            own = onnx.TensorProto()
            own.CopyFrom(tensor)
            own.name = names[tensor.name]
            scope.tensors.setdefault(own.name, own)
        for node in graph.node:
            own = onnx.NodeProto()
            own.CopyFrom(node)
            own.name = ""
            own.input[:] = [names.get(name, name) for name in node.input]
            for place, name in enumerate(node.output):
                names[name] = own.output[place] = self._name(node.op_type) if name else ""
            scope.nodes.append(own)
        return Value(self, names[graph.output[0].name], np.dtype(np.float32))

    def takes(self, name: str, dtype: Any, shape: Sequence[int | str], default: np.ndarray | None = None) -> Value:
        """An input; with a default it may be left out."""
        self.inputs.append(_typed(name, dtype, shape))
        if default is not None:
            self.defaults.append(numpy_helper.from_array(default, name))
        return Value(self, name, np.dtype(dtype))

    def gives(self, name: str, value: Value, shape: Sequence[int | str]) -> None:
        """An output of the graph, under its name."""
        self._scopes[0].nodes.append(helper.make_node("Identity", [value.name], [name]))
        self.outputs.append(_typed(name, value.dtype, shape))

    def model(self, name: str, about: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """The whole as a model of ONNX, weights inside."""
        (scope,) = self._scopes
        graph = scope.proto(name, self.inputs, self.outputs)
        graph.initializer.extend(self.defaults)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="gracile",
            doc_string=about,
        )  # fmt: skip
        helper.set_model_props(model, metadata)
        return model

    def _taken(self, one: Operand, dtype: np.dtype) -> Value:
        if isinstance(one, Value):
            return one
        if isinstance(one, np.ndarray):
            return self.constant(one, one.dtype)
        return self.constant(one, np.int64 if isinstance(one, list | tuple) else dtype)

    def _branch(self, way: Callable[[], Value]) -> tuple[onnx.GraphProto, np.dtype]:
        scope = self._open()
        value = self.node("Identity", way())
        self._scopes.pop()
        return scope.proto("branch", [], [_typed(value.name, value.dtype, None)]), value.dtype

    def _open(self) -> "_Scope":
        self._scopes.append(_Scope())
        return self._scopes[-1]

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


class _Scope:
    """What is written of a graph, a branch or a loop."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, TensorProto] = {}
        self.constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def proto(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        used = set(_used(self.nodes))
        tensors = [tensor for key, tensor in self.tensors.items() if key in used]
        return helper.make_graph(self.nodes, name, inputs, outputs, tensors)


def _used(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Names of what nodes take, those in their branches and loops too."""
    for node in nodes:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _used(attribute.g.node)


def _typed(name: str, dtype: Any, shape: Sequence[int | str | None] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
