"""Archives of DICOM series: what is taken out of them, and what is refused."""

import struct
import zipfile
from pathlib import Path

import pytest

from gracile.errors import DataError
from gracile.serve.unpacking import unpack_series

DICOM = bytes(128) + b"DICM" + b"content"


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for name, member in members.items():
            content.writestr(name, member)
    return path


def test_dicom_files_are_taken_by_their_content_under_names_of_our_own(tmp_path: Path) -> None:
    names = {"../../Doe^Jane": DICOM, "/etc/cron.d/x": DICOM, "a/b/IM1.dcm": b"no DICOM", "DICOMDIR": b"", "c/": b""}
    folder = tmp_path / "one/two/series"
    folder.parent.mkdir(parents=True)
    assert unpack_series(archive(tmp_path / "a.zip", **names), folder, 10_000) == 2
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.dcm")) == [
        Path("one/two/series/00001.dcm"),
        Path("one/two/series/00002.dcm"),
    ]
    assert (folder / "00001.dcm").read_bytes() == DICOM


def test_an_archive_that_claims_too_much_is_not_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", one=DICOM + bytes(600), two=DICOM + bytes(600))
    with pytest.raises(DataError, match="claims 2 files"):
        unpack_series(path, tmp_path / "series", 1000)
    assert not (tmp_path / "series").exists()


def test_a_member_that_is_larger_than_it_claims_is_cut_off_and_refused(tmp_path: Path) -> None:
    content = bytearray(archive(tmp_path / "a.zip", one=DICOM + bytes(5_000_000)).read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 1000)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        unpack_series(tmp_path / "a.zip", tmp_path / "series", 100_000)
    assert sum(path.stat().st_size for path in (tmp_path / "series").iterdir()) <= 1000


def test_encrypted_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", one=DICOM)
    whole = path.read_bytes()
    locked = bytearray(whole)
    struct.pack_into("<H", locked, whole.index(b"PK\x01\x02") + 8, 1)
    for content, words in ((bytes(locked), "encrypted"), (whole[:-30], "damaged"), (b"PK\x03\x04", "damaged")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=words):
            unpack_series(path, tmp_path / "series", 10_000)
