"""Square charts of a classification: curves, calibration and confusion, as SVG that takes its ink from the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from gracile.report.wording import number

_WIDTH, _HEIGHT = 360, 330
LEFT, TOP, SIDE = 62, 12, 264
INKS = ("0,114,178", "213,94,0", "0,158,115", "204,121,167", "230,159,0", "86,180,233")
"""Colors that color-blind people tell apart too (Okabe and Ito 2008)."""
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 4")
"""Beside the colors, for gray paper."""
LETTER = 6.6
KEY = 18
"""Height of the name of a curve below its chart."""


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Args:
        name: What it is of.
        x: From 0 to 1.
        y: From 0 to 1.
        mark: A point on it that is drawn, such as where a decision was made; None draws none.
        note: What stands behind the name, such as the area below.
        band: Lower and upper ends of y, shaded; None shades nothing.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    mark: tuple[float, float] | None = None
    note: str = ""
    band: tuple[Sequence[float], Sequence[float]] | None = None


def curve_chart(
    curves: Sequence[Curve], title: str, x_label: str, y_label: str, *, steps: bool = False, diagonal: bool = False
) -> str:
    """Lines in the unit square, each with its name below.

    Args:
        curves: The lines; those beyond six take the colors of the first again.
        title: What the chart shows, for those who hear it.
        x_label: What goes to the right.
        y_label: What goes up.
        steps: Whether to draw steps, as of a precision-recall curve, whose points must not be joined.
        diagonal: Whether to draw the line of equal values.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    parts = _axes(x_label, y_label)
    if diagonal:
        parts.append(f'<path class="diagonal" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>')
    height = _HEIGHT + KEY * len(curves)
    for index, curve in enumerate(curves):
        drawn = _band(curve) + _line(curve, steps)
        if curve.mark is not None:
            drawn += f'<circle class="mark" cx="{_x(curve.mark[0]):.1f}" cy="{_y(curve.mark[1]):.1f}" r="4.5"/>'
        parts.append(keyed(index, curve, drawn))
    spoken = "; ".join(f"{curve.name} {curve.note}".strip() for curve in curves)
    return square_svg(f"{title}: {spoken}" if spoken else title, height, parts)


def keyed(index: int, curve: Curve, drawn: str) -> str:
    """What was drawn of a curve in the ink of its number, with its name below the chart."""
    row = _HEIGHT + KEY * index + 6
    words = escape(f"{curve.name}  {curve.note}".strip())
    key = f'<path class="line" d="M{LEFT} {row - 4}h26"/><text class="key" x="{LEFT + 34}" y="{row}">{words}</text>'
    dash = f";--dash:{_DASHES[index % len(_DASHES)] or 'none'}"
    return f'<g style="--ink:rgb({INKS[index % len(INKS)]}){dash}">{drawn}{key}</g>'


