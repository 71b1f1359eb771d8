"""Read NIfTI volumes: voxels, and where they lie by the header's own words. Headers are parsed by nibabel."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gracile.errors import DataError
from gracile.geometry import NiftiForms
from gracile.io.voxels import (
    COPY_AGAIN,
    Voxels,
    opened,
    read_samples,
    refuse_color,
    require_affine,
    require_true_size,
)

_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
_EXTENSION_FLAGS = 4
_SINGLE_FILE = (b"n+1", b"n+2")
_PAIR = (b"ni1", b"ni2")


def read_nifti(path: Path) -> Voxels:
    """Read a NIfTI-1 or NIfTI-2 file, plain or compressed, of either byte order.

    The affine is the sform's, else the qform's, else (both codes 0) nibabel's from the voxel sizes alone. Lengths in
    meters or micrometers become mm. ``scl_slope`` and ``scl_inter`` are applied.

    Raises:
        DataError: The file is no NIfTI, is damaged, claims more than it holds, holds colors or complex numbers, or its
            affine is no place in space.
    """
    with opened(path) as (stream, compressed):
        header = _read_header(path, stream)
        shape = tuple(int(length) for length in header["dim"][1 : 1 + int(header["dim"][0])])
        dtype = _data_type(path, header)
        if not np.isfinite(header["vox_offset"]):
            raise DataError(f"{path} is damaged: its header does not say where its voxels begin.", COPY_AGAIN)
        offset = max(int(header["vox_offset"]), int(header["sizeof_hdr"]) + _EXTENSION_FLAGS)
        stored = path.stat().st_size - (0 if compressed else offset)
        require_true_size(path, shape, dtype.itemsize, stored, compressed=compressed)
        stream.seek(offset)
        values = read_samples(path, stream, dtype, shape)
    slope, inter = _scaling(path, header)
    if (slope, inter) != (1.0, 0.0):
        exact = np.float32 if dtype.itemsize <= 2 else np.float64
        values = values * exact(slope) + exact(inter)
    flags: list[str] = []
    notes: list[str] = []
    affine, forms = _place(path, header, flags, notes)
    if len(shape) < 3:
        values = values.reshape(*shape, *[1] * (3 - len(shape)))
    return Voxels(values, affine, forms, flags, notes)


@contextmanager
def _quiet() -> Iterator[None]:
    """nibabel's remarks on headers that it mends; what matters of them is in the notes."""
    log = logging.getLogger("nibabel.global")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _read_header(path: Path, stream: BinaryIO) -> Any:
    """The header without its extensions, checked for what nibabel takes on trust."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    block = stream.read(4)
    version = {348: Nifti1Header, 540: Nifti2Header}
    sizes = [int.from_bytes(block, "little"), int.from_bytes(block, "big")]
    kind = next((version[size] for size in sizes if size in version), None)
    if kind is None:
        raise DataError(f"{path} is no NIfTI file.", "Export it as NIfTI (.nii.gz).")
    block += stream.read(kind.template_dtype.itemsize - 4)
    if len(block) < kind.template_dtype.itemsize:
        raise DataError(f"{path} is truncated: it ends within its header.", COPY_AGAIN)
    with _quiet():
        header = kind(block, check=False)
    magic = bytes(header["magic"])[:3]
    if magic in _PAIR:
        raise DataError(f"{path} is the header of a pair of files.", "Convert the pair to one .nii.gz.")
    if magic not in _SINGLE_FILE:
        raise DataError(f"{path} is no NIfTI file (Analyze, or damaged).", "Export it as NIfTI (.nii.gz).")
    if not 1 <= int(header["dim"][0]) <= 7:
        raise DataError(f"{path} claims {int(header['dim'][0])} axes.", COPY_AGAIN)
    if int(header["dim"][0]) == 1:
        raise DataError(f"{path} has one axis: it is no volume.", "Choose the file of an image.")
    return header


def _data_type(path: Path, header: Any) -> np.dtype:
    from nibabel.spatialimages import HeaderDataError

    try:
        dtype = np.dtype(header.get_data_dtype())
    except (HeaderDataError, KeyError):
        raise DataError(f"{path} holds numbers of an unknown type.", COPY_AGAIN) from None
    if dtype.fields is not None:
        refuse_color(path, "colors")
    if dtype.kind not in "uif":
        refuse_color(path, "complex numbers" if dtype.kind == "c" else f"{dtype} values")
    return dtype


def _scaling(path: Path, header: Any) -> tuple[float, float]:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):  # by the standard: there is no scaling
        return 1.0, 0.0
    if not np.isfinite(inter):
        raise DataError(f"{path} scales its values by {slope} and {inter}.", COPY_AGAIN)
    return slope, inter


def _place(path: Path, header: Any, flags: list[str], notes: list[str]) -> tuple[np.ndarray, NiftiForms]:
    """The affine to RAS+ mm and the header's own words for it."""
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    _mend_sizes(header)
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM_PER_UNIT:
        unit = 2
    qform = _qform(header)
    if sform_code != 0:
        affine = np.array(header.get_sform(), dtype=float)
        if qform_code != 0 and qform is not None:
            _compare(header, affine, qform, flags)
    elif qform_code != 0:
        if qform is None:
            raise DataError(f"{path} has a qform that is no rotation.", "Set its qform anew, or its sform.")
        affine = qform
    else:
        affine = _from_sizes(header)
        flags.append(
            "the header does not say how it lies in the patient (sform and qform codes are 0): taken as left, "
            "anterior, superior from the voxel sizes; left and right may be swapped"
        )
    scale = _MM_PER_UNIT[unit]
    if scale != 1.0:
        affine = np.diag([scale, scale, scale, 1.0]) @ affine
        notes.append(f"lengths in {'meters' if unit == 1 else 'micrometers'} were converted to mm")
    which = "sform" if sform_code else "qform" if qform_code else "voxel sizes"
    require_affine(path, affine, f"Its {which} must be mended; where another of sform and qform is right, copy that.")
    forms = NiftiForms(
        sform=tuple(float(v) for row in ("srow_x", "srow_y", "srow_z") for v in header[row]),
        sform_code=sform_code,
        quaternion=tuple(float(header[f"quatern_{axis}"]) for axis in "bcd"),
        offset=tuple(float(header[f"qoffset_{axis}"]) for axis in "xyz"),
        pixdim=tuple(float(v) for v in header["pixdim"][:4]),
        qform_code=qform_code,
        unit=unit,
    )
    return affine, forms


