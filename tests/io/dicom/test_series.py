"""A DICOM series is a volume only when it is a whole one; of the patient nothing comes out."""

import shutil
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from gracile.errors import DataError
from gracile.io import read_volume
from tests.volumes_on_disk import PATIENT, marked, write_series

SHAPE = (5, 6, 8)
VALUES = marked(SHAPE, (1, 2, 3))
LAS = np.array([[-0.5, 0, 0, 20.0], [0, -0.7, 0, 30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "series", VALUES, LAS)


def edited(path, **tags):
    """A file with other tags."""
    dataset = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def test_slices_are_sorted_by_where_they_lie(folder):
    case = read_volume(folder, "a")
    np.testing.assert_array_equal(case.image[0], VALUES)
    np.testing.assert_allclose(case.grid.affine, LAS, atol=1e-6)
    assert not case.flags
    for index, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"IM{index}")
    np.testing.assert_array_equal(read_volume(folder, "a").image[0], VALUES)


def test_one_file_stands_for_its_series(folder):
    write_series(folder, VALUES + 1, LAS, number=2, first=500)
    case = read_volume(folder / "b000.dcm", "a")
    np.testing.assert_array_equal(case.image[0], VALUES)


def test_each_slice_is_rescaled_by_its_own_factors(folder):
    for index, path in enumerate(sorted(folder.iterdir(), key=lambda path: path.name[1:])):
        edited(path, RescaleSlope=index + 1, RescaleIntercept=-100)
    wanted = VALUES * np.arange(1, 9) - 100.0
    np.testing.assert_allclose(read_volume(folder, "a").image[0], wanted)


def test_several_series_are_listed_and_may_be_chosen(folder):
    write_series(folder, VALUES[..., :3] + 1, LAS, number=2, first=500)
    with pytest.raises(DataError, match=r"2 series: .*number 2 with 3 images of 5 x 6, such as a501\.dcm") as caught:
        read_volume(folder, "a")
    assert "input.series" in caught.value.remedy
    assert read_volume(folder, "a", series="2").grid.shape == (5, 6, 3)
    with pytest.raises(DataError, match="no series 7"):
        read_volume(folder, "a", series="7")


def test_missing_slices_are_refused_with_their_number(folder):
    for name in ("b004.dcm", "a005.dcm"):
        (folder / name).unlink()
    with pytest.raises(DataError, match=r"lacks 2 of 8 slices.*between a003\.dcm and b006\.dcm"):
        read_volume(folder, "a")


def test_uneven_slices_are_refused_and_hardly_uneven_ones_noted(folder):
    edited(folder / "a003.dcm", ImagePositionPatient=[-20, -30, 49.06])
    case = read_volume(folder, "a")
    assert any("2.94 to 3.06 mm apart" in flag for flag in case.flags)
    edited(folder / "a003.dcm", ImagePositionPatient=[-20, -30, 50])
    with pytest.raises(DataError, match="2 to 4 mm apart"):
        read_volume(folder, "a")


def test_slices_that_do_not_lie_on_a_line_are_refused(folder):
    edited(folder / "a003.dcm", ImagePositionPatient=[-25, -30, 49])
    with pytest.raises(DataError, match="on one line"):
        read_volume(folder, "a")


def test_a_tilted_gantry_is_kept_in_the_affine(tmp_path):
    sheared = LAS.copy()
    sheared[1, 2] = 0.6
    folder = write_series(tmp_path / "tilted", VALUES, sheared)
    for path in folder.iterdir():  # rows and columns stay at right angles, slices are shifted
        assert len(pydicom.dcmread(path).ImageOrientationPatient) == 6
    case = read_volume(folder, "a")
    np.testing.assert_allclose(case.grid.affine, sheared, atol=1e-6)
    assert any("gantry tilt of 11.3 degrees" in note for note in case.notes)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Rows": 7}, "different sizes"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "different orientations"),
        ({"PixelSpacing": [1, 1]}, "different pixel sizes"),
        ({"SamplesPerPixel": 3}, "a003.dcm belongs to the series and is a picture in color"),
        ({"NumberOfFrames": 2}, "a clip of 2 frames"),
        ({"ImagePositionPatient": None}, "without a place in the patient"),
        ({"ImageOrientationPatient": None}, "without a place in the patient"),
    ],
)
def test_what_is_no_single_volume_is_refused(folder, tags, reason):
    edited(folder / "a003.dcm", **tags)
    with pytest.raises(DataError, match=reason):
        read_volume(folder, "a")


