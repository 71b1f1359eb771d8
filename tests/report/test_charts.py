"""Charts place every value, and numbers read well."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.report import distribution_chart
from gracile.report.wording import decimals, label, number, unit_text

NUMBERS = st.floats(-1e9, 1e9)


def places(svg):
    """Horizontal places of the dots, and those of the ticks with their texts."""
    dots = [float(x) for x in re.findall(r"M([\d.-]+) [\d.-]+h0", svg)]
    ticks = re.findall(r'<text class="tick" x="([\d.-]+)"[^>]*>([^<]*)<', svg)
    return dots, [(float(x), float(text.replace("\u202f", "").replace("\u2212", "-"))) for x, text in ticks]


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_every_value_lies_within_the_chart(values):
    dots, ticks = places(distribution_chart({"artery": values}, "px"))
    assert len(dots) == len(values)
    assert all(80 <= x <= 350 for x in dots)
    assert len(ticks) >= 2


def test_a_dot_stands_where_the_axis_says():
    dots, ticks = places(distribution_chart({"artery": [0.2, 0.5, 0.8]}, "1"))
    (x0, v0), (x1, v1) = ticks[0], ticks[-1]
    read = [v0 + (x - x0) / (x1 - x0) * (v1 - v0) for x in dots]
    assert read == pytest.approx([0.2, 0.5, 0.8], abs=0.005)


def test_undefined_values_and_empty_groups_are_left_out():
    dots, _ = places(distribution_chart({"artery": [1.0, float("nan"), 2.0], "vein": []}, "px"))
    assert len(dots) == 2
    assert "<svg" in distribution_chart({}, "px")


def test_numbers_names_and_units():
    assert [number(v) for v in (0.72134, 9.1, 1234.5, 3.0, None, float("inf"))] == [
        "0.7213", "9.100", "1\u202f234", "3", "–", "–",
    ]  # fmt: skip
    assert number(-1.5) == "\u22121.500"
    assert decimals([0.5, 12.25]) == 2
    assert decimals([1.0, 12.0]) == 0
    assert [label(n) for n in ("caliber_mean", "auc_roc", "avr", "cldice_vein_tree")] == [
        "Caliber mean", "AUC ROC", "AVR", "clDice vein tree",
    ]  # fmt: skip
    assert [unit_text(u) for u in ("um", "mm2", "mm3", "1/um", "1", "rad/um", "px")] == [
        "µm",
        "mm²",
        "mm³",
        "1/µm",
        "",
        "rad/µm",
        "px",
    ]