def _mend_sizes(header: Any) -> None:
    """Give the qform what old programs leave out: its handedness, positive sizes, and the size of a missing axis."""
    pixdim = header["pixdim"]
    if float(pixdim[0]) not in (-1.0, 1.0):
        pixdim[0] = 1.0
    pixdim[1:4] = np.abs(pixdim[1:4])
    for axis in range(int(header["dim"][0]) + 1, 4):
        if not pixdim[axis] > 0:
            pixdim[axis] = 1.0


def _qform(header: Any) -> np.ndarray | None:
    """The qform whatever its code, or None when its quaternion is none."""
    from nibabel.spatialimages import HeaderDataError

    try:
        return np.array(header.get_qform(), dtype=float)
    except (HeaderDataError, ValueError):
        return None


def _from_sizes(header: Any) -> np.ndarray:
    from nibabel.spatialimages import shape_zoom_affine

    shape = [int(length) for length in header["dim"][1:4]]
    rank = min(int(header["dim"][0]), 3)
    lengths = shape[:rank] + [1] * (3 - rank)
    return shape_zoom_affine(lengths, [float(v) for v in header["pixdim"][1:4]])


def _compare(header: Any, sform: np.ndarray, qform: np.ndarray, flags: list[str]) -> None:
    """Flag when sform and qform put a corner of the volume more than half a voxel apart."""
    rank = min(int(header["dim"][0]), 3)
    shape = [int(length) for length in header["dim"][1 : 1 + rank]] + [1] * (3 - rank)
    corner = np.array([*(length - 1 for length in shape), 1.0])
    apart = max(float(np.linalg.norm((sform - qform)[:3] @ point)) for point in (corner, np.array([0.0, 0, 0, 1])))
    if apart > 0.5 * float(min(header["pixdim"][1:4])):
        flags.append(f"sform and qform lie up to {apart:.2f} mm apart; the sform was taken")