def test_a_copied_file_counts_once(folder):
    shutil.copy(folder / "a003.dcm", folder / "copy.dcm")
    case = read_volume(folder, "a")
    np.testing.assert_array_equal(case.image[0], VALUES)
    assert any("1 images are copies" in note for note in case.notes)


def test_a_double_slice_is_refused(folder):
    shutil.copy(folder / "a003.dcm", folder / "copy.dcm")
    edited(folder / "copy.dcm", SOPInstanceUID=generate_uid())
    with pytest.raises(DataError, match="1 images at most positions and another number at 1 of 8"):
        read_volume(folder, "a")


def test_files_without_an_image_are_passed_over(folder):
    report = pydicom.dcmread(folder / "a003.dcm")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.save_as(folder / "report.dcm")
    shutil.copy(folder / "report.dcm", folder / "DICOMDIR")
    (folder / "notes.txt").write_text("text")
    assert read_volume(folder, "a").grid.shape == SHAPE
    with pytest.raises(DataError, match="no image"):
        read_volume(folder / "report.dcm", "a")


def test_damaged_files_are_named(folder):
    path = folder / "a003.dcm"
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    with pytest.raises(DataError, match=r"a003\.dcm"):
        read_volume(folder, "a")
    path.write_bytes(b"no DICOM at all, whatever its name says")
    with pytest.raises(DataError, match=r"a003\.dcm is no DICOM"):
        read_volume(folder, "a")


def test_a_slice_of_unknown_thickness_is_noted(tmp_path):
    folder = write_series(tmp_path / "one", VALUES[..., :1], LAS, SliceThickness=None)
    case = read_volume(folder, "a")
    assert case.grid.spacing_mm[2] == pytest.approx(1)
    assert any("unknown thickness" in flag for flag in case.flags)


def test_nothing_of_the_patient_comes_out(folder, capsys, caplog):
    broken = {"PixelSpacing": PATIENT["PatientName"], "Rows": None, "ImagePositionPatient": ["Doe", "Jane", "4711"]}
    messages = [str(read_volume(folder, "a").flags)]
    with warnings.catch_warnings(record=True) as caught, caplog.at_level("DEBUG"):
        warnings.simplefilter("always")
        for name, value in broken.items():
            other = shutil.copytree(folder, folder.parent / name)
            data = (other / "a003.dcm").read_bytes()
            if name == "Rows":
                data = data.replace(b"Doe^Jane", b"\xff\xfe\0\0Jane")
            else:
                place = pydicom.dcmread(other / "a003.dcm").get_item(name)
                text = str(value if isinstance(value, str) else "\\".join(value)).encode()
                data = data.replace(place.value, text.ljust(len(place.value))[: len(place.value)])
            (other / "a003.dcm").write_bytes(data)
            try:
                messages.append(str(read_volume(other, "a").notes))
            except DataError as error:
                messages.append(str(error) + repr(error.__cause__))
    out = capsys.readouterr()
    said = " ".join([*messages, out.out, out.err, caplog.text, *(str(w.message) for w in caught)])
    assert len(messages) == 4
    for secret in ("Doe", "Jane", "4711", "19700101"):
        assert secret not in said.replace(str(folder.parent), "")


@pytest.mark.parametrize("gone", [1, 2])
def test_of_three_slices_that_are_left_of_four_the_missing_one_is_told(tmp_path, gone):
    folder = write_series(tmp_path / "four", VALUES[..., :4], LAS)
    next(folder.glob(f"?00{gone}.dcm")).unlink()
    with pytest.raises(DataError, match="lacks 1 of 4 slices"):
        read_volume(folder, "a")


def test_one_slice_that_lies_too_near_does_not_make_all_others_look_far_apart(folder):
    edited(next(folder.glob("?007.dcm")), ImagePositionPatient=[-20, -30, 59])
    with pytest.raises(DataError, match="lie 1 to 3 mm apart"):
        read_volume(folder, "a")
