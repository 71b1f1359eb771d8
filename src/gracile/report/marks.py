"""Marks of a result as drawings over its picture, sharp at any zoom."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from gracile.report.contents import ReportLayer
from gracile.report.wording import label, number

RGB = tuple[int, int, int]
_PLAIN: RGB = (255, 255, 255)


def mark_layers(
    marks: Mapping[str, Any], size: tuple[int, int], colors: Mapping[str, RGB], *, shown: bool = True
) -> list[ReportLayer]:
    """One drawn layer per mark.

    A place is a mapping with ``row`` and ``column`` and, where it has an extent, ``diameter``, ``width``, or
    ``inner_radius`` and ``outer_radius``, all in pixels. A mark is a place, a list of places, or either by name; what
    is neither is not drawn.

    Args:
        marks: Marks by name, see `gracile.result.Result`.
        size: Height and width of the picture in pixels.
        colors: RGB by name, for marks that carry the name of a class.
        shown: Whether they are switched on at first.
    """
    layers = []
    for name, mark in marks.items():
        drawn = "".join(_draw(name, mark, size, colors))
        if drawn:
            box = f'viewBox="0 0 {size[1]} {size[0]}" preserveAspectRatio="none"'
            svg = f'<svg {box} aria-hidden="true" focusable="false">{drawn}</svg>'
            layers.append(ReportLayer(label(name), _PLAIN, svg=svg, group="Marks", shown=shown))
    return layers


def _draw(name: str, mark: Any, size: tuple[int, int], colors: Mapping[str, RGB]) -> Iterator[str]:
    if isinstance(mark, Mapping) and {"row", "column"} <= mark.keys():
        yield from _draw_place(name, mark, colors)
        yield _text(name, mark, size)
    elif isinstance(mark, Mapping):
        for part, places in mark.items():
            yield from _draw(str(part), places, size, colors)
    elif isinstance(mark, list | tuple):
        for place in mark:
            if isinstance(place, Mapping) and {"row", "column"} <= place.keys():
                yield from _draw_place(name, place, colors)


def _draw_place(name: str, place: Mapping[str, Any], colors: Mapping[str, RGB]) -> Iterator[str]:
    red, green, blue = colors.get(name, _PLAIN)
    hint = label(name) + (f", {number(place['width'])} px wide" if place.get("width") else "")
    for radius in _radii(place) or [0.0]:
        dashed = ' stroke-dasharray="6 4"' if "outer_radius" in place else ""
        # A point has a stroke of fixed width instead of an extent.
        kind = "" if radius else ' class="point"'
        circle = f'cx="{_x(place):.1f}" cy="{_y(place):.1f}" r="{radius or 0.5:.1f}"'
        title = f"<title>{escape(hint)}</title>"
        yield f'<circle {circle}{kind}{dashed} class="halo"/>' if not kind else ""
        yield f'<circle {circle}{kind}{dashed} stroke="rgb({red},{green},{blue})">{title}</circle>'


def _text(name: str, place: Mapping[str, Any], size: tuple[int, int]) -> str:
    """The mark's name above it, kept within the picture."""
    height, width = size
    letters = 0.02 * max(size)
    words = label(name) + (f" ({place['source']})" if place.get("source") else "")
    reach = 0.29 * letters * len(words)
    x = min(max(_x(place), reach), max(width - reach, reach))
    y = min(max(_y(place) - max(_radii(place), default=0.0) - 0.5 * letters, letters), height - 0.4 * letters)
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{letters:.1f}">{escape(words)}</text>'


def _radii(place: Mapping[str, Any]) -> list[float]:
    halves = [place[key] / 2 for key in ("diameter", "width") if place.get(key)]
    return halves + [place[key] for key in ("inner_radius", "outer_radius") if place.get(key)]


def _x(place: Mapping[str, Any]) -> float:
    """The middle of a pixel, as the picture's left border is 0."""
    return float(place["column"]) + 0.5


def _y(place: Mapping[str, Any]) -> float:
    return float(place["row"]) + 0.5
