"""What kind of file something is, told by its first bytes and never by its name."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gracile.errors import DataError
from gracile.io.dicom import begins_as_dicom

Group = Literal["picture", "video", "volume"]

_HEAD = 1024


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        name: What people call it.
        suffix: That of the file it is kept in.
        group: How it is predicted and shown.
        media_type: What a browser is told.
    """

    name: str
    suffix: str
    group: Group
    media_type: str


_PNG = Kind("PNG", ".png", "picture", "image/png")
_JPEG = Kind("JPEG", ".jpg", "picture", "image/jpeg")
_GIF = Kind("GIF", ".gif", "picture", "image/gif")
_BMP = Kind("BMP", ".bmp", "picture", "image/bmp")
_TIFF = Kind("TIFF", ".tif", "picture", "image/tiff")
_DICOM = Kind("DICOM", ".dcm", "picture", "application/dicom")
_MP4 = Kind("MP4", ".mp4", "video", "video/mp4")
_AVI = Kind("AVI", ".avi", "video", "video/x-msvideo")
_MATROSKA = Kind("Matroska", ".mkv", "video", "video/x-matroska")
_MPEG = Kind("MPEG", ".mpg", "video", "video/mpeg")
_WEBP = Kind("WebP", ".webp", "picture", "image/webp")
_JPEG_2000 = Kind("JPEG 2000", ".jp2", "picture", "image/jp2")
_PNM = Kind("PNM", ".pnm", "picture", "image/x-portable-anymap")
_FLASH = Kind("Flash video", ".flv", "video", "video/x-flv")
_TRANSPORT = Kind("MPEG transport stream", ".ts", "video", "video/mp2t")
_OGG = Kind("Ogg", ".ogv", "video", "video/ogg")
_WMV = Kind("WMV", ".wmv", "video", "video/x-ms-wmv")
_NIFTI = Kind("NIfTI", ".nii", "volume", "application/octet-stream")
_NIFTI_GZ = Kind("gzipped NIfTI", ".nii.gz", "volume", "application/gzip")
_NRRD = Kind("NRRD", ".nrrd", "volume", "application/octet-stream")
_META = Kind("MetaImage", ".mha", "volume", "application/octet-stream")
_SERIES = Kind("DICOM series (ZIP)", ".unpacked", "volume", "application/zip")

KINDS = (
    _PNG, _JPEG, _TIFF, _BMP, _GIF, _WEBP, _JPEG_2000, _PNM, _DICOM, _MP4, _AVI, _MATROSKA, _MPEG, _TRANSPORT, _WMV,
    _FLASH, _OGG, _NIFTI, _NIFTI_GZ, _NRRD, _META, _SERIES,
)  # fmt: skip
"""All that is taken."""

_MAGIC: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", _PNG),
    (0, b"\xff\xd8\xff", _JPEG),
    (0, b"GIF87a", _GIF),
    (0, b"GIF89a", _GIF),
    (0, b"II*\x00", _TIFF),
    (0, b"MM\x00*", _TIFF),
    (0, b"II+\x00", _TIFF),
    (0, b"MM\x00+", _TIFF),
    (4, b"ftyp", _MP4),
    (4, b"moov", _MP4),
    (4, b"mdat", _MP4),
    (4, b"wide", _MP4),
    (8, b"WEBP", _WEBP),
    (4, b"jP  \r\n", _JPEG_2000),
    *((0, b"P%d%c" % (number, space), _PNM) for number in range(1, 7) for space in b" \n\r\t"),
    (0, b"FLV\x01", _FLASH),
    (0, b"OggS", _OGG),
    (0, b"\x1a\x45\xdf\xa3", _MATROSKA),
    (0, b"\x00\x00\x01\xba", _MPEG),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _WMV),
    (8, b"AVI ", _AVI),
    (0, b"BM", _BMP),
    (0, b"NRRD000", _NRRD),
    (0, b"ObjectType = ", _META),
    (0, b"NDims = ", _META),
    (0, b"PK\x03\x04", _SERIES),
)


def kind_of(path: Path) -> Kind:
    """The kind of a file by its content. Raises DataError for one that is not taken."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    # Packets of 188 bytes, in recorders' files (.m2ts) with four bytes of time before each.
    if {head[0:1], head[188:189]} == {b"G"} or {head[4:5], head[196:197]} == {b"G"}:
        return _TRANSPORT
    if begins_as_dicom(head):
        return _DICOM
    if is_nifti_header(head):
        return _NIFTI
    if head[:2] == b"\x1f\x8b" and is_nifti_header(_unpacked(path)):
        return _NIFTI_GZ
    raise DataError(
        "The file is none of the kinds that are taken.",
        f"Those are {', '.join(kind.name for kind in KINDS)}; they are told by content, not by name.",
    )


def group_by_content(path: Path) -> Group | None:
    """How a file is predicted, by its content; None where that tells nothing."""
    try:
        return kind_of(path).group
    except (OSError, DataError):
        return None


def is_nifti_header(head: bytes) -> bool:
    """Whether bytes begin as a NIfTI-1 or NIfTI-2 file does."""
    return head[344:348] in (b"n+1\x00", b"ni1\x00") or head[4:8] in (b"n+2\x00", b"ni2\x00")


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return b""
