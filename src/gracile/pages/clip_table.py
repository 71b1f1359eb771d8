"""The table of a clip's frames, read back in a size that does not grow with the clip."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gracile.errors import DataError

POINTS = 300
"""Largest number of stretches that a clip is taken apart into; each gives a curve its lowest and highest point."""


@dataclass
class Series:
    """A number over time: of each stretch of frames the lowest and the highest value, at their times, None in gaps."""

    seconds: list[float] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


@dataclass
class Opening:
    """Where a number reaches its threshold.

    Args:
        frames: In which it is known.
        open: In which it is reached.
        seconds: Middle of each stretch of frames.
        inside: Whether it is reached in at least half of the stretch's frames.
    """

    frames: int = 0
    open: int = 0
    seconds: list[float] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Moment:
    """A frame to show: its number from 0, its time, its time since the first frame, and what was said of it."""

    index: int
    seconds: float
    since_first: float
    words: str
    largest: bool = False


@dataclass
class ClipTable:
    """What a report shows of the frames of a clip.

    Args:
        frames: Their number.
        series: Curves by name.
        openings: By the names of the series that have a threshold.
        moments: Frames to show, in their order.
    """

    frames: int = 0
    series: dict[str, Series] = field(default_factory=dict)
    openings: dict[str, Opening] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)


def read_clip_table(
    path: Path,
    columns: Mapping[str, Sequence[str]],
    thresholds: Mapping[str, float],
    areas: Sequence[str],
    stills: int = 6,
) -> ClipTable:
    """Read the CSV of `gracile.inference.video.predict_video`, one row at a time.

    Args:
        path: The CSV.
        columns: Of each series the columns that are added up; a series whose columns are not all there is left out.
        thresholds: Of series that have one.
        areas: Columns whose sum tells the frame with the largest area.
        stills: Frames to show, evenly spread; the one with the largest area comes to them.

    Raises:
        DataError: It cannot be read, or is no such table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            frames = sum(1 for _ in csv.reader(file)) - 1
        reading = _Reading(max(frames, 1), thresholds, stills)
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            known = {name: some for name, some in columns.items() if set(some) <= set(rows.fieldnames or ())}
            for index, row in enumerate(rows):
                values = {name: _sum(row, some) for name, some in known.items()}
                reading.add(index, row, values, _sum(row, areas))
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no table of frames ({error}).", "Predict the video again.") from error
    return reading.table()


def _sum(row: Mapping[str, str], columns: Sequence[str]) -> float | None:
    cells = [row[name] for name in columns]
    return sum(float(cell) for cell in cells) if cells and all(cells) else None


class _Stretch:
    """Consecutive frames of one series."""

    def __init__(self) -> None:
        self.lowest: tuple[float, float] | None = None
        self.highest: tuple[float, float] | None = None
        self.frames = self.open = 0

    def add(self, seconds: float, value: float, reached: bool) -> None:
        self.frames += 1
        self.open += reached
        if self.lowest is None or value < self.lowest[1]:
            self.lowest = (seconds, value)
        if self.highest is None or value > self.highest[1]:
            self.highest = (seconds, value)

    def points(self) -> Iterator[tuple[float, float]]:
        both = {point for point in (self.lowest, self.highest) if point is not None}
        yield from sorted(both)


class _Reading:
    """A table under way."""

    def __init__(self, frames: int, thresholds: Mapping[str, float], stills: int) -> None:
        self._length = -(-frames // POINTS)
        self._thresholds = thresholds
        self._wanted = {min(frames - 1, int((part + 0.5) * frames / stills)) for part in range(stills)}
        self._table = ClipTable()
        self._stretches: dict[str, _Stretch] = {}
        self._begin = self._first = self._last = 0.0
        self._largest: tuple[float, Moment] | None = None

    def add(self, index: int, row: Mapping[str, str], values: Mapping[str, float | None], area: float | None) -> None:
        seconds = float(row["time_s"])
        if index == 0:
            self._first = seconds
        if index % self._length == 0:
            self._end_stretch()
            self._stretches = {name: _Stretch() for name in values}
            self._begin = seconds
        self._last = seconds
        self._table.frames += 1
        for name, value in values.items():
            if value is not None:
                self._stretches[name].add(seconds, value, value >= self._thresholds.get(name, float("inf")))
        probability = f" {float(row['probability']):.2f}" if row["probability"] else ""
        moment = Moment(index, seconds, seconds - self._first, row["class"] + probability)
        if index in self._wanted:
            self._table.moments.append(moment)
        if area and (self._largest is None or area > self._largest[0]):
            self._largest = (area, moment)

    def _end_stretch(self) -> None:
        middle = (self._begin + self._last) / 2
        for name, stretch in self._stretches.items():
            series = self._table.series.setdefault(name, Series())
            points: list[tuple[float, float | None]] = [*stretch.points()] or [(middle, None)]
            series.seconds += [seconds for seconds, _ in points]
            series.values += [value for _, value in points]
            if name in self._thresholds:
                opening = self._table.openings.setdefault(name, Opening())
                opening.frames += stretch.frames
                opening.open += stretch.open
                opening.seconds.append(middle)
                opening.inside.append(stretch.open > 0 and 2 * stretch.open >= stretch.frames)

    def table(self) -> ClipTable:
        self._end_stretch()
        if self._largest is not None:
            largest = self._largest[1]
            others = [moment for moment in self._table.moments if moment.index != largest.index]
            shown = Moment(largest.index, largest.seconds, largest.since_first, largest.words, largest=True)
            self._table.moments = sorted([*others, shown], key=lambda moment: moment.index)
        return self._table
