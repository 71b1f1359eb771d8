"""Charts along a structure: where points lie, gaps, levels, the truth beside it."""

import re
import xml.etree.ElementTree as ET

import pytest

from gracile.report import Profile, case_figures, cord_chart, profile_chart


def lines(svg):
    return re.findall(r'<path class="line" d="([^"]*)"', svg)


def rows(areas, levels=None, top=100.0):
    return [
        {"z_ras_mm": top - step, "area_mm2": area, "level": None if levels is None else levels[step]}
        for step, area in enumerate(areas)
    ]


def test_a_gap_interrupts_the_line():
    svg = profile_chart([Profile("a", [0, 1, 2, 3], [10.0, None, 20.0, 20.0])], "t", "x", "y")
    ET.fromstring(svg)
    (drawn,) = lines(svg)
    assert drawn.count("M") == 2
    assert drawn.count("L") == 1


def test_the_axis_begins_at_zero_and_points_lie_to_scale():
    svg = profile_chart([Profile("a", [0, 10], [50.0, 100.0])], "t", "x", "y")
    (first, second) = re.findall(r"[ML]([\d.]+) ([\d.]+)", lines(svg)[0])
    zero = float(re.search(r'class="axis" d="M\d+ \d+V([\d.]+)"', svg)[1])
    assert (zero - float(second[1])) / (zero - float(first[1])) == pytest.approx(2, rel=0.01)


def test_truth_and_levels_stand_beside_the_cord():
    svg = cord_chart(rows([60.0, 70, 80, 75], ["C2", "C2", "C3", None]), rows([65.0, 70, 82, 75]))
    ET.fromstring(svg)
    assert ">C2<" in svg
    assert ">C3<" in svg
    assert ">truth<" in svg
    assert "Area along the cord" in svg
    assert len(lines(svg)) == 4  # two lines and their keys
    alone = cord_chart(rows([60.0, 70]))
    assert "truth" not in alone


def test_a_cord_of_one_slice_or_without_area_makes_a_chart():
    for some in (rows([60.0]), rows([None, None])):
        ET.fromstring(cord_chart(some))


def test_figures_are_made_of_what_there_is():
    assert case_figures({}) == []
    ((caption, svg),) = case_figures({"cord": rows([60.0, 61])})
    assert "area" in caption
    assert svg.startswith("<svg")


def test_names_cannot_break_the_page():
    svg = profile_chart([Profile("<b>", [0, 1], [1.0, 2]), Profile("b", [0, 1], [1.0, 2])], "<t>", "<x>", "<y>")
    ET.fromstring(svg)
