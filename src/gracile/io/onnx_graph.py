"""Which bytes of other files an ONNX graph asks for, told without the library of ONNX.

A graph is a protocol buffer: fields with a number, of which those with a message inside are looked into. Only what may
name another file is understood here; whether the graph can be computed is for an engine to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gracile.errors import DataError

EXTERNAL = 1
"""``TensorProto.DataLocation`` of values that lie in another file."""

DEEPEST = 40
"""Messages within messages; graphs of networks have about six."""

DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32",
    13: "U64", 16: "BF16",
}  # fmt: skip
"""ONNX's number formats by the name that safetensors give them."""

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Messages that may hold values, by the number of their field (onnx.proto3)."""


@dataclass
class ExternalTensor:
    """Values of a graph that lie in another file.

    Args:
        name: In the graph.
        dtype: As safetensors name it; empty where they have no such format.
        shape: Of the values.
        entries: What the graph says of the place: ``location``, ``offset`` and ``length``.
    """

    name: str = ""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    entries: dict[str, str] = field(default_factory=dict)


def external_tensors(content: bytes) -> list[ExternalTensor]:
    """Everything in a serialized graph that names another file, wherever it stands. Raises DataError when damaged."""
    try:
        return list(_within(memoryview(content), "model", 0))
    except (ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{error}") from None


def _within(message: memoryview, kind: str, depth: int) -> Iterator[ExternalTensor]:
    if depth > DEEPEST:
        raise ValueError("its parts lie too deep within each other")
    if kind == "tensor":
        yield from _tensor(message)
        return
    inside = _INSIDE[kind]
    for number, value in _fields(message):
        if number in inside and isinstance(value, memoryview):
            yield from _within(value, inside[number], depth + 1)


def _tensor(message: memoryview) -> Iterator[ExternalTensor]:
    found, external, shape = ExternalTensor(), False, []
    for number, value in _fields(message):
        if number == 1:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 2 and isinstance(value, int):
            found.dtype = DTYPES.get(value, "")
        elif number == 8 and isinstance(value, memoryview):
            found.name = bytes(value).decode()
        elif number == 13 and isinstance(value, memoryview):
            external = True
            entry = {n: bytes(v).decode() for n, v in _fields(value) if isinstance(v, memoryview)}
            if entry.get(1, "") in found.entries:
                raise ValueError(f"{found.name} names two places")
            found.entries[entry.get(1, "")] = entry.get(2, "")
        elif number == 14:
            external |= value == EXTERNAL
    found.shape = tuple(shape)
    if external:
        yield found


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an integer, or bytes of some length; others are passed by."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(message, place)
            yield number, value
        elif wire == 2:
            length, place = _varint(message, place)
            if place + length > len(message):
                raise ValueError("it ends too early")
            yield number, message[place : place + length]
            place += length
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        else:
            raise ValueError("it is no ONNX graph")
    if place > len(message):
        raise ValueError("it ends too early")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it ends too early")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is no ONNX graph")


def _varints(message: memoryview) -> Iterator[int]:
    place = 0
    while place < len(message):
        value, place = _varint(message, place)
        yield value
