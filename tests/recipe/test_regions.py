"""Regions of a recipe: which class each is written as, and what cannot be."""

import pytest

from gracile.errors import RecipeError
from gracile.recipe import read_recipe
from gracile.recipe.regions import written_classes

CLASSES = (
    "classes=[{name: background, color: [0, 0, 0]}, {name: edema, color: [1, 0, 0]}, {name: core, color: [2, 0, 0]}]"
)
NESTED = "regions={whole: [edema, core], core: [core]}"


def test_each_region_is_written_as_its_class_that_no_later_one_has():
    kits = {"kidney": ["kidney", "tumor", "cyst"], "masses": ["tumor", "cyst"], "tumor": ["tumor"]}
    assert written_classes(kits) == {"kidney": ["kidney"], "masses": ["cyst"], "tumor": ["tumor"]}


def test_a_recipe_with_regions_answers_them_and_scores_them():
    recipe = read_recipe("structure-2d", [CLASSES, NESTED])
    assert recipe.answers == ["whole", "core"]
    assert recipe.maps == ["background", "whole", "core"]
    assert recipe.structures == {"whole": (1, 2), "core": (2,)}
    assert recipe.written == [1, 2]


def test_without_regions_maps_are_the_classes():
    recipe = read_recipe("structure-2d", [CLASSES])
    assert recipe.answers == recipe.maps == ["background", "edema", "core"]
    assert recipe.written == []


def test_mirrored_maps_are_those_of_the_other_side():
    sides = ", ".join(
        f"{{name: {name}, color: [1, 1, 1], opposite: {other}}}"
        for name, other in (("left rim", "right rim"), ("right rim", "left rim"), ("left core", "right core"),
                            ("right core", "left core"))
    )  # fmt: skip
    regions = "{l: [left rim, left core], r: [right rim, right core], lc: [left core], rc: [right core]}"
    recipe = read_recipe(
        "structure-2d", [f"classes=[{{name: background, color: [0, 0, 0]}}, {sides}]", f"regions={regions}"]
    )
    assert recipe.map_opposites == [0, 2, 1, 4, 3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["regions={whole: [edema, cor], core: [core]}"], "Did you mean core"),
        (["regions={core: [core], whole: [edema, core]}"], "'core' is never written"),
        (["regions={whole: [edema, core]}"], "edema and core are in no region behind it"),
        (["regions={core: [core]}"], "'edema' is in no region"),
        (["regions={background: [edema, core], core: [core]}"], "cannot be named as the background"),
        ([NESTED, "trees={all: [edema, core]}"], "leave one of them out"),
        ([NESTED, "stages.segment.decision.rule=foreground-first"], "decided by decision.threshold"),
    ],
)
def test_what_cannot_be_is_told(settings, said):
    with pytest.raises(RecipeError, match=said):
        read_recipe("structure-2d", [CLASSES, *settings])


def test_a_gate_and_regions_are_refused_together():
    with pytest.raises(RecipeError, match="closes classes, and `regions` overlap"):
        read_recipe("surgical-tool", ["regions={tool: [tool]}"])


def test_a_stage_that_names_structures_names_regions():
    settings = [CLASSES, NESTED, "measure=[]"]
    recipe = read_recipe("spinal-cord", [*settings, "stages.centerline.structures=[whole]"])
    assert recipe.stages[0].members == ["whole"]
    with pytest.raises(RecipeError, match="names 'edema', which is none of the recipe's"):
        read_recipe("spinal-cord", [*settings, "stages.centerline.structures=[edema]"])
