"""Fields of a wrong number or kind are refused by their names, never by their values."""

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from gracile.errors import DataError
from gracile.io.dicom.fields import number, numbers, words


def holding(keyword: str, value: bytes, kind: str = "DS") -> Dataset:
    """A data set whose field is as a file has it, unchecked."""
    dataset = Dataset()
    tag = Tag(keyword)
    dataset[tag] = RawDataElement(tag, kind, len(value), value, 0, False, True)
    return dataset


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"1\\2", r"Image Position \(Patient\) \(0020,0032\) holds 2 numbers instead of 3"),
        (b"1\\2\\3\\4", "holds 4 numbers instead of 3"),
        (b"7", "holds 1 numbers instead of 3"),
        (b"Doe^Jane", r"\(0020,0032\) is no number"),
        (b"1\\Doe\\3", "is no number"),
        (b"1\\NaN\\3", "is no number"),
        (b"1\\inf\\3", "is no number"),
    ],
)
def test_numbers_that_are_not_so_many_numbers_are_refused(tmp_path, value, reason):
    with pytest.raises(DataError, match=reason) as refusal:
        numbers(tmp_path / "a.dcm", holding("ImagePositionPatient", value), "ImagePositionPatient", 3)
    assert "Doe" not in str(refusal.value)


def test_an_empty_or_absent_field_is_none(tmp_path):
    assert numbers(tmp_path, holding("PixelSpacing", b""), "PixelSpacing", 2) is None
    assert numbers(tmp_path, Dataset(), "PixelSpacing", 2) is None
    assert number(tmp_path, Dataset(), "RescaleSlope", 1.0) == 1.0


def test_words_are_those_of_the_field_or_none():
    assert words(holding("Modality", b"MR ", "CS"), "Modality") == "MR"
    assert words(Dataset(), "Modality") == ""
