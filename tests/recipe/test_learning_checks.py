"""How samples are drawn and mirrored, how many classes there may be, what is ignored: what a recipe may say of it."""

import pytest

from gracile.errors import RecipeError
from gracile.recipe import read_recipe

SIDES = (
    "classes=[{name: background, color: [0, 0, 0]}, {name: left, color: [1, 1, 1], opposite: right}, "
    "{name: right, color: [2, 2, 2], opposite: left}]"
)
WHOLE = ["stages.cord.along=''", "measure=[]"]


def classes(count: int) -> str:
    named = ", ".join(f"{{name: c{number}, color: [1, 1, 1]}}" for number in range(count))
    return f"classes=[{named}]"


def test_254_classes_besides_the_background_are_taken_and_more_are_refused_with_the_limit():
    assert len(read_recipe("structure-2d", [classes(255)]).classes) == 255
    with pytest.raises(RecipeError, match="500 classes besides the background, more than the 254 that an 8-bit mask"):
        read_recipe("structure-2d", [classes(501)])


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("spinal-cord", ["stages.cord.balance=classes"], "along a line: balance is for whole volumes"),
        ("structure-2d", ["stages.segment.sampler={balance: classes, whole: true}"], "shows whole pictures"),
        ("skull-landmarks", ["stages.0.augment.flip_axes=[1]"], "leave flip_axes out"),
        ("structure-2d", ["classes.structure.ignored=[9]"], "listed once, in `ignored` of the background"),
        ("structure-2d", ["classes.background.ignored=[1]"], "value 1 is that of the class 'structure'"),
        ("spinal-cord", [*WHOLE, "stages.cord.flips=[3]"], "flips"),
    ],
)
def test_what_would_mean_nothing_is_refused(name, settings, said):
    with pytest.raises(RecipeError, match=said):
        read_recipe(name, settings)


def test_only_mirroring_along_the_axis_of_the_sides_asks_for_opposites():
    named = SIDES.replace(", opposite: right", "").replace(", opposite: left", "")
    off = ["stages.cord.flips=false", "stages.centerline.augment.flip=false", "stages.cord.augment.flip=false"]
    for axes in ("augment.flip_axes=[1, 2]", "flips=[1]"):
        read_recipe("spinal-cord", [*WHOLE, named, *off, f"stages.cord.{axes}"])
    for axes in ("augment.flip_axes=[0]", "flips=[0, 1]"):
        with pytest.raises(RecipeError, match="differ only in their side"):
            read_recipe("spinal-cord", [*WHOLE, named, *off, f"stages.cord.{axes}"])


def test_mirroring_front_to_back_of_what_may_be_turned_upside_down_is_refused_where_there_are_sides():
    free = ["stages.cord.augment.flip_axes=[1]", "stages.cord.augment.rotation=180"]
    read_recipe("spinal-cord", [*WHOLE, *free])
    with pytest.raises(RecipeError, match="leave axis 1 out of augment"):
        read_recipe("spinal-cord", [*WHOLE, SIDES, *free])


def test_copies_are_mirrored_along_every_choice_of_the_axes():
    stage = read_recipe("spinal-cord", ["stages.cord.flips=[1, 0]"]).stages[1]
    assert stage.mirrorings == [(), (0,), (1,), (0, 1)]
    assert read_recipe("spinal-cord", ["stages.cord.flips=true"]).stages[1].mirrorings == [(), (0,)]
    assert read_recipe("spinal-cord", ["stages.cord.flips=false"]).stages[1].mirrorings == [()]