def reliability_chart(
    bins: Sequence[tuple[float, float, int, float | None, float | None]], title: str, x_label: str, y_label: str
) -> str:
    """What probabilities said against what was true: a dot per bin, its area by the number of cases.

    Args:
        bins: Lower end, upper end, number of cases, mean probability and share of truth of each bin; the last two None
            for an empty one.
        title: What the chart shows, for those who hear it.
        x_label: What the probability is of.
        y_label: What the share is of.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    parts = _axes(x_label, y_label)
    parts.append(f'<path class="diagonal" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>')
    most = max((cases for _, _, cases, _, _ in bins), default=0)
    known = [(cases, said, true) for _, _, cases, said, true in bins if said is not None and true is not None]
    gaps, dots = "", ""
    for cases, said, true in known:
        gaps += f"M{_x(said):.1f} {_y(said):.1f}V{_y(true):.1f}"
        hint = f"{cases} cases: said {number(said, 2)}, true {number(true, 2)}"
        radius = 2.5 + 6.5 * (cases / most) ** 0.5
        dots += f'<circle class="bin" cx="{_x(said):.1f}" cy="{_y(true):.1f}" r="{radius:.1f}">'
        dots += f"<title>{escape(hint)}</title></circle>"
    line = _line(Curve("", [said for _, said, _ in known], [true for _, _, true in known]), steps=False)
    parts.append(f'<g><path class="gap" d="{gaps}"/>{line}{dots}</g>')
    spoken = "; ".join(f"said {number(said, 2)}, true {number(true, 2)}, {cases} cases" for cases, said, true in known)
    return square_svg(f"{title}: {spoken}", _HEIGHT, parts)


def confusion_chart(matrix: Sequence[Sequence[int]], names: Sequence[str], title: str) -> str:
    """A confusion matrix: a row per true class, a column per decided one, shaded by the share of the row.

    Args:
        matrix: Counts.
        names: The classes.
        title: What the chart shows, for those who hear it.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    cell = SIDE / max(len(names), 1)
    letters = min(15.0, cell * 0.34)
    room = int(max(cell, 24) / LETTER)
    parts, spoken = [], []
    for row, (of, counts) in enumerate(zip(names, matrix, strict=True)):
        whole = sum(counts)
        for column, count in enumerate(counts):
            x, y = LEFT + column * cell, TOP + row * cell
            share = count / whole if whole else 0.0
            wrong = ' style="--ink:var(--bad)"' if row != column else ""
            parts.append(
                f'<g{wrong}><rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" height="{cell:.1f}" '
                f'fill-opacity="{0.05 + 0.5 * share:.3f}"/><text class="count" x="{x + cell / 2:.1f}" '
                f'y="{y + cell / 2 + letters * 0.35:.1f}" font-size="{letters:.1f}">{number(count, 0)}'
                f"<title>{escape(f'{of} called {names[column]}: {count} of {whole}')}</title></text></g>"
            )
        middle = TOP + (row + 0.5) * cell
        parts.append(cut_name(of, 8, f'class="name" x="{LEFT - 6}" y="{middle + 4:.1f}"'))
        below = f'class="tick" x="{LEFT + (row + 0.5) * cell:.1f}" y="{TOP + SIDE + 16}"'
        parts.append(cut_name(of, room, below))
        spoken.append(
            f"{of}: " + ", ".join(f"{count} called {name}" for name, count in zip(names, counts, strict=True))
        )
    parts.append(f'<text class="tick" x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 40}">decided</text>')
    parts.append(upright("true"))
    return square_svg(f"{title}: {'; '.join(spoken)}", _HEIGHT, parts)


def _axes(x_label: str, y_label: str) -> list[str]:
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{_x(tick):.1f} {_y(0):.1f}V{_y(1):.1f}"/>')
        parts.append(f'<path class="grid" d="M{_x(0):.1f} {_y(tick):.1f}H{_x(1):.1f}"/>')
        if tick in (0.0, 0.5, 1.0):
            shown = number(tick, 1)
            parts.append(f'<text class="tick" x="{_x(tick):.1f}" y="{_y(0) + 16:.1f}">{shown}</text>')
            parts.append(f'<text class="unit" x="{_x(0) - 7:.1f}" y="{_y(tick) + 4:.1f}">{shown}</text>')
    parts.append(f'<path class="axis" d="M{_x(0):.1f} {_y(1):.1f}V{_y(0):.1f}H{_x(1):.1f}"/>')
    parts.append(f'<text class="tick" x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 36}">{escape(x_label)}</text>')
    parts.append(upright(y_label))
    return parts


def _line(curve: Curve, steps: bool) -> str:
    places = [(_x(x), _y(y)) for x, y in zip(curve.x, curve.y, strict=True)]
    if not places:
        return ""
    d = f"M{places[0][0]:.1f} {places[0][1]:.1f}"
    for (_, _), (x, y) in pairwise(places):
        d += f"V{y:.1f}H{x:.1f}" if steps else f"L{x:.1f} {y:.1f}"
    return f'<path class="line" d="{d}"/>'


def _band(curve: Curve) -> str:
    if curve.band is None:
        return ""
    low, high = ([f"{_x(x):.1f} {_y(y):.1f}" for x, y in zip(curve.x, some, strict=True)] for some in curve.band)
    return f'<path class="band" d="M{"L".join([*low, *reversed(high)])}Z"/>'


def _x(value: float) -> float:
    return LEFT + value * SIDE


def _y(value: float) -> float:
    return TOP + (1 - value) * SIDE


def upright(words: str) -> str:
    x, y = 16, TOP + SIDE / 2
    return f'<text class="tick" x="{x}" y="{y}" transform="rotate(-90 {x} {y})">{escape(words)}</text>'


def cut_name(name: str, letters: int, place: str) -> str:
    """A name in a place with room for some letters; in full where it is pointed at."""
    shown = name if len(name) <= letters else name[: max(letters - 1, 1)] + "…"
    return f"<text {place}>{escape(shown)}<title>{escape(name)}</title></text>"


def square_svg(spoken: str, height: int, parts: list[str]) -> str:
    head = f'<svg class="chart square" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(spoken)}">'
    return head + "".join(parts) + "</svg>"
