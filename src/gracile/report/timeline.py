"""Charts over the time of a video, as SVG that takes its ink from the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from gracile.report.charts import round_ticks, tick_words
from gracile.report.curves import INKS, LETTER
from gracile.report.wording import number

_WIDTH, _LEFT, _RIGHT, _TOP, _PLOT, _AXIS, _ROW = 560, 56, 14, 10, 138, 36, 18
_MINUTES_FROM = 180.0
"""Seconds from which on the axis counts in minutes."""


@dataclass(frozen=True)
class TimeLine:
    """A line of a chart over time.

    Args:
        name: What it is of.
        seconds: Times of its points, growing.
        values: From 0 on; None where there is none, which leaves a gap.
        color: RGB; None takes one that differs from the others'.
    """

    name: str
    seconds: Sequence[float]
    values: Sequence[float | None]
    color: Sequence[int] | None = None


class _Scale:
    """From times and values to places in the chart."""

    def __init__(self, lines: Sequence[TimeLine], top: float | None) -> None:
        times = [time for line in lines for time in line.seconds]
        self.first, last = (min(times), max(times)) if times else (0.0, 0.0)
        if last <= self.first:
            self.first, last = self.first - 0.5, self.first + 0.5
        self.last = last
        known = [value for line in lines for value in line.values if value is not None]
        self.top = top or 1.05 * max(known, default=0.0) or 1.0

    def x(self, seconds: float) -> float:
        inside = min(max(seconds, self.first), self.last)
        return _LEFT + (inside - self.first) / (self.last - self.first) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _TOP + (1 - value / self.top) * _PLOT


def timeline_chart(
    lines: Sequence[TimeLine],
    title: str,
    *,
    top: float | None = None,
    threshold: float | None = None,
    bands: Sequence[tuple[float, float]] = (),
    marks: Sequence[float] = (),
) -> str:
    """Values over the time of a video, each line with its name below.

    Args:
        lines: What is drawn; those beyond six take the colors of the first again.
        title: What the chart shows, for those who hear it.
        top: Upper end of the axis; by default a little above the largest value.
        threshold: A value that gets a dashed line.
        bands: First and last second of each span that is shaded.
        marks: Seconds that get a small mark at the axis.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    scale = _Scale(lines, top)
    bottom = _TOP + _PLOT
    shaded = "".join(
        f"M{scale.x(first):.1f} {_TOP}H{max(scale.x(last), scale.x(first) + 1):.1f}V{bottom}H{scale.x(first):.1f}z"
        for first, last in bands
    )
    parts = [f'<path class="open" d="{shaded}"/>' if shaded else "", *_axes(scale)]
    parts += [f'<path class="here" d="M{scale.x(mark):.1f} {bottom}v5"/>' for mark in marks]
    if threshold is not None:
        parts.append(f'<path class="threshold" d="M{_LEFT} {scale.y(threshold):.1f}H{_WIDTH - _RIGHT}"/>')
    keys, rows = _keys([line.name for line in lines], threshold)
    for index, line in enumerate(lines):
        ink = INKS[index % len(INKS)] if line.color is None else ",".join(str(value) for value in line.color)
        parts.append(f'<g style="--ink:rgb({ink})"><path class="line" d="{_path(line, scale)}"/>{keys[index]}</g>')
    parts += keys[len(lines) :]
    spoken = "; ".join(_spoken(line) for line in lines)
    height = bottom + _AXIS + rows * _ROW
    head = f'<svg class="chart timeline" viewBox="0 0 {_WIDTH} {height}" role="img"'
    return f'{head} aria-label="{escape(f"{title}: {spoken}")}">{"".join(parts)}</svg>'


def _axes(scale: _Scale) -> list[str]:
    bottom = _TOP + _PLOT
    parts = []
    ticks = [tick for tick in round_ticks(0.0, scale.top) if tick <= scale.top]
    for tick, words in zip(ticks, tick_words(ticks), strict=True):
        parts.append(f'<path class="grid" d="M{_LEFT} {scale.y(tick):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="unit" x="{_LEFT - 7}" y="{scale.y(tick) + 4:.1f}">{words}</text>')
    size, name = (60.0, "min") if scale.last - scale.first > _MINUTES_FROM else (1.0, "s")
    ticks = round_ticks(scale.first / size, scale.last / size)
    for tick, words in zip(ticks, tick_words(ticks), strict=True):
        parts.append(f'<text class="tick" x="{scale.x(tick * size):.1f}" y="{bottom + 18}">{words}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}"/>')
    parts.append(f'<text class="unit" x="{_WIDTH - _RIGHT}" y="{bottom + 32}">{name}</text>')
    return parts


def _path(line: TimeLine, scale: _Scale) -> str:
    parts, broken = [], True
    for seconds, value in zip(line.seconds, line.values, strict=True):
        if value is not None and math.isfinite(value):
            # The point stands for itself where no line leads on from it.
            parts.append(f"{'M' if broken else 'L'}{scale.x(seconds):.1f} {scale.y(value):.1f}{'h0' if broken else ''}")
        broken = value is None or not math.isfinite(value)
    return "".join(parts)


def _keys(names: Sequence[str], threshold: float | None) -> tuple[list[str], int]:
    """A sample and the name of each line, then of the threshold, in rows; and the number of rows."""
    words = [*names, *([f"threshold {number(threshold, 3)}"] if threshold is not None else [])]
    keys, x, row = [], _LEFT, 0
    for index, word in enumerate(words):
        wide = round(40 + LETTER * len(word))
        if x > _LEFT and x + wide > _WIDTH:
            x, row = _LEFT, row + 1
        y = _TOP + _PLOT + _AXIS + 12 + row * _ROW
        kind = "line" if index < len(names) else "threshold"
        keys.append(
            f'<path class="{kind}" d="M{x} {y - 4}h20"/><text class="key" x="{x + 26}" y="{y}">{escape(word)}</text>'
        )
        x += wide + 8
    return keys, row + bool(words)


def _spoken(line: TimeLine) -> str:
    known = [value for value in line.values if value is not None]
    return f"{line.name} from {number(min(known))} to {number(max(known))}" if known else f"{line.name} unknown"


def spans(seconds: Sequence[float], inside: Sequence[bool]) -> list[tuple[float, float]]:
    """First and last second of each run of points that are inside; each point reaches half way to the next."""
    if not seconds:
        return []
    middles = [(one + other) / 2 for one, other in pairwise(seconds)]
    ends = [seconds[0], *middles, seconds[-1]]
    found: list[tuple[float, float]] = []
    for index, member in enumerate(inside):
        if member and found and found[-1][1] == ends[index]:
            found[-1] = (found[-1][0], ends[index + 1])
        elif member:
            found.append((ends[index], ends[index + 1]))
    return found
