"""Read MetaImage volumes: ``.mha``, and ``.mhd`` with its data file beside it.

Of the format's fields (itk.org/Wiki/ITK/MetaIO/Documentation) those are read that ITK, 3D Slicer and elastix write.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from gracile.errors import DataError
from gracile.io.voxels import (
    COPY_AGAIN,
    Voxels,
    opened,
    read_samples,
    refuse_color,
    require_affine,
    require_true_size,
    unpacked,
)

_TYPES = {
    "CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i8",
    "ULONG": "u8", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8",
}  # fmt: skip
_LONGEST_HEADER = 64 * 1024
_AXES = (3, 4)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_metaimage(path: Path) -> Voxels:
    """Read a MetaImage file, compressed or not, of either byte order; its LPS coordinates become RAS+.

    Raises:
        DataError: The file or its data file is absent or damaged, claims more than it holds, holds colors or text, or
            its affine is no place in space.
    """
    with opened(path) as (stream, _):
        fields, end = _read_fields(path, stream)
    shape, dtype = _shape(path, fields), _data_type(path, fields)
    data, offset = data_file(path, fields["ElementDataFile"], end), end
    if data != path:
        offset = int(fields.get("HeaderSize", "0") or 0)
    values = _read_values(path, data, offset, fields, dtype, shape)
    affine = _affine(path, fields, len(shape))
    return Voxels(values, affine)


def data_file(path: Path, named: str, end: int = 0) -> Path:
    """The file that holds the voxels of a header's file. Raises DataError when it is absent or several."""
    if named.upper() == "LOCAL":
        return path
    if named.upper().startswith("LIST") or "%" in named:
        raise DataError(f"{path} names a file for each slice.", "Export it as one file, .mha or .nii.gz.")
    data = path.parent / named
    if not data.is_file():
        raise DataError(f"{path} names its data file {named}, which is not beside it.", "Copy both files together.")
    return data


def metaimage_data_file(path: Path) -> Path:
    """The file that holds the voxels of a MetaImage header. Raises DataError."""
    with opened(path) as (stream, _):
        return data_file(path, _read_fields(path, stream)[0]["ElementDataFile"])


def _read_fields(path: Path, stream: BinaryIO) -> tuple[dict[str, str], int]:
    """The header's fields and where it ends; the field ElementDataFile is its last."""
    fields: dict[str, str] = {}
    while stream.tell() < _LONGEST_HEADER:
        line = stream.readline(_LONGEST_HEADER)
        name, equals, value = line.decode("latin-1").partition("=")
        if not equals:
            break
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            return fields, stream.tell()
    raise DataError(f"{path} is no MetaImage file, or its header is cut off.", COPY_AGAIN)


def _shape(path: Path, fields: dict[str, str]) -> tuple[int, ...]:
    shape = tuple(int(number) for number in _numbers(path, fields, ("DimSize",)))
    if len(shape) not in _AXES:
        raise DataError(f"{path} has {len(shape)} axes: it is no volume.", "Export the volume with its three axes.")
    if fields.get("NDims", str(len(shape))) != str(len(shape)):
        raise DataError(f"{path} contradicts itself on its number of axes.", COPY_AGAIN)
    return shape


def _data_type(path: Path, fields: dict[str, str]) -> np.dtype:
    name = fields.get("ElementType", "").removeprefix("MET_")
    if fields.get("ElementNumberOfChannels", "1") != "1" or name.endswith("_ARRAY"):
        refuse_color(path, "colors or vectors")
    if name not in _TYPES:
        raise DataError(f"{path} holds numbers of an unknown type.", COPY_AGAIN)
    swapped = _is_true(fields, "BinaryDataByteOrderMSB") or _is_true(fields, "ElementByteOrderMSB")
    return np.dtype(_TYPES[name]).newbyteorder(">" if swapped else "<")


def _read_values(
    path: Path, data: Path, offset: int, fields: dict[str, str], dtype: np.dtype, shape: tuple[int, ...]
) -> np.ndarray:
    if not _is_true(fields, "BinaryData", default=True):
        raise DataError(f"{path} holds its voxels as text.", "Export it with binary data.")
    packed = _is_true(fields, "CompressedData")
    try:
        with data.open("rb") as file:
            if offset == -1:  # by the format: the voxels are the file's last bytes
                offset = data.stat().st_size - int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            stored = data.stat().st_size - max(offset, 0)
            require_true_size(path, shape, dtype.itemsize, stored, compressed=packed)
            file.seek(max(offset, 0))
            return read_samples(path, unpacked(file, "zlib" if packed else "raw"), dtype, shape)
    except OSError as error:
        raise DataError(f"{data} cannot be opened: {error.strerror or error}.", "Check the name and rights.") from error


def _affine(path: Path, fields: dict[str, str], axes: int) -> np.ndarray:
    """To RAS+ mm. ``TransformMatrix`` has a row for each axis of the array."""
    directions = np.eye(axes)
    if {"TransformMatrix", "Rotation", "Orientation"} & fields.keys():
        directions = _numbers(path, fields, ("TransformMatrix", "Rotation", "Orientation"), axes * axes)
        directions = directions.reshape(axes, axes)
    offset = np.zeros(axes)
    if {"Offset", "Position", "Origin"} & fields.keys():
        offset = _numbers(path, fields, ("Offset", "Position", "Origin"), axes)
    spacing = np.ones(axes)
    if {"ElementSpacing", "ElementSize"} & fields.keys():
        spacing = _numbers(path, fields, ("ElementSpacing", "ElementSize"), axes)
    affine = np.eye(4)
    affine[:3, :3] = directions[:3, :3].T * spacing[:3]
    affine[:3, 3] = offset[:3]
    affine = _LPS_TO_RAS @ affine
    require_affine(path, affine, "Correct TransformMatrix and ElementSpacing in its header.")
    return affine


def _numbers(path: Path, fields: dict[str, str], names: tuple[str, ...], count: int = 0) -> np.ndarray:
    """The numbers of the first of several names that a field goes by."""
    text = next((fields[name] for name in names if name in fields), "")
    try:
        numbers = np.array([float(part) for part in text.split()])
    except ValueError:
        numbers = np.array([])
    if not len(numbers) or (count and len(numbers) != count):
        raise DataError(f"{path} has no valid {names[0]}.", COPY_AGAIN)
    return numbers


def _is_true(fields: dict[str, str], name: str, *, default: bool = False) -> bool:
    return fields.get(name, str(default)).strip().lower() in ("true", "t", "1", "yes")
