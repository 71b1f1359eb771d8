"""One frame of a video on its way: looked at, remembered, smoothed over time, scored, painted."""

import csv
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gracile.case import IGNORED, Case
from gracile.errors import DataError, GracileError
from gracile.evaluation.metrics import dice
from gracile.inference.answering import flag
from gracile.inference.conveyor import HoldingStep
from gracile.inference.smoothing import Smoother
from gracile.io import image_files, read_labels
from gracile.io.frames import Frame
from gracile.io.naming import natural_order
from gracile.pipeline import Look, Pipeline
from gracile.recipe import Recipe
from gracile.report.paint import Painter, frame_colors, side_by_side, write_line
from gracile.result import Result
from gracile.stages.memory import Remembering

_SAMPLES = 256


@dataclass
class FrameAnswer:
    """A frame and what is known of it so far.

    Args:
        index: Its number, from 0.
        frame: The frame; None once it has been written.
        look: What the gates with a memory saw in it; None before, after it was answered, and without such gates.
        status: ``found``, ``absent`` or ``failed``.
        reason: Why it failed.
        label: The likeliest kind of frame where a gate tells kinds apart, else the structures found, or the status.
        probability: That kind's, or the gate's, or without a gate the mean over the mask; None where there is none.
        gates: Probability by gate.
        mask: ``(height, width)`` uint8 class indices; None when failed.
        unsmoothed: The mask and the status as they were before smoothing; None without smoothing.
        areas: Pixels of each structure.
        dice: Dice of each structure; empty without truth. ``unsmoothed_dice`` is that before smoothing.
        picture: What is written, ``(height, width, 3)`` uint8.
        unlike: How unlike the model's training images it is, see `gracile.result.Result`.
        flags: What a person should look at in this frame; notes: what is true of all.
        seconds: Wall-clock seconds by step.
    """

    index: int
    frame: Frame | None
    look: Look | None = None
    status: str = "failed"
    reason: str = ""
    label: str = "failed"
    probability: float | None = None
    gates: dict[str, float] = field(default_factory=dict)
    mask: np.ndarray | None = None
    unsmoothed: tuple[np.ndarray, str] | None = None
    areas: dict[str, int] = field(default_factory=dict)
    dice: dict[str, float] = field(default_factory=dict)
    unsmoothed_dice: dict[str, float] = field(default_factory=dict)
    picture: np.ndarray | None = None
    unlike: float | None = None
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


class FirstLooker:
    """The step that looks first, where gates have a memory: their evidence of a frame, before anything is decided."""

    def __init__(self, pipeline: Pipeline, name: str, region: np.ndarray | None = None) -> None:
        self._pipeline = pipeline
        self._name = name
        self._region = region

    def __call__(self, answer: FrameAnswer) -> FrameAnswer:
        """Fill in the look; a frame that the recipe refuses becomes a failed one."""
        try:
            answer.look = self._pipeline.look(_case(answer, self._name, self._region))
        except GracileError as error:
            answer.reason = str(error)
        return answer


