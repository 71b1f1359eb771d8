"""A run folder: runs add to it, one after another and at once; nothing is lost, nothing stands twice, nothing mixes."""

import errno
import io
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gracile.errors import DataError, UsageError
from gracile.inference import Input, Shard, merge_shards
from gracile.inference.records import record_of
from gracile.inference.run_folder import RunFolder
from gracile.io.predictions_file import read_predictions

SETTINGS = {"model": {"name": "m", "weights": {"vessels": "12ab"}}, "probabilities": False}


class Run(RunFolder):
    """A run whose answers are made up: names stand for inputs of a folder ``x``."""

    def __init__(self, out: Path, shard: Shard | None = None, overwrite: bool = False, **changes: Any) -> None:
        super().__init__(out, {**SETTINGS, **changes}, shard, overwrite)

    @contextmanager
    def over(self, *paths: str) -> Iterator[None]:
        inputs = [Input(Path("x", path) if "/" not in path else Path(path), Path(path).stem) for path in paths]
        with self.taking(inputs) as part:
            self.inputs = {str(entry.path): entry for entry in part}
            yield

    def answer(self, path: str, digest: str = "", **told: Any) -> dict[str, Any]:
        entry = self.entry(path)
        record = record_of(entry, digest or f"digest of {entry.name}", {}, {"status": "found", **told})
        self.add(record)
        return record

    def found(self, path: str, digest: str = "") -> bool:
        entry = self.entry(path)
        record = self.find(entry, digest or f"digest of {entry.name}")
        if record is not None:
            self.keep(record)
        return record is not None

    def entry(self, path: str) -> Input:
        return self.inputs[path if "/" in path else f"x/{path}"]


def whole(out: Path, *paths: str, **options: Any) -> None:
    """A run from beginning to end."""
    run = Run(out, **options)
    with run.over(*paths):
        for path in paths:
            run.answer(path)
        run.finish()


def interrupted(out: Path, *paths: str, **options: Any) -> None:
    """A run that ends before it finishes."""
    run = Run(out, **options)
    with run.over(*paths):
        for path in paths:
            run.answer(path)


def names(out: Path) -> list[str]:
    return [record["name"] for record in read_predictions(out / "predictions.json")["inputs"]]


def test_a_second_run_keeps_the_records_of_the_first(tmp_path):
    whole(tmp_path, "b.png", "a.png")
    whole(tmp_path, "c.png")
    assert names(tmp_path) == ["b", "a", "c"]


def test_new_content_of_an_input_replaces_its_record(tmp_path):
    whole(tmp_path, "a.png", "b.png")
    run = Run(tmp_path)
    with run.over("a.png"):
        assert not run.found("a.png", "another digest")
        run.answer("a.png", "another digest", reason="new")
        run.finish()
    records = read_predictions(tmp_path / "predictions.json")["inputs"]
    assert [(record["name"], record["reason"]) for record in records] == [("a", "new"), ("b", "")]


def test_a_later_input_of_a_taken_name_gets_its_parent_folder_in_front(tmp_path):
    out = tmp_path / "out"
    whole(out, "s1/t2.nii.gz")
    whole(out, "s2/t2.nii.gz", "s2/t2.nii")
    assert names(out)[0] == "t2.nii"  # the made-up stem keeps the first suffix
    assert names(out)[1:] == ["s2-t2", "t2"]
    run = Run(out)
    with run.over("s1/t2.nii.gz", "s2/t2.nii.gz"):
        assert [entry.name for entry in run.inputs.values()] == ["t2.nii", "s2-t2"]


def test_names_of_what_lies_beside_the_masks_are_not_taken(tmp_path):
    whole(tmp_path, "cases.mp4", "measurements.mp4", "Predictions.2of8.mp4")
    assert names(tmp_path) == ["x-cases", "x-measurements", "x-Predictions.2of8"]


def test_a_camera_is_never_the_same_input_again(tmp_path):
    for _ in range(2):
        run = Run(tmp_path)
        with run.taking([Input(Path("camera:0"), "camera-0", "camera")]) as (entry,):
            run.add(record_of(entry, "", {}, {"status": "found"}))
            run.finish()
    assert names(tmp_path) == ["camera-0", "camera-0-2"]


