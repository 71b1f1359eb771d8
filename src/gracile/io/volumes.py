"""Volumes of any format as cases: NIfTI, NRRD, MetaImage and DICOM series."""

from pathlib import Path
from typing import Literal

import numpy as np

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io.dicom import dicom_files, is_dicom
from gracile.io.dicom.segmentations import is_segmentation, read_segmentation
from gracile.io.dicom.series import is_enhanced, read_series
from gracile.io.metaimage import metaimage_data_file, read_metaimage
from gracile.io.naming import is_volume_file
from gracile.io.nifti import read_nifti
from gracile.io.nrrd_reading import nrrd_data_file, read_nrrd
from gracile.io.voxels import Voxels, require_bodily_size, times

FourthAxis = Literal["refuse", "first", "mean", "channels"]

_READERS = {
    ".nii": read_nifti, ".nii.gz": read_nifti, ".nrrd": read_nrrd, ".nhdr": read_nrrd, ".mha": read_metaimage,
    ".mhd": read_metaimage,
}  # fmt: skip


def read_volume(path: Path | str, id: str, *, fourth_axis: FourthAxis = "refuse", series: str = "") -> Case:
    """Read a volume as a case: a file, or a folder with a DICOM series, or one file of such.

    The image is ``(1, I, J, K)`` float32, ``(channels, I, J, K)`` where a file's volumes are channels, with its axes in
    the file's order and its values scaled as the file says; the grid's affine leads to RAS+ mm. A single slice has
    ``K = 1``. Voxels that are no numbers become 0. What was changed is in the flags and notes.

    Args:
        path: The file or folder.
        id: Name of the case.
        fourth_axis: What to do with several volumes in one file: refuse them, take the first, their mean, or each as a
            channel.
        series: Number or UID of the DICOM series that is meant, where a folder holds several.

    Raises:
        DataError: The volume cannot be read as one; the message says why, and what can be done.
    """
    path = Path(path)
    voxels = read_voxels(path, series)
    values = _channels(voxels.values) if fourth_axis == "channels" else _three_axes(path, voxels, fourth_axis)[None]
    if values.ndim != 4:
        raise DataError(f"{path} has {values.ndim} axes; a channel has three.", "Export one volume for each channel.")
    with np.errstate(over="ignore"):
        image = np.ascontiguousarray(values, dtype=np.float32)
    wrong = ~np.isfinite(image)
    if wrong.any():
        if not image.flags.writeable or np.may_share_memory(image, voxels.values):
            image = image.copy()
        image[wrong] = 0.0
        voxels.flags.append(f"{int(wrong.sum())} voxels are no numbers (NaN or infinite): set to 0")
    grid = Grid(image.shape[1:], voxels.affine, nifti=voxels.nifti)
    return Case(id, image, grid, source=path, flags=voxels.flags, notes=voxels.notes)


def read_voxels(path: Path, series: str = "") -> Voxels:
    """Read a volume as its file has it, whatever its format. Raises DataError, also for a size that no body has."""
    voxels = _read(path, series)
    require_bodily_size(path, voxels.values.shape, voxels.affine)
    return voxels


def _read(path: Path, series: str) -> Voxels:
    if path.is_dir():
        return read_series(path, series)
    if not is_volume_file(path) and is_dicom(path):
        return read_segmentation(path) if is_segmentation(path) else read_series(path, series)
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link to a file that is not there.", "Fetch it: git annex get, or datalad get.")
    if not path.exists():
        raise DataError(f"There is no file {path}.", "Check the name.")
    suffix = next((suffix for suffix in _READERS if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise DataError(f"{path} is no volume.", f"Readable are DICOM series and {', '.join(_READERS)}.")
    return _READERS[suffix](path)


def volume_parts(path: Path) -> list[Path]:
    """All files that a volume is read from, so that a change of any shows; raises DataError where one is missing."""
    name = path.name.lower()
    if path.is_dir():
        return dicom_files(path, nested=True)
    if name.endswith((".nhdr", ".mhd")):
        data = nrrd_data_file(path) if name.endswith(".nhdr") else metaimage_data_file(path)
        return [path, data] if data != path else [path]
    if not is_volume_file(path) and is_dicom(path):
        return [path] if is_segmentation(path) or is_enhanced(path) else dicom_files(path.parent)
    return [path]


def is_volume(path: Path) -> bool:
    """Whether a path is a volume by its name, or a folder with DICOM files."""
    return is_volume_file(path) or bool(path.is_dir() and dicom_files(path))


def _channels(values: np.ndarray) -> np.ndarray:
    """``(I, J, K, channels)`` to ``(channels, I, J, K)``; NIfTI has vectors along a fifth axis, after one time."""
    if values.ndim == 5 and values.shape[3] == 1:
        values = values[:, :, :, 0]
    return values[None] if values.ndim == 3 else np.moveaxis(values, -1, 0)


def _three_axes(path: Path, voxels: Voxels, fourth_axis: FourthAxis) -> np.ndarray:
    values, size = voxels.values, voxels.values.shape[:3]
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 3:
        if voxels.values.ndim > 3:
            voxels.notes.append("its fourth axis, of length 1, was dropped")
        return values
    if values.ndim > 4:
        raise DataError(
            f"{path} has {values.ndim} axes ({times(values.shape)}): several values per voxel.",
            "Export the volume with its three axes.",
        )
    count = values.shape[3]
    if fourth_axis == "refuse":
        raise DataError(
            f"{path} is 4D: {count} volumes of {times(size)} voxels.",
            "Export the one that is meant. Or take the first with --set input.fourth_axis=first, their mean with "
            "--set input.fourth_axis=mean. Where they are channels of one image, set "
            "input.channels to their number and input.fourth_axis to channels.",
        )
    if fourth_axis == "first":
        voxels.notes.append(f"the first of {count} volumes was taken")
        return values[..., 0]
    voxels.notes.append(f"the mean of {count} volumes was taken")
    with np.errstate(invalid="ignore", over="ignore"):
        return values.mean(axis=3, dtype=np.float64)
