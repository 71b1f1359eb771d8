"""Intervals are seeded, cover the mean, and widen when alike cases are drawn together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.evaluation import bootstrap_interval
from gracile.evaluation.bootstrap import resampled_weights


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).random(50).tolist()
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


def test_it_agrees_with_the_normal_interval_of_many_cases():
    values = np.random.default_rng(0).normal(0.6, 0.1, 400)
    low, high = bootstrap_interval(values.tolist())
    reach = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.1 * reach)


def test_groups_of_alike_cases_widen_it():
    values = np.repeat(np.random.default_rng(0).random(10), 20).tolist()
    alone = bootstrap_interval(values)
    grouped = bootstrap_interval(values, [str(index // 20) for index in range(200)])
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])


def test_undefined_values_are_left_out_with_their_groups():
    assert bootstrap_interval([0.0, None, 1.0, float("nan")]) == bootstrap_interval([0.0, 1.0])
    assert bootstrap_interval([0.0, None, 1.0], ["a", "b", "c"]) == bootstrap_interval([0.0, 1.0], ["a", "c"])


@pytest.mark.parametrize(("values", "groups"), [([], None), ([1.0], None), ([None, 1.0], None), ([0.0, 1.0], "aa")])
def test_one_case_or_one_group_has_no_interval(values, groups):
    assert bootstrap_interval(values, groups) is None


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_it_lies_within_the_values(values):
    low, high = bootstrap_interval(values, rounds=50)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_rounds_draw_as_many_units_as_there_are():
    weights = np.concatenate(list(resampled_weights(5, list("aabbc"), rounds=700)))
    assert weights.shape == (700, 5)
    assert (weights[:, [0, 2, 4]].sum(axis=1) == 3).all()
    assert (weights[:, 0] == weights[:, 1]).all()
