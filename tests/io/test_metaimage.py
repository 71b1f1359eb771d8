"""MetaImage headers in the ways that programs write them."""

import numpy as np
import pytest
import SimpleITK as sitk

from gracile.errors import DataError
from gracile.io import read_volume
from tests.volumes_on_disk import marked, write_itk

SHAPE = (5, 6, 4)
VALUES = marked(SHAPE, (1, 2, 3))
RAS = np.array([[0.5, 0, 0, -20.0], [0, 0.7, 0, -30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])


def replaced(path, what: bytes, other: bytes):
    content = path.read_bytes()
    assert what in content
    path.write_bytes(content.replace(what, other, 1))
    return path


def test_older_names_of_the_fields_are_known(tmp_path):
    path = write_itk(tmp_path / "a.mha", VALUES, RAS)
    for what, other in (
        (b"TransformMatrix", b"Rotation"),
        (b"Offset", b"Position"),
        (b"BinaryDataByteOrderMSB", b"ElementByteOrderMSB"),
    ):
        replaced(path, what, other)
    case = read_volume(path, "a")
    np.testing.assert_allclose(case.grid.affine, RAS)
    np.testing.assert_array_equal(case.image[0], VALUES)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u4", "i8", "f4", "f8"])
def test_types(tmp_path, dtype, packed):
    values = (VALUES % 100).astype(dtype)
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(values.transpose(2, 1, 0).copy()), str(path), packed)
    np.testing.assert_array_equal(read_volume(path, "a").image[0], values)


def test_the_other_byte_order_is_read(tmp_path):
    path = write_itk(tmp_path / "a.mhd", VALUES, RAS)
    (tmp_path / "a.raw").write_bytes(VALUES.astype(">i2").tobytes(order="F"))
    replaced(path, b"BinaryDataByteOrderMSB = False", b"BinaryDataByteOrderMSB = True")
    np.testing.assert_array_equal(read_volume(path, "a").image[0], VALUES)


def test_a_header_in_front_of_the_data_file_is_skipped(tmp_path):
    path = write_itk(tmp_path / "a.mhd", VALUES, RAS)
    raw = (tmp_path / "a.raw").read_bytes()
    for size in (b"17", b"-1"):
        (tmp_path / "a.raw").write_bytes(b"x" * 17 + raw)
        replaced(path, b"ElementDataFile", b"HeaderSize = " + size + b"\nElementDataFile")
        np.testing.assert_array_equal(read_volume(path, "a").image[0], VALUES)
        replaced(path, b"HeaderSize = " + size + b"\n", b"")


@pytest.mark.parametrize(
    ("what", "other", "reason"),
    [
        (b"DimSize = 5 6 4", b"DimSize = 50000 60000 4", "do not fit"),
        (b"DimSize = 5 6 4", b"DimSize = 5 6 -4", "none"),
        (b"DimSize = 5 6 4", b"DimSize = 5 6", "2 axes"),
        (b"DimSize = 5 6 4", b"DimSize = five", "no valid DimSize"),
        (b"NDims = 3", b"NDims = 4", "number of axes"),
        (b"MET_SHORT", b"MET_STRING", "unknown type"),
        (b"MET_SHORT", b"MET_SHORT\nElementNumberOfChannels = 3", "colors"),
        (b"BinaryData = True", b"BinaryData = False", "as text"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = LIST", "each slice"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = gone.raw", r"gone\.raw"),
        (b"ElementDataFile", b"Comment", "no MetaImage"),
        (b"ElementSpacing = 0.5", b"ElementSpacing = 0", "singular"),
        (b"Offset = ", b"Offset = nan ", "Offset"),
    ],
)
def test_damaged_headers_are_refused(tmp_path, what, other, reason):
    path = replaced(write_itk(tmp_path / "a.mha", VALUES, RAS), what, other)
    with pytest.raises(DataError, match=reason):
        read_volume(path, "a")
