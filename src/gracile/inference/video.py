"""A video through a pipeline: decoded, answered, painted and encoded at once, a row of a table for each frame."""

import csv
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from gracile.errors import DataError
from gracile.inference.conveyor import Conveyor, HoldingStep
from gracile.inference.frames import (
    ClipTruth,
    FirstLooker,
    FrameAnswer,
    FrameLooker,
    FramePainter,
    FrameRememberer,
    Step,
    timed,
)
from gracile.inference.options import VideoOptions
from gracile.inference.smoothing import Smoother
from gracile.io import writing
from gracile.io.frames import Video
from gracile.io.video import open_video
from gracile.io.video_writing import VideoWriter, write_video
from gracile.pipeline import Pipeline
from gracile.result import Measurement


def predict_video(
    pipeline: Pipeline, source: Path | int | Video, name: str, out: Path, options: VideoOptions
) -> dict[str, Any]:
    """Predict a clip, a folder of pictures or a camera, and write ``NAME.mp4`` (or ``.avi``) and ``NAME.csv``.

    Decoding, the pipeline, painting and encoding run in a thread each, beside PyTorch's own. An interrupt leaves no
    file behind, except for a camera, which it ends.

    Args:
        pipeline: Loaded once, used for all.
        source: The video, or where it is.
        name: What the files are called.
        out: Folder to write to.
        options: See there.

    Returns:
        The record: status, reason, gates (their means), measurements, flags, files, seconds by step, and the clip's
        frame rate and gates.

    Raises:
        DataError: It cannot be opened, no frame could be answered, labels do not fit, or a file cannot be written.
    """
    begun = time.perf_counter()
    with ExitStack() as stack:
        video = source if isinstance(source, Video) else stack.enter_context(open_video(source))
        truth = ClipTruth(options.truth, name, pipeline.recipe) if options.truth else None
        remembers = bool(pipeline.memories)
        smoother = Smoother(options.smooth, pipeline.decide, gated=remembers) if options.smooth else None
        files = {"video": f"{name}.{options.format}", "frames": f"{name}.csv"}
        size = (video.size[0], video.size[1] * (2 if truth else 1))
        totals = _Totals(pipeline.recipe.structures, truth, smoother is not None)
        steps = [spec.name for spec in pipeline.stages]
        with writing(out / files["frames"]) as part, part.open("w", encoding="utf-8", newline="") as table:
            rows = _FrameTable(table, list(pipeline.recipe.structures), steps, truth is not None, smoother is not None)
            with write_video(out / files["video"], size, video.rate, video.time_base) as writer:
                looking = FrameLooker(pipeline, name, smoother, video.region)
                painting = FramePainter(pipeline.recipe, options.opacity, options.contour, truth)
                line: list[Step | HoldingStep] = [looking, painting, _encoder(writer)]
                if remembers:
                    line[:0] = [FirstLooker(pipeline, name, video.region), FrameRememberer(pipeline)]
                conveyor = Conveyor[FrameAnswer](_answers(video), line, options.waiting)
                with conveyor as answers, _ended_by_interrupt(answers, video):
                    for answer in answers:
                        rows.add(answer)
                        totals.add(answer)
                totals.require_an_answer()
    clip = {
        "frame_rate": round(float(video.rate), 3),
        "gates": [gate for stage in pipeline.stages if (gate := stage.gate())],
    }
    notes = [*video.notes, *writer.notes]
    notes += [f"the gate {name} weighs frames of up to {memory.delay_s:g} s later, which it waits for"
              for name, memory in pipeline.memories.items()]  # fmt: skip
    return {**totals.record(files, video.flaws, notes, time.perf_counter() - begun), "clip": clip}


def _answers(video: Video) -> Iterator[FrameAnswer]:
    frames = iter(video)
    for index in range(2**62):
        seconds: dict[str, float] = {}
        with timed(seconds, "decode"):
            frame = next(frames, None)
        if frame is None:
            return
        yield FrameAnswer(index, frame, seconds=seconds)


