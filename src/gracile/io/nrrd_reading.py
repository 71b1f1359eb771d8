"""Read NRRD volumes: ``.nrrd``, and ``.nhdr`` with its data file beside it. Headers are parsed by pynrrd."""

from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.metaimage import data_file
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

_NAMES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_TYPES = {name: code for code, names in _NAMES.items() for name in names}
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0), "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0), "las": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0), "lps": (-1.0, -1.0, 1.0),
}  # fmt: skip
_UNSAID = "the file does not name its space: taken as left-posterior-superior, as ITK does"
_COLORS = ("color", "vector", "matrix", "complex", "quaternion", "normal", "gradient")


def read_nrrd(path: Path) -> Voxels:
    """Read an NRRD file: raw, gzip or bzip2, of either byte order; its own space becomes RAS+.

    Raises:
        DataError: The file or its data file is absent or damaged, claims more than it holds, holds colors or text, or
            its affine is no place in space.
    """
    header, end = _read_header(path)
    shape = tuple(int(length) for length in header["sizes"])
    dtype = _data_type(path, header)
    encoding = _ENCODINGS.get(str(header.get("encoding", "")).lower())
    if encoding is None:
        raise DataError(f"{path} holds its voxels as text.", "Export it with the encoding raw or gzip.")
    data = _data_file(path, header)
    values = _read_values(path, data, end if data == path else 0, header, encoding, dtype, shape)
    spatial, others = _axes(path, header, len(shape))
    values = values.transpose(*spatial, *others)
    flags: list[str] = []
    return Voxels(values, _affine(path, header, spatial, flags), flags=flags)


def nrrd_data_file(path: Path) -> Path:
    """The file that holds the voxels of an NRRD header: itself, or the one that it names. Raises DataError."""
    return _data_file(path, _read_header(path)[0])


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The fields, and where the voxels begin behind them."""
    import nrrd

    with opened(path) as (stream, _):
        if stream.read(4) != b"NRRD":
            raise DataError(f"{path} is no NRRD file.", "Export it as NIfTI (.nii.gz).")
        stream.seek(0)
        try:
            header = dict(nrrd.read_header(stream))
            axes = int(header["dimension"])
            sizes = np.asarray(header["sizes"], dtype=np.int64)
        except MemoryError:
            raise
        except Exception:  # whatever pynrrd meets in a damaged header
            raise DataError(f"{path} has a damaged header.", COPY_AGAIN) from None
        _require_consistent(path, header, sizes, axes)
        return header, stream.tell()


def _require_consistent(path: Path, header: dict[str, Any], sizes: np.ndarray, axes: int) -> None:
    """Raise DataError where fields differ in their number of axes, or name places by fewer than three numbers."""
    directions, origin = header.get("space directions"), header.get("space origin")
    others = [one for one in (header.get("kinds"), header.get("spacings"), directions) if one is not None]
    if any(len(one) != axes for one in (sizes, *others)):
        raise DataError(f"{path} contradicts itself on its number of axes.", COPY_AGAIN)
    lengths = [_vectors(directions).shape[1]] if directions is not None else []
    lengths += [len(origin)] if origin is not None else []
    if min(lengths, default=3) < 3:
        raise DataError(f"{path} lies in a space of fewer than three axes.", "Export the volume with its three axes.")


def _data_file(path: Path, header: dict[str, Any]) -> Path:
    named = header.get("data file", header.get("datafile"))
    if named is None:
        return path
    return data_file(path, named if isinstance(named, str) else "LIST")


def _data_type(path: Path, header: dict[str, Any]) -> np.dtype:
    code = _TYPES.get(str(header.get("type", "")).lower())
    if code is None:
        raise DataError(f"{path} holds numbers of an unknown type.", COPY_AGAIN)
    return np.dtype(code).newbyteorder(">" if str(header.get("endian", "little")).lower() == "big" else "<")


def _read_values(
    path: Path, data: Path, offset: int, header: dict[str, Any], encoding: str, dtype: np.dtype, shape: tuple[int, ...]
) -> np.ndarray:
    lines = int(header.get("line skip", header.get("lineskip", 0)))
    skip = int(header.get("byte skip", header.get("byteskip", 0)))
    try:
        with data.open("rb") as file:
            file.seek(offset)
            for _ in range(lines):
                file.readline()
            size = data.stat().st_size
            if skip == -1 and encoding == "raw":  # by the format: the voxels are the file's last bytes
                file.seek(max(size - int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, 0))
            packed = encoding != "raw"
            if encoding != "bzip2":  # which has no largest ratio
                require_true_size(path, shape, dtype.itemsize, size - file.tell(), compressed=packed)
            else:
                require_true_size(path, shape, dtype.itemsize, 2**62, compressed=False)
            stream = unpacked(file, encoding)
            if skip > 0:
                stream.read(skip)
            return read_samples(path, stream, dtype, shape)
    except OSError as error:
        raise DataError(f"{data} cannot be opened: {error.strerror or error}.", "Check the name and rights.") from error


def _axes(path: Path, header: dict[str, Any], count: int) -> tuple[list[int], list[int]]:
    """Which axes run through space, and which other one there is."""
    kinds = [str(kind).lower() for kind in header.get("kinds") or ["???"] * count]
    if any(color in kind for kind in kinds for color in _COLORS):
        refuse_color(path, "colors or vectors")
    directions = header.get("space directions")
    if directions is None:
        spatial = [axis for axis in range(count) if kinds[axis] in ("???", "domain", "space")][:3]
    else:
        vectors = _vectors(directions)
        spatial = [axis for axis in range(count) if np.isfinite(vectors[axis]).all() and vectors[axis][:3].any()]
    others = [axis for axis in range(count) if axis not in spatial]
    if len(spatial) != 3 or len(others) > 1:
        raise DataError(
            f"{path} has {len(spatial)} axes in space and {len(others)} others: it is no volume.",
            "Export the volume with its three axes.",
        )
    return spatial, others


def _vectors(directions: Any) -> np.ndarray:
    """``(axes, dimensions)`` of the space directions, NaN where an axis has none."""
    rows = [np.asarray(row, dtype=float).ravel() if row is not None else np.array([np.nan]) for row in directions]
    longest = max(len(row) for row in rows)
    return np.stack([row if len(row) == longest else np.full(longest, np.nan) for row in rows])


def _affine(path: Path, header: dict[str, Any], spatial: list[int], flags: list[str]) -> np.ndarray:
    affine = np.eye(4)
    directions, origin = header.get("space directions"), header.get("space origin")
    if directions is not None:
        affine[:3, :3] = _vectors(directions)[spatial, :3].T
    elif header.get("spacings") is not None:
        affine[:3, :3] = np.diag(np.asarray(header["spacings"], dtype=float)[spatial])
    if origin is not None:
        affine[:3, 3] = np.asarray(origin, dtype=float)[:3]
    space = str(header.get("space", "")).lower().removesuffix("-time")
    if space and space not in _TO_RAS:
        raise DataError(f"{path} lies in the space {space!r}, which is none of the patient's.", "Name its RAS or LPS.")
    if not space:
        flags.append(_UNSAID)
    affine = np.diag([*_TO_RAS.get(space, (-1.0, -1.0, 1.0)), 1.0]) @ affine
    require_affine(path, affine, "Correct the space directions in its header.")
    return affine