def test_a_relative_path_is_the_same_input_from_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    whole(tmp_path / "out", "x/a.png")
    monkeypatch.chdir(tmp_path / "deep")
    run = Run(tmp_path / "out")
    with run.over("../x/a.png"):
        assert run.found("../x/a.png", "digest of a")


def test_a_killed_runs_records_are_found_again(tmp_path):
    interrupted(tmp_path, "a.png", "b.png")
    run = Run(tmp_path)
    with run.over("a.png", "b.png", "c.png"):
        assert run.found("a.png")
        assert run.found("b.png")
        assert not run.found("c.png")


def test_who_finishes_takes_up_what_a_killed_run_had_done(tmp_path):
    interrupted(tmp_path, "a.png")
    whole(tmp_path, "b.png")
    assert names(tmp_path) == ["b", "a"]
    assert not list((tmp_path / ".gracile").glob("*.jsonl"))


def test_failed_inputs_changed_files_and_lost_masks_are_done_anew(tmp_path):
    run = Run(tmp_path)
    with run.over("a.png", "b.png"):
        run.answer("a.png", status="failed")
        run.answer("b.png", files={"mask": "b.png"})
    (tmp_path / "b.png").touch()
    again = Run(tmp_path)
    with again.over("a.png", "b.png"):
        assert not again.found("a.png")
        assert again.found("b.png")
        assert not again.found("b.png", "digest of another file")
        (tmp_path / "b.png").unlink()
        assert not again.found("b.png")


@pytest.mark.parametrize("changes", [{"model": {"name": "m", "weights": {"vessels": "34cd"}}}, {"probabilities": True}])
@pytest.mark.parametrize("before", [whole, interrupted])
def test_another_model_or_other_settings_are_refused(tmp_path, changes, before):
    before(tmp_path, "a.png")
    for part in (None, Shard(2, 3)):
        with pytest.raises(UsageError, match="--overwrite"), Run(tmp_path, part, **changes).over("a.png"):
            pass
    run = Run(tmp_path, overwrite=True, **changes)
    with run.over("a.png"):
        assert not run.found("a.png")


@pytest.mark.parametrize("before", [whole, interrupted])
def test_the_setting_that_differs_is_named(tmp_path, before):
    before(tmp_path, "a.png")
    with pytest.raises(UsageError, match="other settings: probabilities was false and is true"):
        whole(tmp_path, "a.png", probabilities=True)
    with pytest.raises(UsageError, match=r"other settings: measure was not set and is 4\.5"):
        whole(tmp_path, "a.png", measure=4.5)


def test_overwrite_does_all_anew_and_keeps_the_other_records(tmp_path):
    whole(tmp_path, "a.png", "b.png")
    run = Run(tmp_path, overwrite=True)
    with run.over("a.png"):
        assert not run.found("a.png")
        run.answer("a.png")
        run.finish()
    assert names(tmp_path) == ["a", "b"]


def test_an_interrupted_overwrite_goes_on_where_it_stopped(tmp_path):
    whole(tmp_path, "a.png", "b.png")
    interrupted(tmp_path, "a.png", overwrite=True, measure=4.5)
    run = Run(tmp_path, overwrite=True, measure=4.5)
    with run.over("a.png", "b.png"):
        assert run.found("a.png")
        assert not run.found("b.png")
        run.answer("b.png")
        run.finish()
    again = Run(tmp_path, overwrite=True, measure=4.5)
    with again.over("a.png"):
        assert not again.found("a.png")


def test_overwriting_another_models_folder_leaves_none_of_its_files(tmp_path):
    run = Run(tmp_path)
    (tmp_path / "outside.png").touch()
    with run.over("a.png", "b.png"):
        for name in "ab":
            (tmp_path / f"{name}.png").touch()
            run.answer(f"{name}.png", files={"mask": f"{name}.png", "odd": f"../{tmp_path.name}/outside.png"})
        run.finish()
    run = Run(tmp_path, overwrite=True, measure=4.5)
    with run.over("a.png"):
        run.answer("a.png", files={"mask": "a.png"})
        assert (tmp_path / "b.png").exists()
        run.finish()
    assert names(tmp_path) == ["a"]
    assert {path.name for path in tmp_path.glob("*.png")} == {"a.png", "outside.png"}


