"""Several inputs under way at once: their order, what one of them does to the others, and how much memory they take."""

import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from gracile.case import Case
from gracile.errors import DataError, WriteError
from gracile.inference import Options, find_inputs, predict, underway
from gracile.inference.underway import Room
from gracile.recipe import read_recipe
from gracile.result import Result
from gracile.trust import Ordinary, Unlike

COUNT = 12


class Slow:
    """A pipeline whose first picture takes until something has happened, and of which some fail."""

    recipe = read_recipe("surgical-tool", ["measure=[]"])
    ordinary, unlike = Ordinary(), Unlike()
    quality, no_quality = None, ""
    learned_from: frozenset[str] = frozenset()
    computed: ClassVar[dict[str, Any]] = {}

    def __init__(self, failing: tuple[str, ...] = (), until: threading.Event | None = None) -> None:
        self.failing, self.until = failing, until

    def __call__(self, case: Case, *, keep_probabilities: bool = False) -> Result:
        if self.until is not None and case.id == "00":
            assert self.until.wait(20)
        if case.id in self.failing:
            raise DataError(f"{case.id} is none.")
        mask = np.zeros(case.grid.shape, np.uint8)
        mask[2:5, 2:5] = 1
        return Result(case.id, "found", case.grid, self.recipe.class_names, mask=mask)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(COUNT):
        Image.new("RGB", (32, 24), (number, 100, 50)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def third_is_read(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    reading, read = underway.read_case_file, threading.Event()

    def telling(path: Path, name: str, *more: Any) -> Case:
        if name == "02":
            read.set()
        return reading(path, name, *more)

    monkeypatch.setattr(underway, "read_case_file", telling)
    return read


def names(numbers: range) -> list[str]:
    return [f"{number:02}" for number in numbers]


def run(pipeline: Any, pictures: Path, out: Path, observe: Any = None) -> tuple[Any, list[str]]:
    seen: list[str] = []

    def noting(case: Case | None, result: Result | None, record: dict[str, Any]) -> None:
        seen.append(record["name"])
        if observe:
            observe(case, result, record)

    return predict(pipeline, {"name": "slow"}, find_inputs([str(pictures)]), out, Options(), noting), seen


def test_records_come_in_the_order_of_the_inputs_while_one_waits_for_another(
    pictures: Path, tmp_path: Path, third_is_read: threading.Event
) -> None:
    summary, seen = run(Slow(failing=("03", "07"), until=third_is_read), pictures, tmp_path / "out")
    assert seen == names(range(COUNT))
    assert list(summary.failed) == ["03", "07"]
    assert summary.failed["03"] == "03 is none."
    assert (tmp_path / "out/08.png").is_file()
    again, seen = run(Slow(failing=("03", "07")), pictures, tmp_path / "out")
    assert seen == names(range(COUNT))
    assert len(again.reused) == COUNT - 2


def test_what_is_shown_slowly_leaves_few_under_way(pictures: Path, tmp_path: Path, monkeypatch: Any) -> None:
    reading, several = underway.read_case_file, threading.Event()
    read: list[str] = []
    shown: list[str] = []
    most: list[int] = []

    def counted(path: Path, name: str, *more: Any) -> Case:
        read.append(name)
        most.append(len(read) - len(shown))
        if most[-1] == 4:
            several.set()
        return reading(path, name, *more)

    def show(case: Case | None, result: Result | None, record: dict[str, Any]) -> None:
        assert several.wait(20)
        shown.append(record["name"])

    monkeypatch.setattr(underway, "read_case_file", counted)
    run(Slow(), pictures, tmp_path / "out", show)
    assert 4 <= max(most) <= 8


def test_large_images_go_one_after_the_other(pictures: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(underway, "AT_ONCE", 100)
    begun: list[str] = []

    class Noting(Slow):
        def __call__(self, case: Case, **more: Any) -> Result:
            begun.append(case.id)
            return super().__call__(case, **more)

    def show(case: Case | None, result: Result | None, record: dict[str, Any]) -> None:
        assert begun[-1] == record["name"]

    run(Noting(), pictures, tmp_path / "out", show)


@pytest.mark.parametrize("error", [KeyboardInterrupt, WriteError("The disk is full.")])
def test_whatever_ends_a_run_leaves_no_thread_behind(
    pictures: Path, tmp_path: Path, monkeypatch: Any, error: BaseException
) -> None:
    monkeypatch.setattr(underway, "AT_ONCE", 100)  # so that reading waits for room
    before = threading.active_count()

    def stop(case: Case | None, result: Result | None, record: dict[str, Any]) -> None:
        if record["name"] == "02":
            raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        run(Slow(), pictures, tmp_path / "out", stop)
    assert threading.active_count() == before
    summary, _ = run(Slow(), pictures, tmp_path / "out")
    assert len(summary.reused) == 3


def test_a_full_disk_ends_the_run_after_what_was_written(pictures: Path, tmp_path: Path, monkeypatch: Any) -> None:
    writing = underway.write_found

    def full(result: Result, *more: Any) -> dict[str, str]:
        if result.case_id == "05":
            raise WriteError("The disk is full.")
        return writing(result, *more)

    monkeypatch.setattr(underway, "write_found", full)
    with pytest.raises(WriteError):
        run(Slow(), pictures, tmp_path / "out")
    monkeypatch.setattr(underway, "write_found", writing)
    summary, _ = run(Slow(), pictures, tmp_path / "out")
    assert summary.reused == names(range(5))


def test_room_lets_one_in_that_is_larger_than_all_and_nobody_beside_it() -> None:
    room = Room(10)
    order: list[str] = []

    def enter() -> None:
        room.enter(1)
        order.append("second")

    room.enter(25)
    waiting = threading.Thread(target=enter)
    waiting.start()
    order.append("first")
    room.leave(25)
    waiting.join(20)
    assert order == ["first", "second"]
