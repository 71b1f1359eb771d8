"""Small DICOM objects for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def image(pixels: np.ndarray, photometric: str = "MONOCHROME2", *, signed: bool = False, **tags: Any) -> Dataset:
    """A secondary capture of ``(rows, columns)``, ``(rows, columns, 3)`` or, with NumberOfFrames, a stack of these."""
    frames = int(tags.get("NumberOfFrames", 0))
    shape = pixels.shape[1:] if frames else pixels.shape
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if len(shape) == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    bits = 8 * pixels.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    content = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = content + bytes(len(content) % 2)
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def compressed(dataset: Dataset, frames: bytes | list[bytes], syntax: str, **tags: Any) -> Dataset:
    """The same image with its only frame, or all of them, as another program compressed them."""
    frames = [frames] if isinstance(frames, bytes) else frames
    dataset.PixelData = encapsulate([frame + bytes(len(frame) % 2) for frame in frames])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def written(path: Path, dataset: Dataset) -> Path:
    """Write an object with preamble and meta information."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def bare(path: Path, dataset: Dataset, *, implicit: bool = True, little: bool = True) -> Path:
    """Write a data set alone, as some old programs do: no preamble, no meta information."""
    plain = Dataset()
    plain.update({element.tag: element for element in dataset})
    pydicom.dcmwrite(path, plain, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    return path