def test_a_run_that_goes_on_with_other_settings_is_not_overwritten(tmp_path):
    first = Run(tmp_path)
    with first.over("a.png"), pytest.raises(UsageError, match="At this moment"):
        whole(tmp_path, "b.png", overwrite=True, measure=4.5)


def test_a_line_that_was_cut_off_costs_that_record_alone(tmp_path):
    interrupted(tmp_path, "a.png", "cut.png")
    (lines,) = (tmp_path / ".gracile").glob("*.jsonl")
    lines.write_bytes(lines.read_bytes()[:-9])
    run = Run(tmp_path)
    with run.over("a.png", "cut.png"):
        assert run.found("a.png")
        assert not run.found("cut.png")


def test_a_journals_record_that_lost_its_path_is_known_by_its_input(tmp_path):
    run = Run(tmp_path)
    with run.over("a.png", "b.png"):
        run.answer("a.png")
        (journal,) = (tmp_path / ".gracile").glob("*.jsonl")
        text = journal.read_text()
        journal.write_text(text.replace('"path": ', '"other": '))
        run.answer("b.png")
        run.finish()
    assert [record["name"] for record in read_predictions(tmp_path / "predictions.json")["inputs"]] == ["a", "b"]


def test_names_with_any_letter_come_back(tmp_path):
    name = "x/œil\u2028droit\nné \udcff.png"
    for before in (interrupted, whole):
        before(tmp_path, name)
        run = Run(tmp_path)
        with run.over(name):
            assert run.found(name)


def test_a_full_disk_is_said_and_keeps_earlier_records(tmp_path, monkeypatch):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    run = Run(tmp_path)
    with run.over("a.png", "b.png"):
        run.answer("a.png")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda *_, **__: Full())
            with pytest.raises(DataError, match="The disk is full"):
                run.answer("b.png")
    again = Run(tmp_path)
    with again.over("a.png"):
        assert again.found("a.png")


def test_predictions_tell_the_model_its_settings_and_each_note_once(tmp_path):
    run = Run(tmp_path)
    with run.over("c.png", "a.png"):
        for name in "ac":
            run.answer(f"{name}.png", notes=["not gated", f"of {name}"])
        run.finish()
    content = json.loads((tmp_path / "predictions.json").read_text())
    assert content["version"] == 1
    assert content["model"] == {"name": "m", "weights": {"vessels": "12ab"}}
    assert content["settings"] == SETTINGS
    assert sorted(content["notes"]) == ["not gated", "of a", "of c"]


def take_and_answer(out: Path, gate: Any, path: str, count: int) -> None:
    """Another process, which begins when all do."""
    gate.wait()
    for number in range(count):
        whole(out, f"{path}/same.png", f"{path}/{path}-{number}.png", "shared/both.png")


def test_runs_at_once_all_count_and_no_name_is_taken_twice(tmp_path):
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(3)
    runs = [context.Process(target=take_and_answer, args=(tmp_path, gate, path, 4)) for path in ("p", "q", "r")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0, 0]
    records = read_predictions(tmp_path / "predictions.json")["inputs"]
    paths = [record["path"] for record in records]
    assert len(set(paths)) == len(paths) == 3 * 4 + 3 + 1
    assert len({record["name"] for record in records}) == len(paths)
    assert {record["name"] for record in records if record["input"].endswith("/same.png")} > {"same"}


def be_killed(out: Path) -> None:
    run = Run(out)
    with run.over("a.png", "b.png"):
        run.answer("a.png")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_is_known_to_be_dead_when_it_was_killed(tmp_path):
    context = multiprocessing.get_context("fork")
    run = context.Process(target=be_killed, args=(tmp_path,))
    run.start()
    run.join()
    assert run.exitcode == -signal.SIGKILL
    whole(tmp_path, "x/c.png", overwrite=True, measure=4.5)  # refused while it lived
    assert names(tmp_path) == ["c"]


