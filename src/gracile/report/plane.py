"""Charts of numbers against numbers or names, as SVG that takes its ink from the page: dots, lines and bars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np

from gracile.report.charts import axis_range, round_ticks
from gracile.report.curves import KEY, LEFT, LETTER, SIDE, TOP, Curve, cut_name, keyed, square_svg, upright
from gracile.report.wording import number

_HEIGHT = 330
Kind = Literal["plain", "hollow", "best"]


@dataclass(frozen=True)
class Dot:
    """A dot of a chart.

    Args:
        x: A number, or one of the axis' names.
        y: A number.
        kind: ``hollow`` for one that does not count as the others, ``best`` for the one to see first.
        hint: What it says when pointed at.
    """

    x: float | str
    y: float
    kind: Kind = "plain"
    hint: str = ""


@dataclass(frozen=True)
class Scale:
    """An axis: numbers from low to high, evenly or by their logarithm, or names at equal distances."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    names: tuple[str, ...] = ()

    @classmethod
    def around(cls, values: Sequence[float | str], log: bool = False, names: Sequence[str] = ()) -> "Scale":
        """An axis with room for some values; the names are those of its values where they are no numbers."""
        if names:
            return cls(names=tuple(names))
        known = [float(value) for value in values if math.isfinite(float(value))]
        if log:
            low, high = (min(known), max(known)) if known else (0.1, 1.0)
            room = max((high / low) ** 0.05, 1.1)
            return cls(low / room, high * room, log=True)
        return cls(*axis_range(np.array(known, dtype=float)))

    def place(self, value: float | str) -> float:
        """Where a value lies, from 0 to 1."""
        if self.names:
            return (self.names.index(str(value)) + 0.5) / len(self.names)
        low, high, at = self.low, self.high, float(value)
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return (at - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Where to write what."""
        if self.names:
            return [(self.place(name), name) for name in self.names]
        values = self._powers() if self.log else round_ticks(self.low, self.high)
        return [(self.place(value), _short(value)) for value in values]

    def _powers(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in ((1,), (1, 3), (1, 2, 5)):
            values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            inside = [value for value in values if self.low <= value <= self.high]
            if len(inside) >= 3:
                break
        return inside


def dot_chart(
    dots: Sequence[Dot],
    title: str,
    x_label: str,
    y_label: str,
    *,
    log: bool = False,
    names: Sequence[str] = (),
    line: Sequence[tuple[float, float]] = (),
    diagonal: bool = False,
) -> str:
    """Dots in a plane.

    Args:
        dots: The dots.
        title: What the chart shows, for those who hear it.
        x_label: What goes to the right.
        y_label: What goes up.
        log: Whether the axis to the right is logarithmic.
        names: The names along it, where it has names instead of numbers.
        line: A line through the plane, as steps.
        diagonal: Whether both axes are one, with the line of equal values.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    x_scale = Scale.around([dot.x for dot in dots], log, names)
    y_scale = Scale.around([dot.y for dot in dots])
    if diagonal:
        x_scale = y_scale = Scale.around([value for dot in dots for value in (dot.x, dot.y)])
    parts = _axes(x_scale, y_scale, x_label, y_label)
    if diagonal:
        parts.append(f'<path class="diagonal" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>')
    places = [(_x(x_scale.place(x)), _y(y_scale.place(y))) for x, y in line]
    if places:
        steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])
        parts.append(f'<g><path class="line" d="M{places[0][0]:.1f} {places[0][1]:.1f}{steps}"/></g>')
    for dot in sorted(dots, key=lambda dot: dot.kind == "best"):
        parts.append(_dot(dot, x_scale, y_scale))
    best = next((dot.hint for dot in dots if dot.kind == "best"), "")
    spoken = f"{title}: {len(dots)} dots" + (f", the best: {best}" if best else "")
    return square_svg(spoken, _HEIGHT, parts)


def course_chart(
    courses: Sequence[tuple[Sequence[tuple[float, float]], Kind, str]], title: str, x_label: str, y_label: str
) -> str:
    """Lines in a plane, each with its kind and what it says when pointed at; the best is drawn last.

    Args:
        courses: The points of each line, its kind and its hint.
        title: What the chart shows, for those who hear it.
        x_label: What goes to the right.
        y_label: What goes up.
    """
    points = [point for some, _, _ in courses for point in some]
    x_scale, y_scale = (Scale.around([point[axis] for point in points]) for axis in (0, 1))
    parts = _axes(x_scale, y_scale, x_label, y_label)
    for some, kind, hint in sorted(courses, key=lambda course: course[1] == "best"):
        places = [f"{_x(x_scale.place(x)):.1f} {_y(y_scale.place(y)):.1f}" for x, y in some]
        faint = {"plain": 0.45, "hollow": 0.25, "best": 1.0}[kind]
        dash = ' style="--dash:4 3"' if kind == "hollow" else ""
        hinted = f"<title>{escape(hint)}</title>"
        if len(places) > 1:
            parts.append(f'<g{dash}><path class="line" opacity="{faint}" d="M{"L".join(places)}">{hinted}</path></g>')
        elif places:
            x, y = places[0].split()
            parts.append(f'<g><circle class="bin" cx="{x}" cy="{y}" r="2.5">{hinted}</circle></g>')
    return square_svg(f"{title}: {len(courses)} lines", _HEIGHT, parts)


