"""A chart over time places every value, leaves gaps, and shades what it is told to."""

import re

import pytest

from gracile.report import TimeLine, spans, timeline_chart


def points(svg):
    """The points of each line."""
    paths = re.findall(r'<g [^>]*><path class="line" d="([^"]*)"', svg)
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)] for path in paths]


def axis(svg, kind):
    """Places and values of the ticks: x of ``tick``, y of ``unit``."""
    found = re.findall(rf'<text class="{kind}" x="([\d.-]+)" y="([\d.-]+)">([\d.\u202f]+)<', svg)
    place = {"tick": lambda x, y: float(x), "unit": lambda x, y: float(y) - 4}[kind]
    return [(place(x, y), float(words.replace("\u202f", ""))) for x, y, words in found]


def read(place, ticks):
    """The value that the axis has at a place."""
    (p0, v0), (p1, v1) = ticks[0], ticks[-1]
    return v0 + (place - p0) / (p1 - p0) * (v1 - v0)


def test_a_point_stands_where_the_axes_say():
    svg = timeline_chart([TimeLine("nerve", [0.0, 2.0, 10.0], [0.25, 1.0, 0.0])], "gate", top=1.0)
    seconds, values = axis(svg, "tick"), axis(svg, "unit")
    found = [(read(x, seconds), read(y, values)) for x, y in points(svg)[0]]
    assert [time for time, _ in found] == pytest.approx([0, 2, 10], abs=0.02)
    assert [value for _, value in found] == pytest.approx([0.25, 1, 0], abs=0.01)


def test_the_largest_value_fits_and_the_axis_begins_at_nought():
    svg = timeline_chart([TimeLine("a", [0, 1], [3, 5000]), TimeLine("b", [0, 1], [1, 2])], "areas")
    assert all(0 < y < 160 for line in points(svg) for _, y in line)
    assert axis(svg, "unit")[0][1] == 0
    assert [name for name in ("a", "b") if f'">{name}</text>' in svg] == ["a", "b"]


def test_an_unknown_value_leaves_a_gap_and_a_lone_one_is_seen():
    svg = timeline_chart([TimeLine("a", [0, 1, 2, 3, 4], [1, 2, None, 3, None])], "areas")
    (path,) = re.findall(r'<path class="line" d="(M[^"]+L[^"]+)"', svg)
    assert len(points(svg)[0]) == 4 - 1
    assert path.count("M") == 2
    assert path.endswith("h0")


def test_a_long_video_counts_minutes():
    assert ">min<" in timeline_chart([TimeLine("a", [0, 3600], [0, 1])], "areas")
    assert ">s<" in timeline_chart([TimeLine("a", [0, 60], [0, 1])], "areas")


def test_threshold_bands_and_marks_are_drawn_where_they_are():
    line = TimeLine("nerve", [0, 10], [0.1, 0.9])
    svg = timeline_chart([line], "gate", top=1.0, threshold=0.5, bands=[(5.0, 10.0)], marks=[0.0, 10.0])
    seconds, values = axis(svg, "tick"), axis(svg, "unit")
    (dashed,) = re.findall(r'class="threshold" d="M56 ([\d.]+)H546"', svg)
    assert read(float(dashed), values) == pytest.approx(0.5, abs=0.01)
    left, right = map(float, re.search(r'class="open" d="M([\d.]+) \d+H([\d.]+)V', svg).groups())
    assert (read(left, seconds), read(right, seconds)) == pytest.approx((5, 10), abs=0.02)
    assert [read(float(x), seconds) for x in re.findall(r'class="here" d="M([\d.]+) ', svg)] == pytest.approx([0, 10])
    assert "threshold 0.500" in svg


@pytest.mark.parametrize(
    "line", [TimeLine("a", [], []), TimeLine("a", [3.0], [0.5]), TimeLine("a", [0, 1], [None] * 2)]
)
def test_a_chart_of_little_is_a_chart(line):
    svg = timeline_chart([line], "t", bands=spans(line.seconds, [True] * len(line.seconds)))
    assert svg.startswith("<svg")
    assert "nan" not in svg


def test_names_are_escaped():
    assert "<script>" not in timeline_chart([TimeLine("<script>", [0, 1], [0, 1])], "<script>")


def test_spans_reach_half_way_to_the_next_point_and_join():
    assert spans([0, 1, 2, 3], [True, True, False, True]) == [(0, 1.5), (2.5, 3)]
    assert spans([0, 1], [False, False]) == spans([], []) == []
