"""JPEG Lossless is read whole, and a damaged frame ends nothing but its own reading."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.io.dicom.jpeg_lossless import decode_jpeg_lossless
from tests.io.dicom.jpeg_lossless_frames import encode

SHAPE = (9, 11)
GRAY = np.random.default_rng(1).integers(0, 4096, SHAPE).astype(np.uint16)
COLOR = np.random.default_rng(2).integers(0, 256, (*SHAPE, 3)).astype(np.uint8)


@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_predictor_is_read(predictor):
    assert (decode_jpeg_lossless(encode(GRAY, 12, predictor), SHAPE, 1) == GRAY).all()


@pytest.mark.parametrize("precision", [8, 10, 12, 16])
def test_every_precision_is_read(precision):
    values = np.random.default_rng(3).integers(0, 1 << precision, SHAPE)
    decoded = decode_jpeg_lossless(encode(values, precision), SHAPE, 1)
    assert (decoded == values).all()
    assert decoded.dtype == (np.uint8 if precision <= 8 else np.uint16)


def test_colors_may_share_a_table_of_any_number():
    assert (decode_jpeg_lossless(encode(COLOR, 8, first_table=2), SHAPE, 3) == COLOR).all()


@pytest.mark.parametrize(
    "damaged",
    [
        encode(GRAY, 12)[:-2],
        encode(GRAY, 12)[:30],
        encode(GRAY, 12).replace(struct.pack(">HH", *SHAPE), struct.pack(">HH", 60000, 60000)),
        encode(GRAY, 12).replace(bytes([0, 0, 0, 0, 17]), bytes([255, 255, 255, 255, 17])),
        encode(GRAY, 12).replace(bytes([0, 0, 0, 0, 17]), bytes([0, 0, 0, 0, 0])),
        encode(GRAY, 12).replace(bytes([0xFF, 0xDA, 0, 8]), bytes([0xFF, 0xDA, 0, 0])),
        b"",
    ],
    ids=["no end", "cut off", "another size", "too many codes", "no codes", "segment without length", "empty"],
)
def test_a_damaged_frame_never_reaches_the_decoder(damaged):
    with pytest.raises((ValueError, struct.error, IndexError)):
        decode_jpeg_lossless(damaged, SHAPE, 1)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_frame_is_decoded_to_its_size_or_refused(changes):
    frame = bytearray(encode(GRAY, 12))
    for place, value in changes:
        frame[place % len(frame)] = value
    with suppress(ValueError, struct.error, IndexError, RuntimeError):
        assert decode_jpeg_lossless(bytes(frame), SHAPE, 1).shape == SHAPE