def line_chart(curves: Sequence[Curve], title: str, x_label: str, y_label: str, *, log: bool = False) -> str:
    """Lines in a plane of any numbers, each with its name below; a single point is a dot.

    Args:
        curves: The lines, their points in the order in which they are joined; those beyond six take the colors of the
            first again. What is no number is left out.
        title: What the chart shows, for those who hear it.
        x_label: What goes to the right.
        y_label: What goes up.
        log: Whether the axis upwards is logarithmic; what is not above 0 is left out then.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    known = [
        [
            (x, y)
            for x, y in zip(curve.x, curve.y, strict=True)
            if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)
        ]
        for curve in curves
    ]
    every = [point for points in known for point in points]
    x_scale = Scale.around([x for x, _ in every])
    y_scale = Scale.around([y for _, y in every], log)
    parts = _axes(x_scale, y_scale, x_label, y_label)
    for index, (curve, points) in enumerate(zip(curves, known, strict=True)):
        places = [f"{_x(x_scale.place(x)):.1f} {_y(y_scale.place(y)):.1f}" for x, y in points]
        drawn = f'<path class="line" d="M{"L".join(places)}"/>' if len(places) > 1 else ""
        if len(places) == 1:
            x, y = places[0].split()
            drawn = f'<circle class="bin" cx="{x}" cy="{y}" r="3"/>'
        parts.append(keyed(index, curve, drawn))
    spoken = "; ".join(f"{curve.name} {curve.note}".strip() for curve in curves)
    return square_svg(f"{title}: {spoken}" if spoken else title, _HEIGHT + KEY * len(curves), parts)


def bar_chart(values: Mapping[str, float], title: str) -> str:
    """A bar per name, as long as its share of the longest, with the number behind.

    Args:
        values: Numbers from 0 on, by name.
        title: What the chart shows, for those who hear it.
    """
    row, left, longest = 34, 130, 170
    largest = max(values.values(), default=0.0) or 1.0
    parts = []
    for index, (name, value) in enumerate(values.items()):
        y = TOP + index * row
        width = max(1.0, value / largest * longest)
        parts.append(cut_name(name, 18, f'class="name" x="{left - 8}" y="{y + 17}"'))
        parts.append(f'<g><rect class="cell" x="{left}" y="{y + 3}" width="{width:.1f}" height="20" rx="3"/></g>')
        parts.append(f'<text class="key" x="{left + width + 6:.1f}" y="{y + 17}">{number(value, 2)}</text>')
    spoken = f"{title}: " + "; ".join(f"{name} {number(value, 2)}" for name, value in values.items())
    return square_svg(spoken, TOP + row * max(len(values), 1), parts)


def _dot(dot: Dot, x_scale: Scale, y_scale: Scale) -> str:
    at = f'cx="{_x(x_scale.place(dot.x)):.1f}" cy="{_y(y_scale.place(dot.y)):.1f}"'
    hinted = f"<title>{escape(dot.hint)}</title>"
    if dot.kind == "hollow":
        return f'<g><circle class="mark" {at} r="3.5">{hinted}</circle></g>'
    ring = f'<circle class="mark" {at} r="8" fill-opacity="0"/>' if dot.kind == "best" else ""
    return f'<g>{ring}<circle class="bin" {at} r="4.5">{hinted}</circle></g>'


def _axes(x_scale: Scale, y_scale: Scale, x_label: str, y_label: str) -> list[str]:
    parts = []
    ticks = x_scale.ticks()
    room = int(SIDE / max(len(ticks), 1) / LETTER) if x_scale.names else 99
    for place, text in ticks:
        parts.append(f'<path class="grid" d="M{_x(place):.1f} {_y(0):.1f}V{_y(1):.1f}"/>')
        parts.append(cut_name(text, max(room, 3), f'class="tick" x="{_x(place):.1f}" y="{_y(0) + 16:.1f}"'))
    for place, text in y_scale.ticks():
        parts.append(f'<path class="grid" d="M{_x(0):.1f} {_y(place):.1f}H{_x(1):.1f}"/>')
        parts.append(f'<text class="unit" x="{_x(0) - 7:.1f}" y="{_y(place) + 4:.1f}">{escape(text)}</text>')
    parts.append(f'<path class="axis" d="M{_x(0):.1f} {_y(1):.1f}V{_y(0):.1f}H{_x(1):.1f}"/>')
    parts.append(f'<text class="tick" x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 36}">{escape(x_label)}</text>')
    parts.append(upright(y_label))
    return parts


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", "\u2212")


def _x(share: float) -> float:
    return LEFT + share * SIDE


def _y(share: float) -> float:
    return TOP + (1 - share) * SIDE
