"""Quantities along a structure, as SVG that takes its ink from the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

import numpy as np

from gracile.report.charts import round_ticks
from gracile.report.wording import number

_WIDTH, _HEIGHT = 1040, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 22, 42
_TRUTH = (86, 180, 233)


@dataclass(frozen=True)
class Profile:
    """One line of a chart.

    Args:
        name: What it is of.
        x: Rising places along the structure.
        y: The quantity there; None leaves a gap.
        color: RGB; None takes the page's accent.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    color: Sequence[int] | None = None


def profile_chart(
    profiles: Sequence[Profile],
    title: str,
    x_label: str,
    y_label: str,
    bands: Sequence[tuple[str, float, float]] = (),
) -> str:
    """Lines over a common axis that begins at zero below, each with its name where there are several.

    Args:
        profiles: The lines.
        title: What the chart shows, for those who hear it.
        x_label: What goes to the right.
        y_label: What goes up.
        bands: Name, begin and end of stretches along the axis, such as vertebral levels.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    places = [x for profile in profiles for x in profile.x]
    known = [y for profile in profiles for y in profile.y if y is not None]
    first, last = (min(places), max(places)) if len(set(places)) > 1 else (0.0, 1.0)
    most = 1.08 * max(known, default=0.0) or 1.0

    def at(x: float) -> float:
        return _LEFT + (x - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def up(y: float) -> float:
        return _HEIGHT - _BOTTOM - y / most * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for index, (name, begin, end) in enumerate(bands):
        left, right = at(max(begin, first)), at(min(end, last))
        if index % 2 == 0:
            box = f'x="{left:.1f}" y="{_TOP}" width="{max(right - left, 0):.1f}" height="{up(0) - _TOP:.1f}"'
            parts.append(f'<rect class="stretch" {box}/>')
        parts.append(f'<text class="tick" x="{(left + right) / 2:.1f}" y="{_TOP - 6}">{escape(name)}</text>')
    parts += _axes(round_ticks(first, last), round_ticks(0.0, most), at, up)
    parts.append(f'<text class="tick" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}">{escape(x_label)}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text class="tick" x="14" y="{middle}" transform="rotate(-90 14 {middle})">{escape(y_label)}</text>')
    height = _HEIGHT
    for profile in profiles:
        ink = "" if profile.color is None else ' style="--ink:rgb({},{},{})"'.format(*profile.color)
        drawn = f'<path class="line" d="{_path(profile, at, up)}"/>'
        if len(profiles) > 1:
            drawn += f'<path class="line" d="M{_LEFT} {height + 2}h26"/>'
            drawn += f'<text class="key" x="{_LEFT + 34}" y="{height + 6}">{escape(profile.name)}</text>'
            height += 18
        parts.append(f"<g{ink}>{drawn}</g>")
    spoken = "; ".join(_spoken(profile) for profile in profiles)
    head = f'<svg class="chart square" viewBox="0 0 {_WIDTH} {height}" role="img" '
    return head + f'aria-label="{escape(f"{title}: {spoken}")}">' + "".join(parts) + "</svg>"


def cord_chart(
    rows: Sequence[Mapping[str, Any]],
    truth: Sequence[Mapping[str, Any]] = (),
    color: Sequence[int] | None = None,
) -> str:
    """The area along a cord from above to below, with that of the true mask beside it when given.

    Args:
        rows: Sections slice by slice, as `gracile.measure.cord` gives them.
        truth: Those of the true mask.
        color: RGB of the cord's line.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    top = max(row["z_ras_mm"] for row in [*rows, *truth])

    def profile(name: str, some: Sequence[Mapping[str, Any]], ink: Sequence[int] | None) -> Profile:
        ordered = sorted(some, key=lambda row: -row["z_ras_mm"])
        return Profile(name, [top - row["z_ras_mm"] for row in ordered], [row["area_mm2"] for row in ordered], ink)

    profiles = [profile("found", rows, color)]
    if truth:
        profiles.append(profile("truth", truth, _TRUTH))
    return profile_chart(profiles, "Area along the cord", "mm below the upper end", "area, mm²", _levels(rows, top))


def _levels(rows: Sequence[Mapping[str, Any]], top: float) -> list[tuple[str, float, float]]:
    """Begin and end of each vertebral level that the rows name, from above to below."""
    ordered = sorted(rows, key=lambda row: -row["z_ras_mm"])
    bands = []
    for name, group in groupby(ordered, key=lambda row: row.get("level")):
        heights = [row["z_ras_mm"] for row in group]
        if name:
            bands.append((str(name), top - heights[0], top - heights[-1]))
    return bands


def _axes(x_ticks: list[float], y_ticks: list[float], at: Any, up: Any) -> list[str]:
    parts = []
    for tick in x_ticks:
        parts.append(f'<path class="grid" d="M{at(tick):.1f} {up(0):.1f}V{_TOP}"/>')
        parts.append(f'<text class="tick" x="{at(tick):.1f}" y="{up(0) + 15:.1f}">{number(tick)}</text>')
    for tick in y_ticks:
        parts.append(f'<path class="grid" d="M{_LEFT} {up(tick):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="unit" x="{_LEFT - 7}" y="{up(tick) + 4:.1f}">{number(tick)}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{up(0):.1f}"/>')
    parts.append(f'<path class="axis" d="M{_LEFT} {up(0):.1f}H{_WIDTH - _RIGHT}"/>')
    return parts


def _path(profile: Profile, at: Any, up: Any) -> str:
    """The line, interrupted where the quantity is not known; a lone point is a dot."""
    parts, drawing = [], False
    for x, y in zip(profile.x, profile.y, strict=True):
        if y is not None:
            parts.append(f"{'L' if drawing else 'M'}{at(x):.1f} {up(y):.1f}" + ("" if drawing else "h0"))
        drawing = y is not None
    return "".join(parts)


def _spoken(profile: Profile) -> str:
    known = np.array([y for y in profile.y if y is not None], dtype=float)
    if not known.size:
        return f"{profile.name}: nothing"
    return f"{profile.name}: {number(known.min())} to {number(known.max())}, mean {number(known.mean())}"
