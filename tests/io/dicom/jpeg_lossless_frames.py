"""JPEG Lossless frames (ITU-T T.81, process 14) made by the standard, for tests."""

import struct

import numpy as np


def encode(values: np.ndarray, precision: int, predictor: int = 1, first_table: int = 0) -> bytes:
    """A frame of ``(rows, columns[, samples])`` values, every category of differences coded by five bits."""
    planes = np.atleast_3d(values).astype(int)
    rows, columns, samples = planes.shape
    left, above = np.roll(planes, 1, 1), np.roll(planes, 1, 0)
    corner = np.roll(above, 1, 1)
    guesses = {
        1: left, 2: above, 3: corner, 4: left + above - corner, 5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1), 7: (left + above) >> 1,
    }  # fmt: skip
    guess = guesses[predictor].copy()
    guess[0], guess[:, 0] = left[0], above[:, 0]
    guess[0, 0] = 1 << (precision - 1)
    differences = (planes - guess + 32768) % 65536 - 32768
    bits = []
    for one in differences.ravel().tolist():
        size = abs(one).bit_length()
        bits.append(f"{size:05b}")
        if 0 < size < 16:
            bits.append(f"{one if one > 0 else one + (1 << size) - 1:0{size}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    packed = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    table = bytes([first_table, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    frame = struct.pack(">BHHB", precision, rows, columns, samples)
    frame += b"".join(bytes([one, 0x11, 0]) for one in range(1, samples + 1))
    scan = bytes([samples]) + b"".join(bytes([one, first_table << 4]) for one in range(1, samples + 1))
    segments = ((0xC4, table), (0xC3, frame), (0xDA, scan + bytes([predictor, 0, 0])))
    header = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return b"\xff\xd8" + header + packed + b"\xff\xd9"
