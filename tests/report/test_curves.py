"""Square charts draw every point where it belongs and say in words what they show."""

import re
from xml.etree import ElementTree

import pytest

from gracile.report import Curve, confusion_chart, curve_chart, reliability_chart


def line_points(svg, cls="line"):
    (d, *_) = re.findall(rf'<path class="{cls}" d="([^"]+)"', svg)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", d)]


def test_a_curve_goes_through_its_points():
    svg = curve_chart([Curve("nerve", [0, 0.5, 1], [0, 1, 1], mark=(0.5, 1), note="area 0.75")], "ROC", "x", "y")
    start, middle, end = line_points(svg)
    assert middle[0] == pytest.approx((start[0] + end[0]) / 2)
    assert start[1] > middle[1] == end[1]  # upward is smaller
    assert f'cx="{middle[0]:.1f}" cy="{middle[1]:.1f}"' in svg
    assert 'aria-label="ROC: nerve area 0.75"' in svg
    assert ">nerve  area 0.75<" in svg


def test_steps_are_not_joined_by_slopes():
    svg = curve_chart([Curve("", [0, 0.5, 1], [1, 0.5, 0.2])], "PR", "recall", "precision", steps=True)
    (d, _) = re.findall(r'<path class="line" d="([^"]+)"', svg)
    assert "L" not in d
    assert d.count("V") == d.count("H") == 2


def test_several_curves_differ_in_color_and_in_dashes():
    svg = curve_chart([Curve(str(index), [0, 1], [0, 1]) for index in range(8)], "ROC", "x", "y")
    styles = re.findall(r'<g style="([^"]+)"', svg)
    assert len(styles) == 8
    assert len(set(styles)) == 6


def test_a_bin_is_placed_by_what_was_said_and_what_was_true():
    svg = reliability_chart([(0, 0.5, 4, 0.2, 0.25), (0.5, 1, 0, None, None)], "Calibration", "p", "share")
    assert svg.count('class="bin"') == 1
    assert "4 cases: said 0.20, true 0.25" in svg
    assert "said 0.20, true 0.25, 4 cases" in svg
    ElementTree.fromstring(reliability_chart([], "Calibration", "p", "share"))


def test_a_confusion_matrix_shows_counts_and_names_and_shades_by_row():
    svg = confusion_chart([[90, 10], [1, 1]], ["absent", "a structure of a long name"], "Confusion")
    assert re.findall(r'class="count"[^>]*>(\d+)<', svg) == ["90", "10", "1", "1"]
    assert "absent called a structure of a long name: 10 of 100" in svg
    assert [float(o) for o in re.findall(r'fill-opacity="([\d.]+)"', svg)] == [0.5, 0.1, 0.3, 0.3]
    ElementTree.fromstring(confusion_chart([[0, 0], [0, 0]], ["a", "b"], "empty"))


def test_charts_are_well_formed_whatever_the_names():
    name = 'a<b>&"c"'
    for svg in (
        confusion_chart([[1]], [name], name),
        curve_chart([Curve(name, [0, 1], [0, 1], note=name)], name, name, name),
        reliability_chart([(0, 1, 1, 0.5, 0.5)], name, name, name),
    ):
        assert ElementTree.fromstring(svg).attrib["role"] == "img"
