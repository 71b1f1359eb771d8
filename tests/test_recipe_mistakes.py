"""Every mistake in the document is told before anything runs, in the words that the document has."""

import re
from pathlib import Path

import pytest

from gracile.api.checking import check_recipe
from gracile.errors import RecipeError
from gracile.recipe import read_recipe

PAGE = (Path(__file__).parents[1] / "docs/recipe-mistakes.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<recipe>[a-z0-9-]+)` \| (?P<settings>`.*`) \| (?P<said>.*) \|$", re.MULTILINE)


def rows(part: str) -> list[tuple[str, list[str], str]]:
    return [(row["recipe"], row["settings"].strip("`").split("` `"), row["said"]) for row in ROW.finditer(part)]


MISTAKES, WARNINGS = (rows(part) for part in PAGE.split("## Warnings"))


@pytest.mark.parametrize(("recipe", "settings", "said"), MISTAKES)
def test_a_mistake_is_told_in_these_words(recipe, settings, said):
    with pytest.raises(RecipeError) as refused:
        check_recipe(read_recipe(recipe, settings))
    assert str(refused.value) == said


@pytest.mark.parametrize(("recipe", "settings", "said"), WARNINGS)
def test_a_warning_is_logged_and_the_recipe_is_taken(recipe, settings, said, caplog):
    check_recipe(read_recipe(recipe, settings))
    assert caplog.messages == [said]


def test_the_page_has_every_kind_of_mistake():
    assert len(MISTAKES) > 40
    assert WARNINGS


def test_the_lines_to_type_end_the_complaint():
    classes = (
        "classes=[{name: background, color: [0,0,0]}, {name: A left, color: [1,0,0]}, {name: A right, color: [2,0,0]}]"
    )
    with pytest.raises(RecipeError) as refused:
        read_recipe("structure-2d", [classes])
    typed = re.findall(r"--set '([^']+)'", str(refused.value))
    assert len(typed) == 4
    for lines in (typed[:2], typed[2:]):
        assert read_recipe("structure-2d", [classes, *lines]).opposites in ([0, 2, 1], [0, 1, 2])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("left nerve", "right nerve"), ("Nerve_L", "nerve_r"), ("kidneyLeft", "kidneyRight"),
        ("leftkidney", "rightkidney"), ("L vagus", "R vagus"), ("optic LEFT disc", "optic right disc"),
    ],
)  # fmt: skip
def test_names_that_differ_only_in_their_side_are_known(first, second):
    from gracile.recipe.sides import differ_in_side

    assert differ_in_side(first, second)
    assert differ_in_side(second, first)


@pytest.mark.parametrize(
    ("first", "second"), [("artery", "vein"), ("left nerve", "left nerve"), ("left nerve", "right vein"), ("L4", "L5")]
)
def test_other_names_are_not(first, second):
    from gracile.recipe.sides import differ_in_side

    assert not differ_in_side(first, second)
