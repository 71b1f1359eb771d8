"""Charts in a plane: what is high stands high, names are escaped, a logarithm is one."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from gracile.report import Curve, Dot, bar_chart, course_chart, dot_chart, line_chart
from gracile.report.plane import Scale

EVIL = "<script>\"'&"


def circles(svg: str, kind: str) -> list[tuple[float, float]]:
    return [
        (float(c.get("cx")), float(c.get("cy"))) for c in ET.fromstring(svg).iter("circle") if c.get("class") == kind
    ]


def test_dots_stand_where_their_numbers_are():
    dots = [Dot(1, 0.2), Dot(2, 0.9, "best"), Dot(3, 0.5, "hollow", EVIL)]
    svg = dot_chart(dots, EVIL, EVIL, EVIL, line=[(1, 0.2), (2, 0.9)])
    (low, high), hollow = circles(svg, "bin"), circles(svg, "mark")
    assert low[0] < high[0] < max(x for x, _ in hollow)
    assert low[1] > high[1]
    assert len(hollow) == 2  # one given up, and the ring of the best
    assert "<script>" not in svg
    assert 'class="line"' in svg


def test_equal_ratios_lie_equally_far_apart_on_a_logarithm():
    scale = Scale.around([1e-5, 1e-2], log=True)
    places = [scale.place(10.0**power) for power in (-5, -4, -3, -2)]
    steps = [b - a for a, b in pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 3)
    assert [text for _, text in scale.ticks()] == ["1e−05", "0.0001", "0.001", "0.01"]
    assert len(Scale.around([0.01, 0.02], log=True).ticks()) >= 2
    assert Scale.around([3.0, 3.0], log=True).place(3.0) == pytest.approx(0.5)


def test_names_stand_in_their_order_and_all_of_them():
    svg = dot_chart([Dot("b", 1.0), Dot("a", 2.0)], "t", "x", "y", names=["a", "b", "c"])
    first, second = sorted(circles(svg, "bin"))
    assert first[1] < second[1]  # a, which is higher, stands to the left
    ticks = re.findall(r'class="tick"[^>]*>([abc])<', svg)
    assert ticks == ["a", "b", "c"]


def test_bars_are_as_long_as_their_share():
    widths = [
        float(w) for w in re.findall(r'<rect class="cell"[^>]* width="([\d.]+)"', bar_chart({"a": 0.8, "b": 0.2}, "t"))
    ]
    assert widths[0] == pytest.approx(4 * widths[1], abs=0.2)
    ET.fromstring(bar_chart({EVIL: 0.0}, EVIL))


def test_courses_are_lines_and_single_points_dots():
    svg = course_chart([([(1, 0.1), (2, 0.3)], "best", EVIL), ([(1, 0.2)], "hollow", "one")], "t", "epoch", "score")
    assert svg.count('class="line"') == 1
    assert len(circles(svg, "bin")) == 1
    ET.fromstring(svg)


def test_equal_scores_are_drawn_as_well():
    ET.fromstring(dot_chart([Dot(0, 0.5), Dot(1, 0.5)], "t", "x", "y"))
    ET.fromstring(course_chart([([(1, 0.5), (2, 0.5)], "plain", "")], "t", "x", "y"))


def test_lines_of_numbers_have_their_names_below_and_leave_out_what_is_none():
    curves = [Curve(EVIL, [0, 1, 2], [1.0, 0.1, float("nan")]), Curve("one", [1], [0.0]), Curve("none", [], [])]
    svg = line_chart(curves, EVIL, "minutes", "loss", log=True)
    ET.fromstring(svg)
    assert svg.count('d="M') - svg.count('class="grid"') - svg.count('class="axis"') == 1 + len(curves)  # and the keys
    assert ">one</text>" in svg
    assert len(circles(line_chart(curves, "t", "x", "y"), "bin")) == 1


def test_the_line_of_equal_values_needs_one_scale():
    svg = dot_chart([Dot(0.2, 0.2), Dot(0.9, 0.5)], "t", "x", "y", diagonal=True)
    (x, y), (other, lower) = circles(svg, "bin")
    line = re.search(r'class="diagonal" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', svg)
    left, bottom, right, top = map(float, line.groups())
    assert (x - left) / (right - left) == pytest.approx((bottom - y) / (bottom - top), abs=1e-3)
    assert (other - left) / (right - left) > (bottom - lower) / (bottom - top)
