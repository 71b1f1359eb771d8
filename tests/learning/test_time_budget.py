"""The minutes of a whole command, shared out among its stages."""

import time
from pathlib import Path

import pytest

from gracile.learning.time_budget import TimeBudget
from gracile.recipe import read_recipe


def test_without_minutes_each_stage_has_the_recipe_s_own(tmp_path: Path) -> None:
    recipe = read_recipe("skull-landmarks")
    budget = TimeBudget(0, tmp_path, 0)
    assert [budget.for_stage(spec, recipe) for spec in recipe.stages] == [5, 10]
    assert budget.seconds_left is None


def test_stages_share_the_minutes_as_their_own_are_to_each_other(tmp_path: Path) -> None:
    recipe = read_recipe("skull-landmarks")
    budget = TimeBudget(60, tmp_path, time.monotonic())
    first, second = (budget.for_stage(spec, recipe) for spec in recipe.stages)
    assert first == pytest.approx((60 - 2.4) / 3, abs=0.1)
    assert second == pytest.approx((60 - 2.4) * 2 / 3, abs=0.1)


def test_what_was_spent_before_counts(tmp_path: Path) -> None:
    recipe = read_recipe("structure-2d")
    budget = TimeBudget(10, tmp_path, time.monotonic() - 240)
    assert budget.for_stage(recipe.stages[0], recipe) == pytest.approx(5.6, abs=0.1)


def test_a_resumed_run_keeps_the_minutes_that_it_gave(tmp_path: Path) -> None:
    recipe = read_recipe("structure-2d")
    begun = TimeBudget(10, tmp_path, time.monotonic())
    begun.note()
    given = begun.for_stage(recipe.stages[0], recipe)
    resumed = TimeBudget(0, tmp_path, time.monotonic() - 500).resumed()
    assert resumed.minutes == 10
    assert resumed.for_stage(recipe.stages[0], recipe) == given


def test_a_gate_that_is_trained_again_for_its_calibration_counts_for_each_time(tmp_path: Path) -> None:
    recipe = read_recipe("surgical-tool")
    budget = TimeBudget(10, tmp_path, time.monotonic())
    gate = budget.for_stage(recipe.stages[0], recipe)
    assert gate * 4 == pytest.approx((10 - 0.4) * 4 / 5, abs=0.1)


def test_however_late_it_is_each_stage_has_some_time(tmp_path: Path) -> None:
    recipe = read_recipe("structure-2d")
    assert TimeBudget(1, tmp_path, time.monotonic() - 600).for_stage(recipe.stages[0], recipe) > 0


def test_a_stage_that_is_left_out_takes_no_minutes(tmp_path: Path) -> None:
    recipe = read_recipe("nerve-ultrasound")
    without = recipe.model_copy(update={"stages": recipe.stages[1:]})
    budget = TimeBudget(10, tmp_path, time.monotonic())
    assert budget.for_stage(recipe.stages[1], without) == pytest.approx(9.6, abs=0.1)