@contextmanager
def _ended_by_interrupt(answers: Conveyor[FrameAnswer], video: Video) -> Iterator[None]:
    """An interrupt is the end of a camera's recording, whose last frames still come out; a second one breaks it off."""
    if not video.live or threading.current_thread() is not threading.main_thread():  # where no interrupt arrives
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def end(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        answers.end()

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _encoder(writer: VideoWriter) -> Step:
    def encode(answer: FrameAnswer) -> FrameAnswer:
        assert answer.frame is not None
        assert answer.picture is not None
        with timed(answer.seconds, "encode"):
            writer.write(answer.picture, answer.frame.pts)
        answer.picture = None
        return answer

    return encode


class _FrameTable:
    """The CSV of the frames. Its columns are known with the first frame that was answered: it tells the gates."""

    def __init__(self, file: TextIO, structures: list[str], stages: list[str], truth: bool, smoothed: bool) -> None:
        self._file = file
        self._before = ["frame", "time_s", "class", "probability"]
        self._after = [f"area_px_{name}" for name in structures]
        if truth:
            self._after += [f"dice_{name}" for name in structures]
        if truth and smoothed:
            self._after += [f"dice_{name}_unsmoothed" for name in structures]
        steps = ["decode", "prepare", *stages, "restore", *["smooth"] * smoothed, "paint", *["truth"] * truth, "encode"]
        self._after += [*(f"{step}_ms" for step in steps), "reason"]
        self._waiting: list[dict[str, Any]] = []
        self._writer: csv.DictWriter[str] | None = None

    def add(self, answer: FrameAnswer) -> None:
        row = _row(answer)
        if self._writer is None and answer.status == "failed":
            self._waiting.append(row)
            return
        if self._writer is None:
            columns = [*self._before, *(f"p_{name}" for name in answer.gates), *self._after]
            self._writer = csv.DictWriter(self._file, columns, restval="", extrasaction="ignore")
            self._writer.writeheader()
            self._writer.writerows(self._waiting)
            self._waiting.clear()
        self._writer.writerow(row)


def _row(answer: FrameAnswer) -> dict[str, Any]:
    assert answer.frame is not None
    row: dict[str, Any] = {
        "frame": answer.index,
        "time_s": f"{answer.frame.seconds:.6f}",
        "class": answer.label,
        "probability": "" if answer.probability is None else f"{answer.probability:.4f}",
        "reason": answer.reason,
    }
    row |= {f"p_{name}": f"{value:.4f}" for name, value in answer.gates.items()}
    row |= {f"area_px_{name}": area for name, area in answer.areas.items()}
    row |= {f"dice_{name}": f"{value:.4f}" for name, value in answer.dice.items()}
    row |= {f"dice_{name}_unsmoothed": f"{value:.4f}" for name, value in answer.unsmoothed_dice.items()}
    return row | {f"{step}_ms": f"{seconds * 1000:.3f}" for step, seconds in answer.seconds.items()}


class _Totals:
    """What the record says of all frames together, from running sums."""

    def __init__(self, structures: dict[str, tuple[int, ...]], truth: ClipTruth | None, smoothed: bool) -> None:
        self._structures = list(structures)
        self._truth = truth
        self._smoothed = smoothed
        self._frames = self._found = self._failed = self._switches = self._switches_before = 0
        self._last = self._last_before = ""
        self._span = (0.0, 0.0)
        self._failure = ""
        self._sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
        self._flags: dict[str, int] = defaultdict(int)
        self._notes: dict[str, None] = {}
        self._seconds: dict[str, float] = defaultdict(float)

    def add(self, answer: FrameAnswer) -> None:
        assert answer.frame is not None
        moment = answer.frame.seconds
        self._span = (self._span[0] if self._frames else moment, moment)
        self._frames += 1
        self._found += answer.status == "found"
        if answer.status == "failed":
            self._failed += 1
            self._failure = self._failure or answer.reason
        before = answer.unsmoothed[1] if answer.unsmoothed else answer.status
        self._switches += bool(self._last) and answer.status != self._last
        self._switches_before += bool(self._last_before) and before != self._last_before
        self._last, self._last_before = answer.status, before
        present = {name: float(area) for name, area in answer.areas.items() if area}
        unlike = {} if answer.unlike is None else {"": answer.unlike}
        sums = {"gate": answer.gates, "area_mean": present, "dice": answer.dice, "before": answer.unsmoothed_dice,
                "unlike": unlike}  # fmt: skip
        for kind, values in sums.items():
            for name, value in values.items():
                total = self._sums[kind, name]
                total[0] += value
                total[1] += 1
        for flag in answer.flags:
            self._flags[flag] += 1
        self._notes |= dict.fromkeys(answer.notes)
        for step, seconds in answer.seconds.items():
            self._seconds[step] += seconds

    def require_an_answer(self) -> None:
        """Raise DataError when every frame failed, so that nothing is written."""
        if self._failed == self._frames:
            raise DataError(f"None of {self._frames} frames could be answered. {self._failure}".rstrip())

    def record(self, files: dict[str, str], flags: list[str], notes: list[str], wall: float) -> dict[str, Any]:
        found = self._found > 0
        return {
            "status": "found" if found else "absent",
            "reason": "" if found else f"nothing was found in any of {self._frames} frames",
            "gates": {name: round(s / n, 6) for (kind, name), (s, n) in self._sums.items() if kind == "gate"},
            "unlike": self._mean("unlike", ""),
            "measurements": [vars(measurement) for measurement in self._measurements()],
            "marks": {},
            "flags": [*flags, *self._own_flags()],
            "notes": [*notes, *self._notes],
            "files": files,
            "seconds": {step: round(s, 4) for step, s in {**self._seconds, "whole": wall}.items()},
        }

    def _measurements(self) -> Iterator[Measurement]:
        yield Measurement("frames", self._frames, "1")
        yield Measurement("frames_found", self._found, "1")
        yield Measurement("duration", self._span[1] - self._span[0], "s", note="from the first frame to the last")
        note = "after smoothing" if self._smoothed else ""
        yield Measurement("status_changes", self._switches, "1", note=note)
        if self._smoothed:
            yield Measurement("status_changes_unsmoothed", self._switches_before, "1")
        for name in self._structures:
            yield Measurement("area_mean", self._mean("area_mean", name), "px", name, "over the frames that have it")
            if self._truth is not None:
                yield Measurement("dice", self._mean("dice", name), "1", name, f"mean over frames {note}".rstrip())
            if self._truth is not None and self._smoothed:
                yield Measurement("dice_unsmoothed", self._mean("before", name), "1", name, "mean over frames")

    def _mean(self, kind: str, name: str) -> float | None:
        total, count = self._sums[kind, name]
        return total / count if count else None

    def _own_flags(self) -> Iterator[str]:
        if self._failed:
            yield f"{self._failed} of {self._frames} frames failed: {self._failure}"
        for flag, count in self._flags.items():
            yield f"{flag} ({count} of {self._frames} frames)"
        if self._truth is not None and self._truth.ordered and len(self._truth.files) != self._frames:
            yield f"there are {len(self._truth.files)} labels for {self._frames} frames; they were taken in order"
