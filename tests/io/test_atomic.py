"""A file is written whole or not at all."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.io import write_bytes, write_json, write_png, write_text, writing


@pytest.fixture
def full_disk(monkeypatch):
    """Writing fails after a few bytes, as on a full disk."""
    whole_open = Path.open

    def open_full(self, mode="r", *args, **kwargs):
        file = whole_open(self, mode, *args, **kwargs)
        if "w" not in mode:
            return file

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, content):
                file.write(content[:3])
                raise OSError(errno.ENOSPC, "No space left on device")

        return Full()

    monkeypatch.setattr(Path, "open", open_full)


def test_full_disk_is_said_and_leaves_the_old_file(tmp_path, full_disk):
    target = tmp_path / "mask.png"
    target.touch()
    for write in (
        lambda: write_bytes(target, b"new content"),
        lambda: write_text(target, "new content"),
        lambda: write_json(target, {"new": 1}),
        lambda: write_png(target, np.zeros((9, 9), np.uint8)),
    ):
        with pytest.raises(DataError, match=r"The disk is full: .*mask\.png was not written"):
            write()
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == b""


def test_target_appears_only_when_the_block_succeeds(tmp_path):
    target = tmp_path / "deep" / "scan.nii.gz"
    with writing(target) as part:
        part.write_bytes(b"whole")
        assert part.parent == target.parent
        assert part.name.endswith(".nii.gz")
        assert part.name.startswith(".")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_failure_keeps_the_old_content(tmp_path, failure):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail_half_way():
        with writing(target) as part:
            part.write_text("half")
            raise failure

    with pytest.raises(failure):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_foreign_os_errors_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), writing(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()


def test_folder_that_is_a_file_is_explained(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="part of its path is a file"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_json_is_plain_and_refuses_nan(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Ä", "values": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": "Ä", "values": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert "Ä" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path):
    target = tmp_path / ("n" * 251 + ".png")
    write_bytes(target, b"mask")
    assert target.read_bytes() == b"mask"
    with pytest.raises(DataError, match="too long"):
        write_bytes(tmp_path / ("n" * 300), b"mask")


def test_file_names_that_are_no_unicode_are_written_as_escapes(tmp_path):
    write_json(tmp_path / "names.json", {"name": "scan\udcff"})
    assert json.loads((tmp_path / "names.json").read_text()) == {"name": "scan\udcff"}
