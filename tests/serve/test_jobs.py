"""The folder of jobs."""

from pathlib import Path

import pytest

from gracile.serve.jobs import INTERRUPTED, JobStore
from gracile.serve.naming import shown_name


def test_after_a_restart_what_was_not_done_is_told_as_interrupted_and_its_upload_is_gone(tmp_path: Path) -> None:
    job = JobStore(tmp_path, 3600).new("eye.png", "bright", {})
    (job.folder / "upload").write_bytes(b"half")
    job.tell(state="queued")
    again = JobStore(tmp_path, 3600).find(job.id)
    assert again is not None
    assert (again.state, again.reason, again.name) == ("failed", INTERRUPTED, "eye.png")
    assert [file.name for file in job.folder.iterdir()] == ["job.json"]
    third = JobStore(tmp_path, 3600, clock=lambda: again.finished + 3601)
    assert third.sweep() == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"state": "done"}', b"\xff", b"null"])
def test_a_damaged_record_of_a_job_is_passed_over(tmp_path: Path, content: bytes) -> None:
    job = JobStore(tmp_path, 3600).new("eye.png", "bright", {})
    (job.folder / "job.json").write_bytes(content)
    assert JobStore(tmp_path, 3600).find(job.id) is None


def test_what_a_killed_server_left_half_done_is_removed_and_nothing_else(tmp_path: Path) -> None:
    job = JobStore(tmp_path, 3600).new("eye.png", "bright", {})
    (job.folder / "input.png").write_bytes(b"half")
    (job.folder / "job.json").unlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/input.png").write_bytes(b"a user's own")
    store = JobStore(tmp_path, 3600)
    assert store.find(job.id) is None
    assert [place.name for place in tmp_path.iterdir()] == ["mine"]


def test_finished_jobs_are_taken_over_with_their_time(tmp_path: Path) -> None:
    job = JobStore(tmp_path, 3600, clock=lambda: 1000.0).new("eye.png", "bright", {})
    job.tell(state="done")
    later = JobStore(tmp_path, 3600, clock=lambda: job.finished + 3601)
    assert later.find(job.id) is not None
    assert later.sweep() == 1
    assert not job.folder.exists()


def test_names_are_shown_without_folders_and_control_characters() -> None:
    assert shown_name("../../a\x00\x1b[2Jb.png") == "a[2Jb.png"
    assert shown_name("C:\\scans\\x.png") == "x.png"
    assert shown_name("") == "upload"
    assert len(shown_name("x" * 5000)) == 100
