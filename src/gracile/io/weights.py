"""Weights as safetensors hold them, as arrays; and where in such a file each of them lies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from gracile.errors import DataError

Weights = dict[str, np.ndarray]

DTYPES: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
"""Number formats that numpy has, by the name that a file gives them."""


def array_of(value: Any) -> np.ndarray:
    """A weight as an array, C-contiguous, from an array or a tensor; bfloat16 becomes float32, which loses nothing."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return np.asarray(value, order="C")


def weights_content(weights: Mapping[str, Any]) -> bytes:
    """The safetensors file of weights; equal weights give equal bytes."""
    return save({name: array_of(value) for name, value in weights.items()})


def read_weights(content: bytes) -> Weights:
    """The arrays of a safetensors file, read-only; bfloat16, which numpy lacks, as float32.

    Raises:
        DataError: It is no such file, damaged, or holds a number format that is not known.
    """
    try:
        return {name: _array(name, entry) for name, entry in deserialize(content)}
    except (SafetensorError, ValueError) as error:
        raise DataError(f"{error}") from None


def _array(name: str, entry: Mapping[str, Any]) -> np.ndarray:
    kind, shape = entry["dtype"], entry["shape"]
    if kind == "BF16":
        halves = np.frombuffer(entry["data"], dtype="<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(shape)
    if kind not in DTYPES:
        raise DataError(f"{name} is stored as {kind}, which cannot be read")
    return np.frombuffer(entry["data"], dtype=DTYPES[kind]).reshape(shape)


@dataclass(frozen=True)
class Stored:
    """Where a weight lies in its file.

    Args:
        dtype: As safetensors name it, such as ``F32``.
        shape: Of the weight.
        offset: Of its first byte in the file.
        length: Its bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def stored_weights(content: bytes) -> dict[str, Stored]:
    """Where each weight of a safetensors file lies, which `read_weights` has read before."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            found[name] = Stored(entry["dtype"], tuple(entry["shape"]), start + begin, end - begin)
    return found


def with_values(content: bytes, values: Mapping[str, float | np.ndarray]) -> bytes:
    """A safetensors file in which some weights have other values, and all keep their place.

    Args:
        content: The file, which `read_weights` has read before.
        values: By name, of the same number and kind as before: float32.

    Raises:
        DataError: There is no such weight, or it is another number of values.
    """
    stored, changed = stored_weights(content), bytearray(content)
    for name, value in values.items():
        place, written = stored.get(name), np.asarray(value, dtype="<f4").tobytes()
        if place is None or place.dtype != "F32" or place.length != len(written):
            raise DataError(f"The weights have no {name!r} of that size.", "Use the bundle of another model.")
        changed[place.offset : place.offset + place.length] = written
    return bytes(changed)
