"""DICOM files are known by their content, with and without preamble, and read so that no value of theirs shows."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian

from gracile.errors import DataError
from gracile.io.dicom import begins_as_dicom, dicom_files, is_dicom
from gracile.io.dicom.files import private_parsing, read_dataset
from gracile.io.dicom.values import stored_values
from tests.io.dicom.objects import bare, image, written

PIXELS = np.arange(30, dtype=np.uint16).reshape(5, 6)
ENCODINGS = [(True, True), (False, True), (False, False)]


@pytest.mark.parametrize(("implicit", "little"), ENCODINGS)
@pytest.mark.parametrize("name", ["IM0001.dcm", "IM0001", "1.2.840.1"])
def test_data_sets_without_preamble_are_read(tmp_path, name, implicit, little):
    dataset = image(PIXELS)
    if not little:
        dataset.PixelData = PIXELS.astype(">u2").tobytes()
    path = bare(tmp_path / name, dataset, implicit=implicit, little=little)
    assert is_dicom(path)
    np.testing.assert_array_equal(stored_values(path, read_dataset(path)), PIXELS)


def test_files_of_a_folder_are_found_by_content_and_in_folders_below_it(tmp_path):
    deep = tmp_path / "STUDY/SERIES"
    deep.mkdir(parents=True)
    image_file = written(deep / "IM1", image(PIXELS))
    (deep / "notes.txt").write_text("text")
    written(deep / "DICOMDIR", image(PIXELS))
    written(deep / ".hidden", image(PIXELS))
    assert dicom_files(tmp_path) == []
    assert dicom_files(tmp_path, nested=True) == [image_file]


@given(st.binary(max_size=400))
def test_whatever_bytes_are_looked_at(head):
    begins_as_dicom(head)


@pytest.mark.parametrize(
    "head",
    [b"", b"\x02\x00", b"\x89PNG\r\n\x1a\n" + bytes(200), b"II*\x00\x08\x00\x00\x00" + bytes(200), b"PK\x03\x04" * 99,
     b"text " * 60, bytes(400)],
)  # fmt: skip
def test_other_files_are_not_taken_for_dicom(head):
    assert not begins_as_dicom(head)


def test_what_is_no_dicom_file_is_refused_in_words(tmp_path):
    path = tmp_path / "a.dcm"
    for content in (b"", b"Doe^Jane, all of it", bytes(128) + b"DICM" + b"\xff" * 300):
        path.write_bytes(content)
        with pytest.raises(DataError) as refusal:
            stored_values(path, read_dataset(path))
        assert "Error" not in str(refusal.value)
        assert "Doe" not in str(refusal.value)
    with pytest.raises(DataError, match="cannot be opened"):
        read_dataset(tmp_path / "absent.dcm")


def test_too_little_memory_is_no_fault_of_the_file(tmp_path):
    with pytest.raises(MemoryError), private_parsing(tmp_path / "a.dcm"):
        raise MemoryError


def deflated(path, pixels, behind=0, **tags):
    """An image as a deflated data set, with so many bytes behind its pixels."""
    dataset = image(pixels, **tags)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    if behind:
        dataset.DataSetTrailingPadding = bytes(behind)
    return written(path, dataset)


def test_a_deflated_data_set_that_unpacks_to_far_more_than_its_image_is_refused(tmp_path):
    path = deflated(tmp_path / "bomb.dcm", PIXELS, behind=100 << 20)
    assert path.stat().st_size < 1 << 17
    tracemalloc.start()
    with pytest.raises(DataError, match="unpacks to far more than its header claims"):
        read_dataset(path, ["Rows"], pixels=False)
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()


def test_a_blank_deflated_image_is_read_however_small_its_file(tmp_path):
    pixels = np.zeros((8400, 8400), np.uint8)
    path = deflated(tmp_path / "blank.dcm", pixels, behind=1 << 20)
    assert path.stat().st_size < 1 << 17
    np.testing.assert_array_equal(stored_values(path, read_dataset(path)), pixels)


def test_a_deflated_image_that_cannot_be_so_large_is_refused(tmp_path):
    path = deflated(tmp_path / "claims.dcm", PIXELS, Rows=60000, Columns=8000)
    with pytest.raises(DataError, match="header is wrong"):
        read_dataset(path, pixels=False)


@pytest.mark.parametrize("cut", [10, 40, -20])
def test_a_deflated_data_set_that_is_damaged_is_refused_in_words(tmp_path, cut):
    path = deflated(tmp_path / "a.dcm", PIXELS)
    content = path.read_bytes()
    begin = 144 + int.from_bytes(content[140:144], "little")  # behind the meta information
    path.write_bytes(content[: (begin if cut > 0 else len(content)) + cut] + b"\xff" * 8)
    with pytest.raises(DataError, match=r"damaged|end too early"):
        stored_values(path, read_dataset(path))
