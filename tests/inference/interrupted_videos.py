"""Videos that are interrupted, cameras that go on for ever or stall, and sources faster than the rest."""

import itertools
import signal
import threading
from collections.abc import Iterator

import pytest

from gracile.inference import VideoOptions, conveyor
from gracile.inference.video import predict_video
from gracile.io.frames import Frame, Video
from gracile.recipe import read_recipe
from tests.inference.clips import RATE, SETTINGS, Bright, frame, frames_of, measured, rows_of


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Ctrl-C is an interrupt, also where the tests were started in the background, which lets it pass unheard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def pipeline():
    return Bright(read_recipe("structure-2d", SETTINGS))


class Endless(Video):
    """A source that goes on for ever; counts what was taken from it."""

    name, size, rate, time_base = "endless", (48, 64), RATE, 1 / RATE

    def __init__(self, live: bool = False) -> None:
        super().__init__()
        self.live = live
        self.taken = 0

    def __iter__(self):
        while True:
            self.taken += 1
            yield Frame(frame(), self.taken, self.time_base)


def interrupting(monkeypatch, *after: int) -> None:
    """Let Ctrl-C come when the main thread asks for these answers; twice for one that is named twice."""
    from gracile.inference.conveyor import Conveyor

    plain = Conveyor.__next__
    given = 0

    def interrupted(self):
        nonlocal given
        given += 1
        for _ in range(after.count(given)):
            signal.raise_signal(signal.SIGINT)
        return plain(self)

    monkeypatch.setattr(Conveyor, "__next__", interrupted)


def test_an_interrupt_leaves_no_file_and_no_thread(pipeline, tmp_path, monkeypatch):
    interrupting(monkeypatch, 5)
    monkeypatch.setattr(conveyor, "_SOURCE_SECONDS", 60.0)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        predict_video(pipeline, Endless(), "clip", tmp_path / "out", VideoOptions())
    assert threading.active_count() <= before
    assert not list((tmp_path / "out").iterdir())


def test_an_interrupt_ends_a_camera_and_keeps_what_was_seen(pipeline, tmp_path, monkeypatch):
    interrupting(monkeypatch, 5)
    source = Endless(live=True)
    record = predict_video(pipeline, source, "camera-0", tmp_path, VideoOptions())
    rows = rows_of(tmp_path / "camera-0.csv")
    assert len(rows) == len(frames_of(tmp_path / "camera-0.mp4")) == measured(record, "frames")
    assert 4 <= len(rows) <= source.taken
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Stalled(Endless):
    """A camera that gives three frames and then nothing any more."""

    def __iter__(self):
        yield from itertools.islice(super().__iter__(), 3)
        self.stalled.wait()

    def __init__(self) -> None:
        super().__init__(live=True)
        self.stalled = threading.Event()


def test_an_interrupt_ends_a_camera_that_gives_nothing_any_more(pipeline, tmp_path, monkeypatch):
    interrupting(monkeypatch, 4)
    monkeypatch.setattr(conveyor, "_SOURCE_SECONDS", 0.1)
    source = Stalled()
    record = predict_video(pipeline, source, "camera-0", tmp_path, VideoOptions())
    source.stalled.set()
    assert len(rows_of(tmp_path / "camera-0.csv")) == measured(record, "frames") == 3


def test_a_second_interrupt_breaks_a_recording_off(pipeline, tmp_path, monkeypatch):
    interrupting(monkeypatch, 3, 3)
    with pytest.raises(KeyboardInterrupt):
        predict_video(pipeline, Endless(live=True), "camera-0", tmp_path / "out", VideoOptions())
    assert not list((tmp_path / "out").iterdir())


def test_a_decoder_that_is_faster_than_the_rest_does_not_fill_the_memory(pipeline, tmp_path, monkeypatch):
    source, ahead = Endless(), []
    plain = Bright.__call__

    def watching(self, case, **more):
        ahead.append(source.taken - len(ahead))
        return plain(self, case, **more)

    monkeypatch.setattr(Bright, "__call__", watching)
    interrupting(monkeypatch, 60)
    with pytest.raises(KeyboardInterrupt):
        predict_video(pipeline, source, "clip", tmp_path / "out", VideoOptions(waiting=2))
    assert len(ahead) >= 59
    assert max(ahead) <= 2 + 2  # waiting, one in the decoder's hands and this one
