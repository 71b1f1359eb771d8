"""Volumes written by other programs' libraries, for the tests of what reads them."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from scipy.spatial.transform import Rotation

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""RAS to LPS and back."""

PATIENT = {"PatientName": "Doe^Jane", "PatientID": "MRN-4711", "PatientBirthDate": "19700101"}
"""What must never come out again."""


@st.composite
def oblique_affines(draw: st.DrawFn) -> np.ndarray:
    """Affines to RAS+ mm: any rotation, order and direction of axes, voxels of 0.3 to 9 mm."""
    angles = [draw(st.floats(-180, 180)) for _ in range(3)]
    spacing = [draw(st.floats(0.3, 9.0)) for _ in range(3)]
    axes = draw(st.permutations(range(3)))
    signs = [draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()[:, axes] * signs * spacing
    affine[:3, 3] = [draw(st.floats(-300, 300)) for _ in range(3)]
    return affine


def marked(shape: tuple[int, int, int], voxel: tuple[int, int, int]) -> np.ndarray:
    """int16 noise below 100 with one voxel of 1000."""
    values = np.random.default_rng(0).integers(0, 100, shape).astype(np.int16)
    values[voxel] = 1000
    return values


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray | None, **header: object) -> Path:
    """By nibabel; header fields are set last, on the disk's bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, affine)
    if affine is not None:
        image.set_qform(affine, 1)
        image.set_sform(affine, 1)
        image.header.set_xyzt_units("mm")
    for name, value in header.items():
        image.header[name] = value
    image.update_header = lambda: None  # type: ignore[method-assign]
    nib.save(image, path)
    return path


def write_itk(path: Path, values: np.ndarray, affine: np.ndarray, *, compress: bool = False) -> Path:
    """By SimpleITK, in the format that the suffix names."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose()))
    to_lps = LPS @ affine
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(to_lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), compress)
    return path


def write_series(
    folder: Path, values: np.ndarray, affine: np.ndarray, *, series: str = "", number: int = 1, first: int = 0, **tags
) -> Path:
    """A DICOM series of ``(columns, rows, slices)`` values, a file for each slice, in an order that tells nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    to_lps = LPS @ affine
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    cosines = to_lps[:3, :3] / spacing
    series = series or generate_uid()
    shared = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(), "Modality": "MR"}
    for index in range(values.shape[2]):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
        dataset.SeriesInstanceUID, dataset.SeriesNumber = series, number
        dataset.InstanceNumber = first + (index * 7) % values.shape[2] + 1
        dataset.Columns, dataset.Rows = values.shape[:2]
        dataset.ImagePositionPatient = [decimal(v) for v in to_lps[:3, 3] + index * to_lps[:3, 2]]
        dataset.ImageOrientationPatient = [decimal(v) for v in (*cosines[:, 0], *cosines[:, 1])]
        dataset.PixelSpacing = [decimal(spacing[1]), decimal(spacing[0])]
        dataset.SliceThickness = decimal(spacing[2])
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
        dataset.PixelRepresentation = 1
        dataset.PixelData = values[:, :, index].astype("<i2").tobytes(order="F")
        for name, value in {**PATIENT, **shared, **tags}.items():
            setattr(dataset, name, value)
        name = f"{'ba'[index % 2]}{first + index:03d}.dcm"
        dataset.save_as(folder / name, enforce_file_format=True)
    return folder


def decimal(value: float) -> str:
    """A decimal string of DICOM: sixteen characters at most."""
    return f"{value:.9g}"[:16] if abs(value) > 1e-4 else f"{value:.9f}"


FORMATS: dict[str, Callable[[Path, np.ndarray, np.ndarray], Path]] = {
    "nii": lambda folder, *volume: write_nifti(folder / "a.nii", *volume),
    "nii.gz": lambda folder, *volume: write_nifti(folder / "a.nii.gz", *volume),
    "nrrd": lambda folder, *volume: write_itk(folder / "a.nrrd", *volume),
    "nrrd, packed": lambda folder, *volume: write_itk(folder / "b.nrrd", *volume, compress=True),
    "nhdr": lambda folder, *volume: write_itk(folder / "a.nhdr", *volume),
    "mha": lambda folder, *volume: write_itk(folder / "a.mha", *volume),
    "mha, packed": lambda folder, *volume: write_itk(folder / "b.mha", *volume, compress=True),
    "mhd": lambda folder, *volume: write_itk(folder / "c.mhd", *volume),
    "mhd, packed": lambda folder, *volume: write_itk(folder / "d.mhd", *volume, compress=True),
    "DICOM": lambda folder, *volume: write_series(folder / "series", *volume),
}
"""What writes each format that is read: ``(folder, values, affine)`` to the file or folder."""


def write_in_all_formats(folder: Path, values: np.ndarray, affine: np.ndarray) -> dict[str, Path]:
    """The same volume as every format that is read."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: write(folder, values, affine) for name, write in FORMATS.items()}
