"""A folder is what an archive gives: what is no slice of the series is passed over and told."""

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gracile.errors import DataError
from gracile.io import read_volume
from tests.io.dicom.objects import bare, image, written
from tests.volumes_on_disk import marked, write_series

SHAPE = (5, 6, 8)
VALUES = marked(SHAPE, (1, 2, 3))
LAS = np.array([[-0.5, 0, 0, 20.0], [0, -0.7, 0, 30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])
REPORT, PRESENTATION, SEGMENTATION = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("88.22", "11.1", "66.4"))


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "series", VALUES, LAS, number=3)


def without_image(kind: str) -> Dataset:
    """A report, a presentation state: an object without pixels."""
    dataset = image(np.zeros((2, 2), np.uint8))
    for name in ("Rows", "Columns", "PixelData"):
        delattr(dataset, name)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    return dataset


GRAY = np.zeros((8, 8), np.uint8)
OTHERS = {
    "a screenshot in color": (image(np.zeros((8, 8, 3), np.uint8), "RGB"), "a picture in color"),
    "a picture of a palette": (image(GRAY, "PALETTE COLOR"), "a picture in color"),
    "a gray screenshot": (image(GRAY), "a picture without a place in the patient"),
    "a clip": (image(np.zeros((3, 8, 8), np.uint8), NumberOfFrames=3), "a clip of 3 frames"),
    "a segmentation": (image(GRAY, SOPClassUID=SEGMENTATION), "a segmentation"),
    "a report": (without_image(REPORT), "no image (Enhanced SR)"),
    "a presentation state": (without_image(PRESENTATION), "no image (Grayscale Softcopy Presentation State)"),
    "an unknown object": (without_image("1.2.3.4.5"), "no image"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_objects_are_passed_over_and_told(folder, what):
    dataset, told = OTHERS[what]
    written(folder / "AA_other", dataset)
    for path, series in ((folder, ""), (folder, "3"), (folder / "a003.dcm", "")):
        case = read_volume(path, "a", series=series)
        np.testing.assert_array_equal(case.image[0], VALUES)
    assert f"passed over in the folder: AA_other is {told}" in read_volume(folder, "a").notes


def test_localizers_are_passed_over_unless_they_are_named(folder):
    write_series(folder, VALUES[..., :2], LAS, number=1, first=100, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    case = read_volume(folder, "a")
    assert case.grid.shape == SHAPE
    assert any("a100.dcm is a localizer" in note or "b100.dcm is a localizer" in note for note in case.notes)
    assert read_volume(folder, "a", series="1").grid.shape == (5, 6, 2)


def test_several_series_are_listed_with_what_to_type(folder):
    write_series(folder, VALUES[..., :4], LAS, number=7, first=100, SeriesDescription="t2_tse_sag\x1b\n")
    written(folder / "report", without_image(REPORT))
    with pytest.raises(DataError) as refusal:
        read_volume(folder, "a")
    assert "holds 2 series: number 3 with 8 images of 5 x 6, such as a001.dcm" in refusal.value.message
    assert "number 7 (t2_tse_sag) with 4 images of 5 x 6, such as a101.dcm" in refusal.value.message
    assert "report is no image (Enhanced SR)" in refusal.value.message
    assert "--set input.series=NUMBER" in refusal.value.remedy
    assert read_volume(folder, "a", series="7").grid.shape == (5, 6, 4)
    assert read_volume(folder / "a101.dcm", "a").grid.shape == (5, 6, 4)
    with pytest.raises(DataError, match="holds no series 5"):
        read_volume(folder, "a", series="5")


def test_studies_and_series_are_folders_in_folders(tmp_path):
    write_series(tmp_path / "CD/STUDY1/SERIES1", VALUES, LAS, number=3)
    written(tmp_path / "CD/STUDY1/REPORT", without_image(REPORT))
    for path in list((tmp_path / "CD").rglob("*.dcm")):
        path.rename(path.with_suffix(""))
    np.testing.assert_array_equal(read_volume(tmp_path / "CD", "a").image[0], VALUES)
    write_series(tmp_path / "CD/STUDY1/SERIES2", VALUES[..., :3], LAS, number=4)
    with pytest.raises(DataError, match=r"2 series.*such as STUDY1/SERIES2/a001\.dcm"):
        read_volume(tmp_path / "CD", "a")
    assert read_volume(tmp_path / "CD", "a", series="4").grid.shape == (5, 6, 3)


def test_a_series_without_preamble_and_suffix_is_read(folder, tmp_path):
    (tmp_path / "old").mkdir()
    for path in folder.iterdir():
        bare(tmp_path / "old" / path.stem, pydicom.dcmread(path))
    np.testing.assert_array_equal(read_volume(tmp_path / "old", "a").image[0], VALUES)


def test_an_image_of_the_series_that_is_no_slice_is_named(folder):
    dataset = image(np.zeros((6, 5, 3), np.uint8), "RGB", SeriesInstanceUID=_uid_of(folder))
    written(folder / "color.dcm", dataset)
    with pytest.raises(DataError, match=r"color\.dcm belongs to the series and is a picture in color"):
        read_volume(folder, "a")


def _uid_of(folder):
    return pydicom.dcmread(folder / "a003.dcm").SeriesInstanceUID


def test_images_at_one_position_are_called_that(folder):
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.ImagePositionPatient = [0, 0, 0]
        dataset.save_as(path)
    with pytest.raises(DataError, match=r"All 8 images .* lie at one position \(Image Position \(Patient\)\)"):
        read_volume(folder, "a")


def enhanced(order: list[int], **tags) -> Dataset:
    """An enhanced MR volume of the values, its frames in some order, each with a scale of its own."""
    frames = np.stack([VALUES[:, :, index].T for index in order]).astype(np.int16)
    dataset = image(frames, signed=True, NumberOfFrames=len(order), SeriesNumber=9)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.5], 3
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = []
    for index in order:
        own, position, scale = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-20, -30, 40 + 3 * index]
        scale.RescaleSlope, scale.RescaleIntercept = index + 1, index
        own.PlanePositionSequence, own.PixelValueTransformationSequence = [position], [scale]
        dataset.PerFrameFunctionalGroupsSequence.append(own)
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def test_an_enhanced_file_is_a_volume_by_itself(folder, tmp_path):
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    path = written(folder / "enhanced.dcm", enhanced(order))
    expected = VALUES * (np.arange(8) + 1) + np.arange(8)
    for source, series in ((path, ""), (folder, "9")):
        case = read_volume(source, "a", series=series)
        np.testing.assert_array_equal(case.image[0], expected)
        np.testing.assert_allclose(case.grid.affine, LAS, atol=1e-6)
    with pytest.raises(DataError, match="2 series"):
        read_volume(folder, "a")


def test_an_enhanced_file_that_lacks_places_or_frames_is_refused(tmp_path):
    dataset = enhanced(list(range(8)))
    del dataset.PerFrameFunctionalGroupsSequence[3]
    with pytest.raises(DataError, match="8 frames and says of 7 where they lie"):
        read_volume(written(tmp_path / "a.dcm", dataset), "a")
    with pytest.raises(DataError, match="lacks 1 of 8 slices"):
        read_volume(written(tmp_path / "b.dcm", enhanced([0, 1, 2, 4, 5, 6, 7])), "a")


def test_inverted_images_and_padding_are_brought_to_what_the_eye_sees(folder):
    expected = VALUES.copy()
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PhotometricInterpretation = "MONOCHROME1"
        dataset.save_as(path)
    case = read_volume(folder, "a")
    np.testing.assert_array_equal(case.image[0], expected.min() + expected.max() - expected)
    assert any("MONOCHROME1" in note for note in case.notes)


@pytest.mark.parametrize("padding", [-2000, 63536])
def test_padding_is_given_the_darkest_value(tmp_path, padding):
    values = VALUES.copy()
    values[0] = -2000
    folder = write_series(tmp_path / "series", values, LAS, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "US" if padding > 0 else "SS", padding)
        dataset.save_as(path)
    case = read_volume(folder, "a")
    expected = VALUES.copy()
    expected[0] = VALUES[1:].min()
    np.testing.assert_array_equal(case.image[0], expected)
    assert any("Pixel Padding Value" in note for note in case.notes)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("ImagePositionPatient", "1\\2", r"Image Position \(Patient\) \(0020,0032\) holds 2 numbers instead of 3"),
        ("ImageOrientationPatient", "1\\0\\0", r"\(0020,0037\) holds 3 numbers instead of 6"),
        ("PixelSpacing", "0.5", r"Pixel Spacing \(0028,0030\) holds 1 numbers instead of 2"),
        ("PixelSpacing", "", r"Pixel Spacing \(0028,0030\) is empty"),
        ("PixelSpacing", "Doe\\Jane", r"Pixel Spacing \(0028,0030\) is no number"),
        ("ImagePositionPatient", "NaN\\0\\0", r"\(0020,0032\) is no number"),
        ("SliceThickness", "Doe", r"Slice Thickness \(0018,0050\) is no number"),
        ("InstanceNumber", "Doe", r"Instance Number \(0020,0013\) is no number"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_its_name(folder, field, value, reason):
    path = folder / "a003.dcm"
    dataset = pydicom.dcmread(path)
    dataset.add_new(field, "LO", value.split("\\") if value else None)
    dataset.save_as(path)
    with pytest.raises(DataError, match=reason) as refusal:
        read_volume(folder, "a")
    assert "Doe" not in str(refusal.value)
    assert "Error" not in str(refusal.value)


def test_a_damaged_header_of_another_series_is_passed_over(folder):
    write_series(folder, VALUES[..., :1], LAS, number=7, first=100)
    dataset = pydicom.dcmread(folder / "b100.dcm")
    dataset.PixelSpacing = None
    dataset.save_as(folder / "b100.dcm")
    case = read_volume(folder, "a")
    np.testing.assert_array_equal(case.image[0], VALUES)
    assert any("b100.dcm is an image with a damaged header" in note for note in case.notes)


def test_a_series_is_named_by_its_uid_too(folder):
    write_series(folder, VALUES[..., :4], LAS, number=7, first=100)
    assert read_volume(folder, "a", series=_uid_of(folder)).grid.shape == SHAPE


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return written(tmp_path_factory.mktemp("whole") / "a.dcm", enhanced(list(range(8)))).read_bytes()


@given(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(b"\x00\xff\\-1z")), min_size=1, max_size=6))
def test_a_damaged_file_is_read_or_refused_in_words(whole, changes):
    content = bytearray(whole)
    for place, value in changes:
        content[place % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        path.write_bytes(content)
        with suppress(DataError):
            read_volume(path, "a")
