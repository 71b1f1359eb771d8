"""A file is written whole or not at all."""

import errno
import fcntl
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from gracile.errors import DataError, WriteError
from gracile.io import atomic, write_bytes, write_json, write_png, write_text, writing
from gracile.io.atomic import remove_leftovers, require_writable, require_writable_file
from tests.io.full import full_disk_beyond


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


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [(errno.EIO, WriteError, "Free some space"), (errno.EINVAL, DataError, "the disk does not take such a name")],
)
def test_whatever_the_disk_says_of_the_file_itself_is_told_in_words(tmp_path, monkeypatch, code, kind, words):
    def refuse(path, *_):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=words) as told:
        write_text(tmp_path / "a:b.txt", "x")
    assert type(told.value) is kind


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


def test_a_disk_that_no_file_can_grow_on_is_told_as_full(tmp_path):
    with full_disk_beyond(1000), pytest.raises(WriteError, match=r"The disk is full: .*a\.bin"):
        write_bytes(tmp_path / "a.bin", bytes(5000))
    assert list(tmp_path.iterdir()) == []


def killed_while_writing(path: Path) -> None:
    """Leave behind what a process leaves that is killed in the midst of a file."""
    process = os.fork()
    if not process:
        with writing(path) as part:
            part.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)


def test_what_a_killed_process_left_is_removed_and_what_another_is_writing_is_not(tmp_path):
    killed_while_writing(tmp_path / "a.png")
    killed_while_writing(tmp_path / "deep" / "b.png")
    killed_while_writing(tmp_path / "deep" / "er" / "c.png")
    assert len(list(tmp_path.rglob(".part-*"))) == 3
    with writing(tmp_path / "d.png") as going_on:
        remove_leftovers(tmp_path, depth=1)
        assert list(tmp_path.glob("**/.part-*")) == [going_on, *(tmp_path / "deep" / "er").glob(".part-*")]
        going_on.write_bytes(b"whole")
    assert (tmp_path / "d.png").read_bytes() == b"whole"
    require_writable(tmp_path, depth=2)
    assert not list(tmp_path.rglob(".part-*"))


def test_a_part_that_was_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    taken = []

    def lock(descriptor, kind):
        if not taken:  # another run was quicker
            taken.append(next(tmp_path.glob(".part-*")))
            taken[0].unlink()

    monkeypatch.setattr(fcntl, "flock", lock)
    with writing(tmp_path / "a.txt") as part:
        assert part.exists()
        part.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert taken


def test_what_cannot_be_written_is_told_before_anything_is_made(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "index.html").mkdir()
    require_writable(tmp_path / "new" / "deep", "index.html", "report/")
    assert not (tmp_path / "new").exists()
    for refused, names in (("file", ()), ("file/deep", ()), (".", ("index.html",)), (".", ("file/",))):
        with pytest.raises(WriteError, match="cannot be written"):
            require_writable(tmp_path / refused, *names)
    with pytest.raises(WriteError, match="it is a folder"):
        require_writable_file(tmp_path / "index.html")
    with full_disk_beyond(1000), pytest.raises(WriteError, match="The disk is full"):
        require_writable(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "index.html"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_rights_that_are_missing_are_told_before_anything_is_made(tmp_path, monkeypatch, code):
    def refuse(path, *_):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(WriteError, match="Choose a folder that you may write to"):
        require_writable(tmp_path)


def test_without_the_locks_of_unix_files_are_written_and_only_old_leftovers_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    write_text(tmp_path / "a.txt", "whole")
    require_writable(tmp_path, "b.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "whole"
    killed_while_writing(tmp_path / "old.png")
    (old,) = tmp_path.glob(".part-*")
    os.utime(old, (0, 0))
    killed_while_writing(tmp_path / "new.png")
    remove_leftovers(tmp_path)
    assert not old.exists()
    assert len(list(tmp_path.glob(".part-*"))) == 1
