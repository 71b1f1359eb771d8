"""The rules of a plan are a table that people can change."""

from pathlib import Path

import pytest

from gracile.errors import RecipeError
from gracile.plan import make_plan
from gracile.plan.rules import read_rules
from tests.plan.drawn_sets import two_balls


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_balls(tmp_path_factory.mktemp("volumes"), 6, {"background": 0, "front": 1, "back": 2})


def test_rules_can_be_changed_and_mistakes_are_named(tmp_path: Path, volumes: Path) -> None:
    changed = tmp_path / "rules.yaml"
    changed.write_text("largest_patch_3d: {value: 5000}\n")
    assert read_rules(changed)["largest_patch_3d"] == 5000
    spec = make_plan(volumes, minutes=1, rules_file=changed).recipe.stages[0]
    assert spec.size[0] * spec.size[1] * spec.length <= 5000
    changed.write_text("largest_path_3d: {value: 5000}\n")
    with pytest.raises(RecipeError, match="largest_patch_3d"):
        read_rules(changed)
    changed.write_text("largest_patch_3d: {value: many}\n")
    with pytest.raises(RecipeError, match="cannot be 'many'"):
        read_rules(changed)


def test_every_rule_says_what_it_means_and_where_it_comes_from() -> None:
    rules = read_rules()
    assert all(rules.sources[name] for name in rules.values)
