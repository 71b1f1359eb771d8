"""How intensities are brought to one scale, as a recipe says it."""

import pytest

from gracile.errors import RecipeError
from gracile.recipe import TrainingSetSpec, WindowSpec, read_recipe, recipe_from, recipe_with

CT = "prepare.intensity={method: training-set, low: -90, high: 310, mean: 80, deviation: 55}"


def test_a_window_is_read_set_by_its_parts_and_written_back():
    recipe = read_recipe("structure-2d", ["prepare.intensity={method: window, low: -160, high: 240}"])
    assert recipe.prepare.intensity == WindowSpec(low=-160, high=240)
    narrower = recipe_with(recipe, {"prepare.intensity.high": 100})
    assert narrower.prepare.intensity == WindowSpec(low=-160, high=100)
    assert recipe_from(narrower.model_dump(mode="json")) == narrower


def test_one_way_is_that_of_every_channel_and_a_list_has_one_for_each():
    assert [read_recipe("structure-2d").prepare.intensity_of(channel) for channel in range(3)] == ["zscore"] * 3
    recipe = read_recipe("structure-2d", ["prepare.intensity=[unit, {method: window, low: 0, high: 9}, zscore]"])
    ways = [recipe.prepare.intensity_of(channel) for channel in range(3)]
    assert ways == ["unit", WindowSpec(low=0, high=9), "zscore"]
    assert recipe_with(recipe, {"prepare.intensity.1.low": 3}).prepare.intensity_of(1) == WindowSpec(low=3, high=9)


def test_the_training_set_s_figures_are_part_of_the_recipe():
    spec = read_recipe("structure-2d", [CT]).prepare.intensity
    assert spec == TrainingSetSpec(low=-90, high=310, mean=80, deviation=55)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("prepare.intensity=zscor", "Did you mean zscore"),
        ("prepare.intensity=window", r"'window' takes settings: write {method: window, low: ..., high: ...}"),
        ("prepare.intensity={method: windo, low: 1, high: 2}", "Did you mean window"),
        ("prepare.intensity={method: window, low: 1}", "high: it is missing"),
        ("prepare.intensity={method: window, low: 2, high: 1}", "2 does not lie below 1"),
        ("prepare.intensity={method: training-set, low: 1, high: 2, mean: 1, deviation: 0}", "deviation"),
        ("prepare.intensity=[zscore, unit]", "lists 2 channels, and input.channels is 3"),
        ("prepare.intensity=[]", "it is empty"),
        ("prepare.intensity=3", "it takes one of zscore, unit"),
    ],
)
def test_mistakes_are_told_with_the_remedy(setting, said):
    with pytest.raises(RecipeError, match=said):
        read_recipe("structure-2d", [setting])
