"""DICOM pictures give their pixels and the size of these, and nothing of the patient."""

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

from gracile.errors import DataError
from gracile.io import read_case_file, read_image, read_labels, read_region
from gracile.io.dicom import is_dicom
from gracile.io.dicom.pictures import read_dicom
from gracile.recipe import ClassSpec

NAME = "Doe^Jane"


def us_region(box=(10, 5, 49, 34), delta=(0.008, 0.01), units=3, spatial_format=1) -> Dataset:
    """A region with box (left, top, right, bottom), its ends included, and (x, y) deltas."""
    item = Dataset()
    left, top, right, bottom = box
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta
    item.RegionSpatialFormat = spatial_format
    item.RegionDataType = 1
    return item


def write(path, pixels: np.ndarray, photometric="MONOCHROME2", **tags):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UltrasoundImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, "4711", "19700101"
    color = pixels.ndim == 3 and pixels.shape[-1] == 3
    dataset.Rows, dataset.Columns = pixels.shape[-3:-1] if color else pixels.shape[-2:]
    dataset.SamplesPerPixel = 3 if color else 1
    if color:
        dataset.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PhotometricInterpretation = photometric
    dataset.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def gray() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60)).astype(np.uint8)


def test_the_scan_and_its_pixel_size_come_from_the_ultrasound_regions(tmp_path, gray):
    small = us_region(box=(0, 36, 9, 39), delta=(1, 1))
    path = write(tmp_path / "a.dcm", gray, SequenceOfUltrasoundRegions=[small, us_region()], PixelSpacing=[9, 9])
    picture = read_dicom(path)
    assert (picture.image == gray[None]).all()
    assert picture.spacing_mm == pytest.approx((0.1, 0.08))
    rows, columns = (np.flatnonzero(picture.region.any(axis=axis)) for axis in (1, 0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (5, 34, 10, 49)
    assert any("2 scans" in flag for flag in picture.flags)


def test_a_case_has_its_grid_and_region(tmp_path, gray):
    case = read_case_file(write(tmp_path / "a.dcm", gray, SequenceOfUltrasoundRegions=[us_region()]), "a")
    assert case.grid.spacing_mm == pytest.approx((0.1, 0.08))
    assert case.region.sum() == 30 * 40


@pytest.mark.parametrize(
    ("tags", "spacing"),
    [
        ({}, None),
        ({"PixelSpacing": [0.2, 0.3]}, (0.2, 0.3)),
        ({"ImagerPixelSpacing": [0.4, 0.5]}, (0.4, 0.5)),
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": [0.2, 0.3], "SequenceOfUltrasoundRegions": [us_region(units=4)]}, (0.2, 0.3)),
        ({"PixelSpacing": [0.2, 0.3], "SequenceOfUltrasoundRegions": [us_region(delta=(-0.01, 0.02))]}, (0.2, 0.1)),
        ({"SequenceOfUltrasoundRegions": [us_region(spatial_format=2)]}, None),
    ],
)
def test_pixel_sizes(tmp_path, gray, tags, spacing):
    found = read_dicom(write(tmp_path / "a.dcm", gray, **tags)).spacing_mm
    assert found == (None if spacing is None else pytest.approx(spacing))


def test_colors_and_inverted_gray_are_brought_to_what_the_eye_sees(tmp_path, gray):
    color = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    ybr = convert_color_space(color, "RGB", "YBR_FULL")
    for name, pixels, photometric in (("rgb", color, "RGB"), ("ybr", ybr, "YBR_FULL")):
        image, _ = read_image(write(tmp_path / f"{name}.dcm", pixels, photometric))
        assert np.abs(image.astype(int) - np.moveaxis(color, -1, 0)).max() <= 3
    inverted = read_dicom(write(tmp_path / "i.dcm", 255 - gray, "MONOCHROME1"))
    assert (inverted.image == gray[None]).all()


def test_sixteen_bits_are_scaled_and_noted(tmp_path, gray):
    picture = read_dicom(write(tmp_path / "a.dcm", gray.astype(np.uint16) * 16))
    assert np.abs(picture.image[0].astype(int) - gray).max() <= 1
    assert "scaled to 8 bits" in picture.notes[0]


def test_a_clip_is_told_from_a_picture(tmp_path, gray):
    path = write(tmp_path / "clip.dcm", np.stack([gray] * 7))
    with pytest.raises(DataError, match="clip of 7 frames"):
        read_dicom(path)


def test_what_is_no_dicom_picture_is_refused(tmp_path, gray):
    other = tmp_path / "other.dcm"
    other.write_bytes(b"not a DICOM file")
    with pytest.raises(DataError, match="no DICOM file"):
        read_dicom(other)
    with pytest.raises(DataError, match="cannot be opened"):
        read_dicom(tmp_path / "absent.dcm")
    whole = write(tmp_path / "whole.dcm", gray)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(whole.read_bytes()[:-700])
    with pytest.raises(DataError, match=r"cut\.dcm"):
        read_dicom(cut)


def test_a_file_without_suffix_is_known_by_its_content(tmp_path, gray):
    path = write(tmp_path / "IM0001", gray)
    assert is_dicom(path)
    assert (read_image(path)[0] == gray[None]).all()


def test_nothing_of_the_patient_leaves_the_file(tmp_path, gray):
    path = write(tmp_path / "a.dcm", gray.astype(np.uint16), SequenceOfUltrasoundRegions=[us_region(), us_region()])
    case = read_case_file(path, "a")
    told = repr((case.id, case.subject, case.flags, case.notes, str(case.source)))
    assert not any(word in told for word in ("Doe", "Jane", "4711", "1970"))


def test_a_dicom_picture_may_be_a_mask(tmp_path):
    mask = np.zeros((8, 9), np.uint8)
    mask[2:5, 3:7] = 1
    classes = [ClassSpec(name=name, color=(0, 0, 0)) for name in ("background", "nerve")]
    for name, values in (("indices.dcm", mask), ("white.dcm", mask * 255), ("deep.dcm", mask.astype(np.uint16))):
        np.testing.assert_array_equal(read_labels(write(tmp_path / name, values), classes), mask)
    np.testing.assert_array_equal(read_region(tmp_path / "white.dcm"), mask > 0)
