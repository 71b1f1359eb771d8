"""What the learning rate and the early stop make of a validation history."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.errors import RecipeError
from gracile.learning.schedule import LEAST, is_over, reductions, require_validation, scheduled
from gracile.recipe import TrainSpec


@pytest.mark.parametrize(
    ("losses", "count"),
    [
        ([], 0),
        ([3.0, 2.0, 1.0], 0),
        ([1.0, 2.0], 0),
        ([1.0, 2.0, 2.0], 1),
        ([1.0, 1.0, 1.0], 1),  # as good as the best is no improvement
        ([1.0, 2.0, 0.5, 2.0], 0),
        ([1.0, 2.0, 2.0, 2.0], 1),
        ([1.0, 2.0, 2.0, 2.0, 1.5], 2),  # better than before, yet not than the best
        ([1.0, 2.0, 2.0, 0.9, 2.0, 2.0], 2),
        ([1.0, math.nan, math.nan], 1),
        ([math.nan, 5.0], 0),
    ],
)
def test_a_rate_is_lowered_each_time_that_two_validations_bring_nothing(losses, count):
    assert reductions(losses, 2) == count


def test_a_plateau_multiplies_the_rate_after_the_warm_up_and_not_without_end():
    spec = TrainSpec(schedule="plateau", patience=1, plateau_factor=0.3, warmup=0.1)
    assert scheduled(0.5, spec) == 1.0
    assert scheduled(0.5, spec, [1.0, 2.0]) == pytest.approx(0.3)
    assert scheduled(0.5, spec, [1.0, 2.0, 3.0]) == pytest.approx(0.09)
    assert scheduled(0.05, spec, [1.0, 2.0]) == pytest.approx(0.15, rel=0.01)
    assert scheduled(1.0, spec, [1.0] * 100) == LEAST


@given(st.lists(st.floats(0, 10)), st.integers(1, 5))
def test_a_longer_history_never_raises_the_rate_nor_takes_an_end_back(losses, patience):
    spec = TrainSpec(schedule="plateau", patience=patience, stop_after=patience, warmup=0)
    rates = [scheduled(0.5, spec, losses[:count]) for count in range(len(losses) + 1)]
    assert rates == sorted(rates, reverse=True)
    first = next((count for count in range(len(losses) + 1) if is_over(losses[:count], spec)), None)
    assert (first is None) == (reductions(losses, patience) == 0)


@pytest.mark.parametrize(
    ("losses", "over"),
    [([], False), ([1.0], False), ([1.0, 2.0], False), ([1.0, 2.0, 3.0], True), ([1.0, 2.0, 0.5], False)],
)
def test_a_run_is_over_after_so_many_validations_without_improvement(losses, over):
    assert is_over(losses, TrainSpec(stop_after=2)) == over
    assert not is_over(losses, TrainSpec())


def test_what_follows_validation_losses_says_that_it_needs_them():
    plain, asking = TrainSpec(), TrainSpec(schedule="plateau", stop_after=4)
    require_validation(plain, 0)
    require_validation(asking, 1)
    with pytest.raises(RecipeError, match=r"plateau and train\.stop_after=4"):
        require_validation(asking, 0)
