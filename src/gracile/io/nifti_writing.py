"""Write masks and probabilities as NIfTI with the very header that their image came with.

Nothing but the geometry is carried over, so that names or DICOM remains that programs put into headers and their
extensions never reach an output.
"""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io.atomic import writing
from gracile.io.voxels import times

PROBABILITY_STEP = 2.0**-15
"""What one count of a stored probability is worth: 1 is 32768 counts exactly."""

_BEHIND_HEADER = b"\0\0\0\0"  # no extensions


def write_mask(path: Path | str, mask: np.ndarray, grid: Grid) -> None:
    """Write a mask as ``.nii.gz`` in uint8 on the input's grid, whole or not at all.

    Of an input in NIfTI the sform, the qform, both codes and the unit are kept as they were. Other inputs get their
    affine as both forms with the code 1 (scanner); a sheared one as sform alone.

    Args:
        path: File to write.
        mask: ``(I, J, K)`` bool or integer class indices from 0 to 255.
        grid: Grid of the input.

    Raises:
        DataError: The mask does not fit, or the file cannot be written (full disk).
    """
    mask = np.asarray(mask)
    whole = mask.dtype.kind in "bui"
    if mask.ndim != 3 or not whole or (mask.size and (mask.min() < 0 or mask.max() > 255)):
        raise DataError(f"{path}: a mask is (I, J, K) of class indices from 0 to 255, not {mask.dtype} {mask.shape}.")
    _require_shape(path, mask.shape, grid)
    _write(Path(path), _header_for(grid, np.dtype(np.uint8), 0), [mask.astype(np.uint8)], level=6)


def write_probabilities(path: Path | str, probabilities: np.ndarray, grid: Grid) -> None:
    """Write probability maps as one 4D ``.nii.gz``, a volume for each class, on the input's grid.

    They are stored as uint16 with the scale 2 ** -15, which every reader of NIfTI applies: off by 1.6e-5 at most.

    Args:
        path: File to write.
        probabilities: ``(classes, I, J, K)`` from 0 to 1.
        grid: Grid of the input.

    Raises:
        DataError: The maps do not fit, or the file cannot be written.
    """
    if probabilities.ndim != 4:
        raise DataError(f"{path}: probabilities are (classes, I, J, K), not {probabilities.shape}.")
    _require_shape(path, probabilities.shape[1:], grid)
    header = _header_for(grid, np.dtype(np.uint16), len(probabilities))
    header["scl_slope"], header["scl_inter"] = PROBABILITY_STEP, 0.0
    _write(Path(path), header, (_counts(one) for one in probabilities), level=3)


def write_map(path: Path | str, probability: np.ndarray, grid: Grid) -> None:
    """Write one probability map ``(I, J, K)`` as a 3D ``.nii.gz``, stored as `write_probabilities` does.

    Raises:
        DataError: The map does not fit, or the file cannot be written.
    """
    _require_shape(path, probability.shape, grid)
    header = _header_for(grid, np.dtype(np.uint16), 0)
    header["scl_slope"], header["scl_inter"] = PROBABILITY_STEP, 0.0
    _write(Path(path), header, [_counts(probability)], level=3)


def _counts(probability: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(np.nan_to_num(probability), 0, 1) / PROBABILITY_STEP).astype(np.uint16)


def _require_shape(path: Path | str, shape: tuple[int, ...], grid: Grid) -> None:
    if shape != grid.shape or grid.affine is None:
        raise DataError(f"{path}: a map of {times(shape)} voxels does not lie on a grid of {times(grid.shape)}.")


def _header_for(grid: Grid, dtype: np.dtype, volumes: int) -> Any:
    """A fresh header with the grid's geometry; of one volume without a fourth axis when ``volumes`` is 0."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    forms = grid.nifti
    numbers = (*forms.sform, *forms.quaternion, *forms.offset, *forms.pixdim) if forms is not None else ()
    # NIfTI-1 has single precision and 16 bits for a length.
    fits = max(*grid.shape, volumes) < 2**15 and all(float(np.float32(number)) == number for number in numbers)
    header = Nifti1Header() if fits else Nifti2Header()
    header.set_data_shape((*grid.shape, volumes) if volumes else grid.shape)
    header.set_data_dtype(dtype)
    header["vox_offset"] = int(header["sizeof_hdr"]) + len(_BEHIND_HEADER)
    if forms is None:
        assert grid.affine is not None
        header.set_sform(grid.affine, code=1)
        header.set_qform(grid.affine, code=1 if _is_rigid(grid.affine) else 0, strip_shears=True)
        header["xyzt_units"] = 2
        return header
    for row, start in (("srow_x", 0), ("srow_y", 4), ("srow_z", 8)):
        header[row] = forms.sform[start : start + 4]
    for axis, value in zip("bcd", forms.quaternion, strict=True):
        header[f"quatern_{axis}"] = value
    for axis, value in zip("xyz", forms.offset, strict=True):
        header[f"qoffset_{axis}"] = value
    header["pixdim"][:4] = forms.pixdim
    header["sform_code"], header["qform_code"], header["xyzt_units"] = forms.sform_code, forms.qform_code, forms.unit
    return header


def _is_rigid(affine: np.ndarray) -> bool:
    """Whether the axes stand at right angles, so that a qform can say it."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(cosines.T @ cosines, np.eye(3), atol=1e-4))


def _write(path: Path, header: Any, volumes: Iterable[np.ndarray], level: int) -> None:
    # Without the temporary file's name and the time, so that equal masks are equal files.
    with (
        writing(path) as part,
        part.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=file, mtime=0) as stream,
    ):
        stream.write(header.binaryblock + _BEHIND_HEADER)
        for volume in volumes:
            stream.write(volume.tobytes(order="F"))