class FrameRememberer(HoldingStep):
    """The step that decides gates with a memory: it holds frames back until each of them was given its delay.

    Frames keep their order. One that failed says nothing, and comes out where it belongs.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._following = {name: Remembering(memory) for name, memory in pipeline.memories.items()}
        self._waiting: deque[FrameAnswer] = deque()
        self._decided: dict[str, deque[float]] = {name: deque() for name in self._following}

    def __call__(self, answer: FrameAnswer) -> Sequence[FrameAnswer]:
        self._waiting.append(answer)
        if answer.look is not None:
            assert answer.frame is not None
            for name, following in self._following.items():
                levels = following.add(answer.look.evidence[name], answer.frame.seconds)
                self._decided[name] += following.memory.probability(np.array(levels)).tolist()
        return self._ready()

    def rest(self) -> Sequence[FrameAnswer]:
        for name, following in self._following.items():
            self._decided[name] += following.memory.probability(np.array(following.rest())).tolist()
        return self._ready()

    def _ready(self) -> list[FrameAnswer]:
        ready = []
        while self._waiting and (self._waiting[0].look is None or all(self._decided.values())):
            answer = self._waiting.popleft()
            if answer.look is not None:
                answer.look.remembered = {name: told.popleft() for name, told in self._decided.items()}
            ready.append(answer)
        return ready


class FrameLooker:
    """The step that finds: a frame through the pipeline and, if asked, smoothed over time.

    It takes frame by frame, which has the least latency. A pipeline that answers several at once would be called here.
    """

    def __init__(
        self, pipeline: Pipeline, name: str, smoother: Smoother | None, region: np.ndarray | None = None
    ) -> None:
        self._pipeline = pipeline
        self._name = name
        self._smoother = smoother
        self._region = region

    def __call__(self, answer: FrameAnswer) -> FrameAnswer:
        """Fill in everything but dice and picture; a frame that the recipe refuses becomes a failed one."""
        assert answer.frame is not None
        if answer.reason:
            return answer
        look, answer.look = answer.look, None
        case = _case(answer, self._name, self._region) if look is None else look.case
        try:
            # Kept, not computed, for the asking: the mask was decided from them.
            if look is None:
                result = self._pipeline(case, keep_probabilities=True, signed=False)
            else:
                result = self._pipeline.answer(look, keep_probabilities=True, signed=False)
        except GracileError as error:
            answer.reason = str(error)
            return answer
        answer.seconds |= result.seconds
        if self._smoother is not None and result.mask is not None:
            with timed(answer.seconds, "smooth"):
                answer.unsmoothed = (result.mask, result.status)
                self._smoother.smooth(result, answer.frame.seconds)
        flag(self._pipeline, case, result, predicted=False)
        self._take(answer, result)
        return answer

    def _take(self, answer: FrameAnswer, result: Result) -> None:
        answer.status, answer.mask, answer.gates = result.status, result.mask, result.gates
        answer.flags, answer.notes, answer.unlike = result.flags, result.notes, result.unlike
        structures = self._pipeline.recipe.structures
        answer.areas = {name: _area(result.mask, indices) for name, indices in structures.items()}
        present = [name for name, area in answer.areas.items() if area]
        answer.label = "+".join(present) if result.status == "found" else result.status
        kinds = {kind: result.gates[kind] for gate in self._pipeline.recipe.gates for kind in gate.classes
                 if kind in result.gates}  # fmt: skip
        if kinds:
            answer.label = max(kinds, key=lambda kind: kinds[kind])
        if result.gates:
            answer.probability = max((kinds or result.gates).values())
        elif present:
            answer.probability = _mean_probability(result)


class FramePainter:
    """The step that shows: classes over the frame, the line of text and, where there is truth, scores and the truth."""

    def __init__(self, recipe: Recipe, opacity: float, contour: bool, truth: "ClipTruth | None") -> None:
        self._painter = Painter(frame_colors(recipe), opacity, contour)
        self._structures = recipe.structures
        self._truth = truth

    def __call__(self, answer: FrameAnswer) -> FrameAnswer:
        """Fill in dice and picture."""
        assert answer.frame is not None
        image = answer.frame.image
        spent = sum(seconds for step, seconds in answer.seconds.items() if step != "decode")
        with timed(answer.seconds, "paint"):
            answer.picture = self._painted(image, answer.mask)
            probability = "" if answer.probability is None else f" {answer.probability:.2f}"
            write_line(answer.picture, f"{answer.label}{probability}  {spent * 1000:.0f} ms")
        if self._truth is not None:
            with timed(answer.seconds, "truth"):
                self._compare(answer, image, self._truth.read(answer.index, image.shape[:2]))
        return answer

    def _compare(self, answer: FrameAnswer, image: np.ndarray, truth: np.ndarray | None) -> None:
        ignored = None if truth is None else truth == IGNORED
        if truth is not None and ignored is not None and ignored.any():
            truth = np.where(ignored, np.uint8(0), truth)
        right = self._painted(image, truth)
        write_line(right, "no truth" if truth is None else "truth")
        assert answer.picture is not None
        answer.picture = side_by_side(answer.picture, right)
        if truth is None:
            return
        answer.dice = self._scores(truth, answer.mask, ignored)
        if answer.unsmoothed is not None:
            answer.unsmoothed_dice = self._scores(truth, answer.unsmoothed[0], ignored)

    def _painted(self, image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return image.copy() if mask is None else self._painter.paint(image, mask)

    def _scores(self, truth: np.ndarray, mask: np.ndarray | None, ignored: np.ndarray | None) -> dict[str, float]:
        if mask is None:
            mask = np.zeros_like(truth)  # a frame that failed found nothing
        elif ignored is not None:
            mask = np.where(ignored, np.uint8(0), mask)
        return {
            name: dice(np.isin(truth, indices), np.isin(mask, indices)) for name, indices in self._structures.items()
        }


class ClipTruth:
    """The labels of a clip's frames.

    Args:
        folder: Holds them, or one folder named like each clip. A ``frames.csv`` with columns ``frame`` (from 0) and
            ``name`` says which label is which frame's; without it, they are those of the first frames, by their names.
        name: The clip's.
        recipe: Names the classes.

    Raises:
        DataError: There are no labels, or ``frames.csv`` names some that are not there.
    """

    def __init__(self, folder: Path, name: str, recipe: Recipe) -> None:
        own = folder / name if (folder / name).is_dir() else folder
        files = sorted(image_files(own), key=natural_order)
        if not files:
            raise DataError(f"{own} holds no labels.", "Give the folder of the frames' labels with --truth.")
        self._classes = recipe.classes
        self.ordered = not (own / "frames.csv").is_file()
        self.files = dict(enumerate(files)) if self.ordered else _listed(own / "frames.csv", files)

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray | None:
        """The labels ``(height, width)`` of a frame, None where it has none. Raises DataError, also for other sizes."""
        path = self.files.get(index)
        if path is None:
            return None
        labels = read_labels(path, self._classes, ignored=True)
        if labels.shape != size:
            raise DataError(f"{path} has size {labels.shape}, the clip {size}.", "Labels have the size of the frames.")
        return labels


def _listed(table: Path, files: list[Path]) -> dict[int, Path]:
    by_stem = {path.stem: path for path in files}
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return {int(row["frame"]): by_stem[Path(row["name"]).stem] for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{table} does not say which label is of which frame.",
            "It needs the columns frame (from 0) and name, and a label beside it for each name.",
        ) from error


def _case(answer: FrameAnswer, name: str, region: np.ndarray | None) -> Case:
    assert answer.frame is not None
    return Case.from_array(answer.frame.image, id=f"{name}, frame {answer.index}", region=region)


def _area(mask: np.ndarray | None, indices: tuple[int, ...]) -> int:
    return 0 if mask is None else sum(int(np.count_nonzero(mask == index)) for index in indices)


def _mean_probability(result: Result) -> float | None:
    """Mean probability of any structure over the mask, from every few rows and columns where they are many."""
    if result.mask is None or result.probabilities is None:
        return None
    steps = (max(1, max(result.mask.shape) // _SAMPLES), 1)
    for step in steps:  # a structure so small that no sample hits it is looked at in full
        member = result.mask[::step, ::step] > 0
        if member.any():
            return float(1 - result.probabilities[0, ::step, ::step][member].mean())
    return None


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Note how long a block takes."""
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start


Step = Callable[[FrameAnswer], FrameAnswer]
