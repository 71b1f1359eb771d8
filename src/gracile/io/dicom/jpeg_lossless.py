"""Decode JPEG Lossless frames (ITU-T T.81, process 14) by imagecodecs, which gets to see no damaged one.

The decoder believes a frame's header and reads beyond its end; GDCM's, the other one, ends the whole process. So a
frame is read here up to its compressed samples, checked, and given on under a plain header of our own, with zeros
behind it for as many bits as its samples can take.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

_FRAME, _TABLES, _SCAN, _RESTARTS = 0xC3, 0xC4, 0xDA, 0xDD
_OTHER_FRAMES = {0xC0, 0xC1, 0xC2, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_END = b"\xff\xd9"
_LONGEST = 4
"""Bytes of a sample at most: a code of 16 bits and 15 bits behind it."""


@dataclass
class _Header:
    """What comes in front of the compressed samples.

    Args:
        precision: Bits of a sample.
        shape: (rows, columns).
        components: Their identifiers.
        tables: Huffman tables by their number: 16 counts of codes by length, then the values.
        chosen: The table of each component.
        predictor: 1 to 7.
        begin: Where the compressed samples begin.
    """

    precision: int = 0
    shape: tuple[int, int] = (0, 0)
    components: bytes = b""
    tables: dict[int, bytes] = field(default_factory=dict)
    chosen: list[int] = field(default_factory=list)
    predictor: int = 0
    begin: int = 0


def decode_jpeg_lossless(frame: bytes, shape: tuple[int, int], samples: int) -> np.ndarray:
    """Decode a frame to ``(rows, columns)`` or ``(rows, columns, samples)``, uint8 or uint16.

    Args:
        frame: The frame as JPEG.
        shape: (rows, columns) that it must have.
        samples: Samples of a pixel that it must have.

    Raises:
        ValueError: It is damaged, of another size, or of a kind that the decoder does not know (restart intervals).
        struct.error, IndexError: It breaks off in its header.
    """
    from imagecodecs import jpegsof3_decode

    header = _parse(frame)
    end = frame.find(_END, header.begin)
    if header.shape != shape or len(header.components) != samples or end < 0:
        raise ValueError
    room = bytes(_LONGEST * shape[0] * shape[1] * samples + 16)
    values: np.ndarray = jpegsof3_decode(_plain(header) + frame[header.begin : end] + _END + room)
    return values


def _parse(frame: bytes) -> _Header:
    header, position = _Header(), 2
    if frame[:2] != b"\xff\xd8":
        raise ValueError
    while True:
        mark, marker, length = struct.unpack_from(">BBH", frame, position)
        if mark != 0xFF or length < 2 or marker == _RESTARTS or marker in _OTHER_FRAMES:
            raise ValueError
        content = frame[position + 4 : position + 2 + length]
        position += 2 + length
        if marker == _FRAME:
            header.precision, *shape, count = struct.unpack_from(">BHHB", content)
            header.shape, header.components = (shape[0], shape[1]), content[6 : 6 + 3 * count : 3]
            subsampled = set(content[7 : 6 + 3 * count : 3]) - {0x11}
            if not 2 <= header.precision <= 16 or len(header.components) != count or (count > 1 and subsampled):
                raise ValueError
        elif marker == _TABLES:
            _read_tables(content, header.tables)
        elif marker == _SCAN:
            _read_scan(content, header)
            header.begin = position
            return header


def _read_tables(content: bytes, tables: dict[int, bytes]) -> None:
    while content:
        counts = content[1:17]
        table = content[1 : 17 + sum(counts)]
        codes = sum(count << (16 - bits) for bits, count in enumerate(counts, 1))
        values = table[16:]
        whole = len(values) == sum(counts) and len(set(values)) == len(values) and max(values, default=17) <= 16
        if not whole or codes > 1 << 16:
            raise ValueError
        tables[content[0] & 0x0F] = table
        content = content[17 + len(values) :]


def _read_scan(content: bytes, header: _Header) -> None:
    count = content[0]
    header.predictor, _, shift = content[1 + 2 * count : 4 + 2 * count]
    header.chosen = [byte >> 4 for byte in content[2 : 1 + 2 * count : 2]]
    in_order = content[1 : 1 + 2 * count : 2] == header.components
    if not in_order or not 1 <= header.predictor <= 7 or shift & 0x0F or not set(header.chosen) <= header.tables.keys():
        raise ValueError


def _plain(header: _Header) -> bytes:
    """A header of these values, each component with a table of its own, as the decoder takes them."""
    count = len(header.components)
    tables = b"".join(bytes([number]) + header.tables[chosen] for number, chosen in enumerate(header.chosen))
    frame = struct.pack(">BHHB", header.precision, *header.shape, count)
    frame += b"".join(bytes([number, 0x11, 0]) for number in range(1, count + 1))
    scan = bytes([count]) + b"".join(bytes([number, (number - 1) << 4]) for number in range(1, count + 1))
    segments = ((_TABLES, tables), (_FRAME, frame), (_SCAN, scan + bytes([header.predictor, 0, 0])))
    return b"\xff\xd8" + b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
