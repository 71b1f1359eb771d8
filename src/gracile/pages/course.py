"""The course of a training, epoch by epoch, and what is to be said of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from gracile.io import write_json
from gracile.plain_data import Text, read_json

COURSE = "course.json"

State = Literal["training", "interrupted", "done"]

LAST_PART = 0.25
"""Share of the training's time at its end in which it should not improve fast any more."""

FAST = 0.1
"""Share of the error by which it improves fast when it falls by that much in the last part of the time."""

LEAST_FALL = 0.005
"""Of an error that is 1 less a share, such as Dice: what falls by less than this is not worth more time."""

APART = 0.1
"""Share by which the validation error must lie above its best, while the training loss falls, to drift apart."""


class Row(TypedDict):
    """An epoch: how it ended, when, and its figures by name; None for one that is no number."""

    epoch: int
    seconds: float
    figures: dict[Text, float | None]


class Sample(TypedDict):
    """What is said of a sample whose picture is shown: where it is from, and its words and warnings."""

    name: Text
    status: Text
    words: Text
    flags: list[Text]


class CourseShape(TypedDict):
    """What is read again of a ``course.json``."""

    stage: Text
    choosing: Text
    way: Text
    state: Text
    rows: list[Row]
    progress: float
    spent_seconds: float
    limits: dict[Text, float]
    samples: list[Sample]


@dataclass
class Course:
    """What a stage's training has done until now.

    Args:
        stage: Its name.
        choosing: The validation score by which its weights are chosen.
        way: ``max`` where more of it is better, else ``min``.
        state: Whether it goes on.
        rows: The epochs.
        progress: Share of the training that is done.
        spent_seconds: Time that it took until now.
        limits: What ends it: ``epochs``, and ``minutes`` where they are limited.
        samples: What its page shows.
    """

    stage: str
    choosing: str
    way: str
    state: State = "training"
    rows: list[Row] = field(default_factory=list)
    progress: float = 0.0
    spent_seconds: float = 0.0
    limits: dict[str, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write it to a stage's folder. Raises DataError."""
        write_json(folder / COURSE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Course":
        """Read what `write` wrote. Raises DataError where there is none, or it is damaged."""
        content: dict[str, Any] = read_json(folder / COURSE, "It is written anew by a training.", shape=CourseShape)
        return cls(**{name: content[name] for name in CourseShape.__annotations__})

    @property
    def seconds_left(self) -> float | None:
        """How long it will go on if it keeps its pace; None before there is one."""
        return self.spent_seconds * (1 - self.progress) / self.progress if self.progress > 0 else None

    def points(self, name: str) -> list[tuple[float, float]]:
        """Minutes and value of a figure in the epochs that have it."""
        known = [(row["seconds"] / 60, row["figures"].get(name)) for row in self.rows]
        return [(minutes, value) for minutes, value in known if value is not None]

    @property
    def names(self) -> list[str]:
        """The figures that any epoch has."""
        return list(dict.fromkeys(name for row in self.rows for name in row["figures"]))

    def errors(self) -> list[tuple[float, float]]:
        """Minutes and error of each validation: what is less the better, 1 less the score where more of it is."""
        sign = self.way == "max"
        return [(minutes, 1 - value if sign else value) for minutes, value in self.points(self.choosing)]

    def best(self) -> tuple[int, float] | None:
        """Epoch (counted from 1) and value of the best validation."""
        figures = [(row["epoch"] + 1, row["figures"].get(self.choosing)) for row in self.rows]
        known = [(epoch, value) for epoch, value in figures if value is not None]
        if not known:
            return None
        return (max if self.way == "max" else min)(known, key=lambda entry: entry[1])

    def improves_fast(self) -> bool:
        """Whether the best error still fell fast in the last part of the time.

        By at least a tenth of the best before that part or, where fewer than two validations were before it, before the
        last one. Annealing alone makes the end of a schedule better by a few percent.
        """
        errors = self.errors()
        if len(errors) < 2:
            return False
        begins = (1 - LAST_PART) * max(self.spent_seconds / 60, errors[-1][0])
        before = [error for minutes, error in errors if minutes <= begins]
        if len(before) < 2:
            before = [error for _, error in errors[:-1]]
        fall = min(before) - min(error for _, error in errors)
        return fall >= FAST * min(before) and fall > 0 and (self.way == "min" or fall >= LEAST_FALL)

    def drifts_apart(self) -> bool:
        """Whether the training loss fell to its end while the validation error rose from its best.

        Of ten validations and more: the mean error of the last fifth lies a tenth above the least mean of as many in a
        row, and the mean training loss of the last fifth of the epochs below that of the fifth in which that was.
        """
        errors, losses = self.errors(), self.points("train_loss")
        if len(errors) < 10 or len(losses) < 10:
            return False
        width = max(2, len(errors) // 5)
        means = _running([error for _, error in errors], width)
        best = min(range(len(means)), key=means.__getitem__)
        rise = means[-1] - means[best]
        if rise < APART * means[best] or (self.way == "max" and rise < LEAST_FALL):
            return False
        ends = errors[best + width - 1][0]
        then = [loss for minutes, loss in losses if minutes <= ends][-max(2, len(losses) // 5) :]
        now = [loss for _, loss in losses][-max(2, len(losses) // 5) :]
        return bool(then) and sum(now) / len(now) < sum(then) / len(then)

    def words(self) -> list[str]:
        """What a reader must know of it, as sentences."""
        said = []
        if self.state == "done" and self.ended_by_clock and len(self.rows) <= 1:
            said.append(f"{self.stage}: the minutes ended before every sample was seen once: give it more minutes.")
        elif self.state == "done" and self.improves_fast():
            more = "minutes" if self.ended_by_clock else "epochs"
            said.append(f"{self.stage}: validation still improved fast when the training ended: give it more {more}.")
        if self.drifts_apart():
            said.append(
                f"{self.stage}: training and validation drift apart: the loss falls on what is learned from, and the "
                "error rises on what is held back. More cases, more variation or a shorter training help."
            )
        return said

    @property
    def ended_by_clock(self) -> bool:
        """Whether its minutes ended it before its epochs did."""
        return "minutes" in self.limits and len(self.rows) < self.limits.get("epochs", 0)


def _running(values: Sequence[float], width: int) -> list[float]:
    """Means of as many values in a row."""
    sums = [0.0, *accumulate(values)]
    return [(sums[end] - sums[end - width]) / width for end in range(width, len(sums))]
