"""One way from pixel data to values, whatever the compression, the bits and the scale."""

import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2K,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPIPHTJ2KReferenced,
    RLELossless,
)  # fmt: skip

from gracile.errors import DataError
from gracile.io.dicom.decoders import _PLUGINS, decoder_of
from gracile.io.dicom.files import read_dataset
from gracile.io.dicom.values import real_values, stored_values
from tests.io.dicom.jpeg_lossless_frames import encode
from tests.io.dicom.objects import compressed, image, written

ROWS, COLUMNS = np.mgrid[:20, :24]
GRAY = (ROWS * 150 + COLUMNS * 20 + (ROWS * COLUMNS) % 7).astype(np.uint16)
BYTES = (GRAY >> 4).astype(np.uint8)
COLOR = np.stack([BYTES, 255 - BYTES, BYTES // 2], axis=-1)
FRAMES = {
    "JPEG Lossless": (JPEGLossless, encode(GRAY, 12, 6)),
    "JPEG Lossless SV1": (JPEGLosslessSV1, encode(GRAY, 12)),
    "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode(GRAY)),
    "JPEG 2000": (JPEG2000Lossless, imagecodecs.jpeg2k_encode(GRAY, level=0, codecformat="j2k")),
    "HTJ2K Lossless": (HTJ2KLossless, imagecodecs.htj2k_encode(GRAY, reversible=True)),
    "HTJ2K": (HTJ2K, imagecodecs.htj2k_encode(GRAY, reversible=True)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_lossless_compressions_give_the_values_that_went_in(tmp_path, name):
    syntax, frame = FRAMES[name]
    path = written(tmp_path / "a.dcm", compressed(image(GRAY, BitsStored=12, HighBit=11), frame, syntax))
    np.testing.assert_array_equal(stored_values(path, read_dataset(path)), GRAY)


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (JPEGLosslessSV1, encode(COLOR, 8)),
        (JPEG2000Lossless, imagecodecs.jpeg2k_encode(COLOR, level=0, codecformat="j2k", mct=False)),
        (JPEGLSLossless, imagecodecs.jpegls_encode(COLOR)),
    ],
)
def test_colors_are_read_from_lossless_compressions(tmp_path, syntax, frame):
    path = written(tmp_path / "a.dcm", compressed(image(COLOR, "RGB"), frame, syntax))
    np.testing.assert_array_equal(stored_values(path, read_dataset(path)), COLOR)


@pytest.mark.parametrize("syntax", [RLELossless, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_run_lengths_deflated_and_big_endian_files_are_read(tmp_path, syntax):
    dataset = image(GRAY)
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = GRAY.astype(">u2").tobytes()
    path = written(tmp_path / "a.dcm", dataset)
    np.testing.assert_array_equal(stored_values(path, read_dataset(path)), GRAY)


def test_lossy_jpeg_of_8_and_12_bits_is_read(tmp_path):
    smooth = imagecodecs.jpeg8_encode(BYTES, level=95)
    path = written(tmp_path / "a.dcm", compressed(image(BYTES), smooth, JPEGBaseline8Bit))
    assert np.abs(stored_values(path, read_dataset(path)).astype(int) - BYTES).max() < 12
    deep = imagecodecs.jpeg8_encode(GRAY, level=95, bitspersample=12)
    path = written(tmp_path / "b.dcm", compressed(image(GRAY, BitsStored=12, HighBit=11), deep, JPEGExtended12Bit))
    assert np.abs(stored_values(path, read_dataset(path)).astype(int) - GRAY).max() < 200


@pytest.mark.parametrize(
    ("syntax", "name"), [(JPIPHTJ2KReferenced, "JPIP HTJ2K Referenced"), ("1.2.3.4.5", "an unknown transfer syntax")]
)
def test_what_nothing_here_decodes_is_refused_by_the_name_of_its_compression(tmp_path, syntax, name):
    dataset = compressed(image(BYTES), b"\0" * 40, UID(syntax))
    with pytest.raises(DataError, match=name) as refusal:
        stored_values(tmp_path / "a.dcm", dataset)
    assert "gdcmconv --raw" in refusal.value.remedy
    assert "dcmdjpeg" in refusal.value.remedy


@pytest.mark.parametrize("name", FRAMES)
def test_damaged_frames_are_refused_in_words(tmp_path, name):
    syntax, frame = FRAMES[name]
    for content in (frame[: len(frame) // 8], b"\0" * 64):
        path = written(tmp_path / "a.dcm", compressed(image(GRAY, BitsStored=12, HighBit=11), content, syntax))
        with pytest.raises(DataError, match="damaged or end too early"):
            stored_values(path, read_dataset(path))


@given(stored=st.integers(1, 16), signed=st.booleans(), shift=st.integers(0, 15), seed=st.integers(0, 99))
def test_bits_stored_anywhere_in_their_word_are_read(tmp_path_factory, stored, signed, shift, seed):
    shift = min(shift, 16 - stored)
    low, high = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    values = np.random.default_rng(seed).integers(low, high, (3, 4))
    words = ((values & ((1 << stored) - 1)) << shift).astype(np.uint16)
    dataset = image(words, signed=signed, BitsStored=stored, HighBit=stored + shift - 1)
    if shift:  # beside the image lie other bits, such as overlays of old
        dataset.PixelData = (words | 1).tobytes()
    path = written(tmp_path_factory.mktemp("bits") / "a.dcm", dataset)
    np.testing.assert_array_equal(stored_values(path, read_dataset(path)), values)


def palette(photometric: str) -> Dataset:
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    dataset = image(indices, photometric)
    for color, table in (("Red", range(12)), ("Green", range(12, 24)), ("Blue", [200] * 12)):
        setattr(dataset, f"{color}PaletteColorLookupTableDescriptor", [12, 0, 8])
        setattr(dataset, f"{color}PaletteColorLookupTableData", bytes(table))
    return dataset


def test_palettes_become_colors(tmp_path):
    path = written(tmp_path / "a.dcm", palette("PALETTE COLOR"))
    values = stored_values(path, read_dataset(path))
    assert values.shape == (3, 4, 3)
    assert values[1, 2].tolist() == [6, 18, 200]


def test_luminance_and_chroma_become_colors(tmp_path):
    ybr = np.zeros((2, 2, 3), np.uint8)
    ybr[...] = (76, 85, 255)  # red, ITU-R BT.601
    path = written(tmp_path / "a.dcm", image(ybr, "YBR_FULL"))
    red = stored_values(path, read_dataset(path))[0, 0].astype(int)
    assert np.abs(red - (255, 0, 0)).max() <= 2


def mapping(slope: float, intercept: float) -> Sequence:
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 4095
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    return Sequence([item])


def modality_table() -> Sequence:
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [8, 0, 16], "US"
    item.add_new("LUTData", "US", [5, 7, 11, 13, 17, 19, 23, 29])
    return Sequence([item])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"RescaleSlope": "2", "RescaleIntercept": "-1000"}, [-1000, -998, -996, -994]),
        ({"RescaleSlope": None, "RescaleIntercept": None}, [0, 1, 2, 3]),
        ({"RescaleSlope": "2"}, [0, 2, 4, 6]),
        ({"RescaleIntercept": "-5"}, [-5, -4, -3, -2]),
        ({"RescaleSlope": "0", "RescaleIntercept": "1"}, [1, 2, 3, 4]),
        ({"RealWorldValueMappingSequence": mapping(0.5, 10)}, [10, 10.5, 11, 11.5]),
        ({"RescaleSlope": "2", "RealWorldValueMappingSequence": mapping(0.5, 10)}, [0, 2, 4, 6]),
        ({"ModalityLUTSequence": modality_table()}, [5, 7, 11, 13]),
        ({"PixelPaddingValue": 0}, [np.nan, 1, 2, 3]),
        ({"PixelPaddingValue": 1, "PixelPaddingRangeLimit": 2}, [0, np.nan, np.nan, 3]),
    ],
)
def test_values_are_in_the_units_that_the_file_says(tmp_path, tags, expected):
    path = written(tmp_path / "a.dcm", image(np.arange(4, dtype=np.uint16).reshape(2, 2), **tags))
    dataset = read_dataset(path)
    values = real_values(path, dataset, stored_values(path, dataset))
    np.testing.assert_allclose(values.ravel(), expected)


@pytest.mark.parametrize("field", ["RescaleSlope", "RescaleIntercept"])
def test_a_scale_that_is_no_number_is_refused_by_its_field(tmp_path, field):
    dataset = image(BYTES)
    dataset.add_new(field, "LO", "Doe^Jane")
    with pytest.raises(DataError, match=field.replace("Rescale", "Rescale ")) as refusal:
        real_values(tmp_path / "a.dcm", dataset, BYTES)
    assert "Doe" not in str(refusal.value)


def test_without_its_decoder_a_compression_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    syntax, frame = FRAMES["JPEG-LS"]
    with pytest.raises(DataError, match="JPEG-LS Lossless") as refusal:
        stored_values(tmp_path / "a.dcm", compressed(image(GRAY), frame, syntax))
    assert "pip install imagecodecs" in refusal.value.remedy


def test_no_other_decoder_is_asked_than_the_one_that_is_named():
    """GDCM, where it is installed, ends the whole process on damaged frames."""
    for uid, plugin in _PLUGINS.items():
        decoder_of(Path(), compressed(image(BYTES), bytes(4), UID(uid)))
        assert plugin in get_decoder(UID(uid)).available_plugins
        assert plugin in ("imagecodecs", "pillow", "pydicom")
