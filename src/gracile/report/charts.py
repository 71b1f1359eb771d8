"""Small charts as SVG that take their ink from the page, so that they suit light, dark and paper."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from gracile.report.wording import NOTHING, number, unit_text

_WIDTH, _LEFT, _RIGHT, _ROW, _AXIS = 360, 84, 22, 34, 26


def distribution_chart(
    values: Mapping[str, Sequence[float]], unit: str, colors: Mapping[str, Sequence[int]] | None = None
) -> str:
    """How a number is distributed over the cases: a dot per case, the middle half as a band, the median as a line.

    Args:
        values: The numbers of each group, e.g. of arteries and of veins; those that are not finite are left out.
        unit: Their unit, see `gracile.result.Measurement`.
        colors: RGB by group; a group without one takes the page's accent.

    Returns:
        An ``<svg>`` element to stand in HTML.
    """
    groups = {name: np.array([v for v in some if math.isfinite(v)], dtype=float) for name, some in values.items()}
    every = np.concatenate([np.zeros(0), *groups.values()])
    low, high = axis_range(every)
    ticks = round_ticks(low, high)
    height = _ROW * len(groups) + _AXIS

    def place(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    rows = [
        _row(name, [place(v) for v in sorted(some)], index * _ROW + _ROW / 2, (colors or {}).get(name))
        for index, (name, some) in enumerate(groups.items())
    ]
    bottom = _ROW * len(groups) + 2
    axis = [f'<path class="axis" d="M{_LEFT} {bottom}H{_WIDTH - _RIGHT}"/>']
    for tick, words in zip(ticks, tick_words(ticks), strict=True):
        axis.append(f'<path class="grid" d="M{place(tick):.1f} 4V{bottom}"/>')
        axis.append(f'<text class="tick" x="{place(tick):.1f}" y="{bottom + 15}">{words}</text>')
    shown = unit_text(unit)
    axis.append(f'<text class="unit" x="{_LEFT - 28}" y="{bottom + 15}">{escape(shown)}</text>' if shown else "")
    spoken = "; ".join(f"{name}: median {_median(some)}, {some.size} cases" for name, some in groups.items())
    spoken += f" ({shown})" if shown else ""
    head = f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(spoken)}">'
    return head + "".join([*axis, *rows]) + "</svg>"


def _row(name: str, places: list[float], y: float, color: Sequence[int] | None) -> str:
    ink = ' style="--ink:rgb({},{},{})"'.format(*color) if color is not None else ""
    shown = name if len(name) <= 13 else name[:12] + "…"
    parts = [f'<text class="name" x="{_LEFT - 10}" y="{y + 4:.0f}">{escape(shown)}<title>{escape(name)}</title></text>']
    if places:
        first, median, third = np.percentile(places, [25, 50, 75])
        band = f'x="{first:.1f}" y="{y - 9:.1f}" width="{max(third - first, 1):.1f}" height="18"'
        parts.append(f'<rect class="band" rx="3" {band}/>')
        # Spread over the row by a fixed pattern: a chart drawn twice is the same chart.
        dots = "".join(f"M{x:.1f} {y + (index * 7 % 11 - 5) * 1.3:.1f}h0" for index, x in enumerate(places))
        parts.append(f'<path class="dots" d="{dots}"/>')
        parts.append(f'<path class="median" d="M{median:.1f} {y - 10:.1f}v20"/>')
    return f"<g{ink}>{''.join(parts)}</g>"


def _median(values: np.ndarray) -> str:
    return number(float(np.median(values))) if values.size else NOTHING


def axis_range(values: np.ndarray) -> tuple[float, float]:
    """Ends of the axis: those of the values and a little room."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def round_ticks(low: float, high: float) -> list[float]:
    """At least three round numbers between the ends, as few as steps of 1, 2 and 5 allow."""
    power = 10.0 ** math.ceil(math.log10(high - low))
    for step in (power / part for part in (1, 2, 5, 10, 20, 50)):
        ticks = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        if len(ticks) >= 3:
            break
    return [round(tick * step, 15) for tick in ticks]


def tick_words(ticks: Sequence[float]) -> list[str]:
    """Ticks as texts with as many digits as tell them apart, and no more."""
    digits = next(d for d in range(16) if d == 15 or all(math.isclose(t, round(t, d), abs_tol=1e-12) for t in ticks))
    return [number(tick, digits) for tick in ticks]
