"""The journal: what was finished is reused only for the same file, model and settings, and shards become one."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gracile.errors import DataError, UsageError
from gracile.inference import Shard, merge_shards
from gracile.inference.journal import Journal

SETTINGS = {"model": {"name": "m", "weights": {"vessels": "12ab"}}, "probabilities": False}


def record(name: str, status: str = "found", files: dict[str, str] | None = None) -> dict:
    return {"name": name, "sha256": f"digest of {name}", "status": status, "reason": "", "files": files or {}}


def journal(out: Path, shard: Shard | None = None, overwrite: bool = False, **changes: Any) -> Journal:
    return Journal(out, shard, {**SETTINGS, **changes}, overwrite)


def found(book: Journal, name: str) -> bool:
    return book.find(name, f"digest of {name}") is not None


def test_a_killed_runs_records_are_found_again(tmp_path):
    first = journal(tmp_path)
    first.add(record("a"))
    first.add(record("b", "absent"))
    again = journal(tmp_path)
    assert found(again, "a")
    assert found(again, "b")
    assert not found(again, "c")


def test_a_finished_runs_records_are_found_again(tmp_path):
    first = journal(tmp_path)
    first.add(record("a"))
    first.finish(["a"], SETTINGS["model"])
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.json"]
    assert found(journal(tmp_path), "a")


def test_failed_inputs_changed_files_and_lost_masks_are_done_anew(tmp_path):
    book = journal(tmp_path)
    book.add(record("a", "failed"))
    book.add(record("b", files={"mask": "b.png"}))
    (tmp_path / "b.png").touch()
    again = journal(tmp_path)
    assert not found(again, "a")
    assert found(again, "b")
    assert again.find("b", "digest of another file") is None
    (tmp_path / "b.png").unlink()
    assert not found(again, "b")


@pytest.mark.parametrize("changes", [{"model": {"name": "m", "weights": {"vessels": "34cd"}}}, {"probabilities": True}])
def test_records_of_another_model_or_other_settings_are_not_reused(tmp_path, changes):
    book = journal(tmp_path)
    book.add(record("a"))
    for part in (None, Shard(2, 3)):
        with pytest.raises(UsageError, match="--overwrite"):
            journal(tmp_path, part, **changes)
    book.finish(["a"], SETTINGS["model"])
    for part in (None, Shard(2, 3)):
        with pytest.raises(UsageError, match="--overwrite"):
            journal(tmp_path, part, **changes)
    assert not found(journal(tmp_path, overwrite=True, **changes), "a")


def test_the_setting_that_differs_is_named_of_a_finished_run_and_of_one_that_was_killed(tmp_path):
    book = journal(tmp_path)
    book.add(record("a"))
    for part in (None, Shard(2, 3)):
        with pytest.raises(UsageError, match="other settings: probabilities was false and is true"):
            journal(tmp_path, part, probabilities=True)
    book.finish(["a"], SETTINGS["model"])
    with pytest.raises(UsageError, match=r"other settings: measure was not set and is 4\.5"):
        journal(tmp_path, measure=4.5)


def test_a_folder_that_does_not_tell_its_settings_is_refused_all_the_same(tmp_path):
    (tmp_path / ".predictions.jsonl").write_text(json.dumps({"key": "another", **record("a")}) + "\n")
    with pytest.raises(UsageError, match="--overwrite"):
        journal(tmp_path)


def test_overwrite_forgets_what_was_done(tmp_path):
    journal(tmp_path).add(record("a"))
    assert not found(journal(tmp_path, overwrite=True), "a")


def test_a_line_that_was_cut_off_costs_that_record_alone(tmp_path):
    book = journal(tmp_path)
    book.add(record("a"))
    book.add(record("cut"))
    lines = tmp_path / ".predictions.jsonl"
    lines.write_bytes(lines.read_bytes()[:-9])
    second = journal(tmp_path)
    assert found(second, "a")
    assert not found(second, "cut")
    second.add(record("b"))
    third = journal(tmp_path)
    assert found(third, "a")
    assert found(third, "b")


def test_names_with_any_letter_come_back(tmp_path):
    name = "œil\u2028droit\nné"
    journal(tmp_path).add(record(name))
    assert found(journal(tmp_path), name)


def test_a_full_disk_is_said_and_keeps_earlier_records(tmp_path, monkeypatch):
    book = journal(tmp_path)
    book.add(record("a"))

    class Full(io.StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_, **__: Full())
        with pytest.raises(DataError, match="No space left"):
            book.add(record("b"))
    assert found(journal(tmp_path), "a")


def test_predictions_keep_the_order_of_the_inputs(tmp_path):
    book = journal(tmp_path)
    for name in "cab":
        book.add(record(name))
    content = json.loads(book.finish(list("bca"), {"name": "m"}).read_text())
    assert [entry["name"] for entry in content["inputs"]] == ["b", "c", "a"]
    assert content["version"] == 1
    assert content["model"] == {"name": "m"}
    assert content["settings"] == SETTINGS


def write_shards(out: Path, order: str, count: int, **changes: Any) -> None:
    for number in range(1, count + 1):
        names = Shard(number, count).part(list(order))
        book = journal(out, Shard(number, count), overwrite=True, **(changes if number == 1 else {}))
        for name in names:
            book.add(record(name))
        book.finish(names, SETTINGS["model"])


@pytest.mark.parametrize("count", [1, 3, 7])
def test_merged_shards_equal_one_run(tmp_path, count):
    order = "dacbe"
    write_shards(tmp_path / "parts", order, count)
    whole = journal(tmp_path / "whole")
    for name in order:
        whole.add(record(name))
    expected = json.loads(whole.finish(list(order), SETTINGS["model"]).read_text())
    assert json.loads(merge_shards(tmp_path / "parts").read_text()) == expected


def test_a_run_after_a_merge_reuses_what_the_shards_did(tmp_path):
    write_shards(tmp_path, "abc", 2)
    merge_shards(tmp_path)
    assert all(found(journal(tmp_path), name) for name in "abc")


def test_shards_that_do_not_belong_together_are_not_merged(tmp_path):
    with pytest.raises(DataError, match="no parts"):
        merge_shards(tmp_path)
    write_shards(tmp_path / "absent", "abc", 3)
    (tmp_path / "absent" / "predictions.2of3.json").unlink()
    with pytest.raises(DataError, match=r"predictions\.2of3\.json"):
        merge_shards(tmp_path / "absent")
    write_shards(tmp_path / "mixed", "abc", 2, probabilities=True)
    with pytest.raises(DataError, match="different models or settings: probabilities was true and is false"):
        merge_shards(tmp_path / "mixed")
    write_shards(tmp_path / "counts", "abc", 2)
    write_shards(tmp_path / "counts", "abc", 3)
    with pytest.raises(DataError, match="different counts"):
        merge_shards(tmp_path / "counts")
    write_shards(tmp_path / "damaged", "abc", 2)
    (tmp_path / "damaged" / "predictions.1of2.json").write_text("{")
    with pytest.raises(DataError, match=r"predictions\.1of2\.json"):
        merge_shards(tmp_path / "damaged")