def test_a_case_is_computed_while_another_run_writes_its_pages(tmp_path):
    run, other = Run(tmp_path), Run(tmp_path, Shard(1, 2))

    def publish(records: list[dict[str, Any]]) -> Path:
        with other.over("b.png", "c.png"):
            other.answer("b.png")
            other.finish()  # a part waits for none
        return tmp_path

    with run.over("a.png"):
        run.answer("a.png")
        run.finish(publish)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "predictions.1of2.json").exists()


def write_shards(out: Path, order: str, count: int, **changes: Any) -> None:
    for number in range(1, count + 1):
        run = Run(out, Shard(number, count), overwrite=True, **(changes if number == 1 else {}))
        with run.over(*(f"{name}.png" for name in order)):
            for path in list(run.inputs):
                run.answer(path)
            run.finish()


def without_times(out: Path) -> list[dict[str, Any]]:
    records = read_predictions(out / "predictions.json")["inputs"]
    return [{key: value for key, value in record.items() if key != "finished"} for record in records]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_merged_shards_equal_one_run(tmp_path, count):
    order = "dacbe"
    write_shards(tmp_path / "parts", order, count)
    assert not (tmp_path / "parts" / "cases.csv").exists()
    merge_shards(tmp_path / "parts")
    whole(tmp_path / "whole", *(f"{name}.png" for name in order))
    assert without_times(tmp_path / "parts") == without_times(tmp_path / "whole")
    for table in ("cases.csv", "measurements.csv"):
        assert (tmp_path / "parts" / table).read_text() == (tmp_path / "whole" / table).read_text()


def test_shards_add_to_what_the_folder_holds(tmp_path):
    whole(tmp_path, "a.png", "z/b.png")
    write_shards(tmp_path, "abc", 2)
    merge_shards(tmp_path)
    assert names(tmp_path) == ["a", "b", "x-b", "c"]
    write_shards(tmp_path, "de", 2)
    merge_shards(tmp_path)
    assert names(tmp_path)[:4] == ["a", "b", "x-b", "c"]
    assert sorted(names(tmp_path)[4:]) == ["d", "e"]


def test_a_run_after_a_merge_reuses_what_the_shards_did(tmp_path):
    write_shards(tmp_path, "abc", 2)
    merge_shards(tmp_path)
    run = Run(tmp_path)
    with run.over("a.png", "b.png", "c.png"):
        assert all(run.found(f"{name}.png") for name in "abc")


def test_a_shard_reuses_what_was_done_before_and_has_it_in_its_part(tmp_path):
    whole(tmp_path, "a.png", "b.png", "c.png")
    run = Run(tmp_path, Shard(2, 2))
    with run.over("a.png", "b.png", "c.png"):
        assert run.found("b.png")
        run.finish()
    assert [record["name"] for record in read_predictions(tmp_path / "predictions.2of2.json")["inputs"]] == ["b"]


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
    (tmp_path / "counts" / "predictions.3of3.json").unlink()
    with pytest.raises(DataError, match=r"predictions\.3of3\.json"):
        merge_shards(tmp_path / "counts")
    write_shards(tmp_path / "damaged", "abc", 2)
    (tmp_path / "damaged" / "predictions.1of2.json").write_text("{")
    with pytest.raises(DataError, match=r"predictions\.1of2\.json"):
        merge_shards(tmp_path / "damaged")


@pytest.mark.parametrize("count", [50, 200])
def test_the_work_of_a_case_does_not_grow_with_their_number(tmp_path, count, monkeypatch):
    """What a case reads and writes is counted, not timed: the whole folder twice, then one line each."""
    opened: list[str] = []
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *a, **k: (opened.append(path.suffix), plain(path, *a, **k))[1])
    whole(tmp_path, *(f"{number}.png" for number in range(count)))
    assert opened.count(".jsonl") == count + 2
    assert len(opened) < count + 20
