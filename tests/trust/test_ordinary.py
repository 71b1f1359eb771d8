"""Ranges of what is ordinary: they hold what they were made from, go into a card and come back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.errors import BundleError
from gracile.trust import Ordinary
from gracile.trust.figures import FIGURES

SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=20)


@given(SHARES, st.sampled_from(sorted(FIGURES)))
def test_what_any_ordinary_case_shows_is_not_unusual(values, name):
    if FIGURES[name].scale == "yes":
        values = [1.0 for _ in values]
    ordinary = Ordinary.of([{("x", name): value} for value in values])
    for value in values:
        assert not ordinary.unusual("x", name, value)


def test_ranges_come_back_from_a_card():
    ordinary = Ordinary.of([{("left: nerve", "share"): 0.1 + k / 100, ("input", "brightness"): 0.5} for k in range(5)])
    back = Ordinary.from_card(json.loads(json.dumps({"ordinary": ordinary.as_card()})))
    assert back.ranges == ordinary.ranges
    assert back.unusual("left: nerve", "share", 1e-5) == "next to nothing of it was found"


def test_a_card_without_ranges_leaves_the_fixed_rules_and_a_broken_one_is_refused():
    assert Ordinary.from_card({}).ranges == {}
    assert Ordinary.from_card({}).unusual("input", "brightness", 0.001) == "the input is dark"
    with pytest.raises(BundleError, match="ordinary"):
        Ordinary.from_card({"ordinary": {"input: brightness": {"low": "dark"}}})


def test_figures_of_a_newer_version_are_passed_over():
    row = {"low": 0.0, "middle": 0.1, "high": 0.2, "cases": 5}
    assert Ordinary.from_card({"ordinary": {"input: glare": row}}).ranges == {}


def test_fewer_cases_than_three_tell_no_range():
    assert Ordinary.of([{("input", "brightness"): 0.5}] * 2).ranges == {}


def test_few_subjects_widen_a_range_as_their_frames_resemble_each_other():
    frames = [{("input", "fineness"): 0.5 + k / 200} for k in range(12)]
    alone, together = (Ordinary.of(frames, people).ranges["input", "fineness"] for people in (12, 3))
    assert together.low < alone.low
    assert together.high > alone.high


def test_a_case_beyond_a_fixed_rule_is_flagged_even_where_ranges_are_wide():
    varied = Ordinary.of([{("input", "clipped_high"): share} for share in (0.001, 0.05, 0.25)])
    assert varied.unusual("input", "clipped_high", 0.6)
