"""A study is checked against the recipe before anything is trained, and says which settings a trial gets."""

import pytest
import yaml

from gracile.errors import RecipeError
from gracile.names import PACKAGE, STUDIES
from gracile.recipe import AugmentSpec, read_recipe
from gracile.study import ChoicesSpec, RangeSpec, StudySpec, read_study, stored

RATE = "stages.*.train.learning_rate"


def study(settings: dict, **more) -> StudySpec:
    return StudySpec.model_validate({"name": "mine", "settings": settings, **more})


@pytest.fixture
def recipe():
    return read_recipe("retina-av")


def test_every_shipped_study_is_listed_and_reads_back_equal(tmp_path):
    assert {path.stem for path in (PACKAGE / "studies").glob("*.yaml")} == set(STUDIES)
    for name in STUDIES:
        shipped = read_study(name)
        assert (shipped.name, bool(shipped.title), bool(shipped.summary)) == (name, True, True)
        (tmp_path / "copy.yaml").write_text(shipped.to_yaml(), encoding="utf-8")
        assert read_study(tmp_path / "copy.yaml") == shipped
        assert shipped.sampler != "grid" or len(shipped.grid) == shipped.trials


@pytest.mark.parametrize("name", [name for name in STUDIES if name != "patch-overlap"])
def test_every_shipped_study_suits_the_recipe(name, recipe):
    read_study(name).require_fit(recipe, from_bundle=True)


def test_the_shipped_augmentations_say_everything():
    variants = read_study("augmentation").settings["augmentation"].variants
    for name, variant in variants.items():
        if variant:
            assert set(variant["stages.*.augment"]) == set(AugmentSpec.model_fields), name
    assert not any(variants["none"]["stages.*.augment"].values())


def test_a_setting_that_the_recipe_has_not_is_said(recipe):
    with pytest.raises(RecipeError, match=r"'patch-overlap' sets stages\.\*\.overlap.*stage 'vessels'.*'retina-av'"):
        read_study("patch-overlap").require_fit(recipe, from_bundle=False)
    with pytest.raises(RecipeError, match="learning_rate"):
        study({RATE: {"low": -1.0, "high": 1.0}}).require_fit(recipe, from_bundle=False)


def test_a_study_of_transfer_needs_a_bundle(recipe):
    for name in ("surgery", "frozen-depth", "unfreezing-rate", "fine-tuning"):
        with pytest.raises(RecipeError, match="--from"):
            read_study(name).require_fit(recipe, from_bundle=False)
    variants = {"how": {"variants": {"a": {"stages.*.train.transfer.freeze": 1}, "b": {}}}}
    with pytest.raises(RecipeError, match="--from"):
        study(variants).require_fit(recipe, from_bundle=False)


def test_a_setting_that_would_change_nothing_is_refused():
    gated = read_recipe("nerve-ultrasound")
    rate = {"train.learning_rate": {"low": 0.1, "high": 1.0}}
    study(rate).require_fit(gated, from_bundle=False)
    with pytest.raises(RecipeError, match=r"value of its own.*stages\.\*\.train\.learning_rate"):
        study(rate, stage="presence").require_fit(gated, from_bundle=False)
    with pytest.raises(RecipeError, match="presence, structures"):
        study(rate, stage="vessels").require_fit(gated, from_bundle=False)


def test_a_trial_gets_its_settings_on_the_stage_that_is_tuned():
    gated = read_recipe("nerve-ultrasound")
    mine = study(
        {RATE: {"low": 0.1, "high": 1.0}, "how": {"variants": {"plain": {}, "long": {"train.epochs": 7}}},
         "stages.*.losses": {"choices": [[{"name": "dice"}], [{"name": "focal"}, {"name": "dice"}]]}},
        fixed={"train.batch_size": 3},
    )  # fmt: skip
    losses = mine.settings["stages.*.losses"].values
    assert all(isinstance(value, str) for value in losses)
    tried = mine.apply(gated, {RATE: 0.5, "how": "long", "stages.*.losses": losses[1]})
    gate, segment = tried.stages
    assert tried.train_of(segment).learning_rate == 0.5
    assert tried.train_of(gate).learning_rate == gated.train_of(gated.stages[0]).learning_rate
    assert (tried.train.epochs, tried.train.batch_size) == (7, 3)
    assert [loss.name for loss in segment.losses] == ["focal", "dice"]
    assert mine.apply(gated, {RATE: 0.5, "how": "plain"}).train.epochs == gated.train.epochs


def test_ranges_know_their_values():
    assert RangeSpec(low=2, high=8, step=3).values == [2, 5, 8]
    assert RangeSpec(low=1, high=3).values == [1, 2, 3]
    assert RangeSpec(low=0.0, high=0.3, step=0.1).values == [0.0, 0.1, 0.2, 0.3]
    assert RangeSpec(low=0.0, high=1.0).values == []
    grid = study({"a": {"choices": [1, 2]}, "b": {"low": 0, "high": 1}}, sampler="grid").grid
    assert grid == [{"a": 1, "b": 0}, {"a": 1, "b": 1}, {"a": 2, "b": 0}, {"a": 2, "b": 1}]
    assert ChoicesSpec(choices=[[], ["head"], None, 2]).values == ["[]", "[head]", None, 2]
    assert yaml.safe_load(stored({"a": [1, 2.5], "b": "c"})) == {"a": [1, 2.5], "b": "c"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"settings": {}}, "settings"),
        ({"settings": {"a": {"low": 2, "high": 1}}}, "below"),
        ({"settings": {"a": {"low": 0, "high": 1, "log": True}}}, "above 0"),
        ({"settings": {"a": [1, 2]}}, "`low` and `high`, or `choices`, or `variants`"),
        ({"settings": {"a": {"from": 0}}}, "`low` and `high`, or `choices`, or `variants`"),
        ({"settings": {"a": {"choices": [1]}}}, "choices"),
        ({"settings": {"a": {"low": 0.0, "high": 1.0}}, "sampler": "grid"}, "a grid needs"),
        ({"settings": {"a": {"choices": [1, 2]}}, "trails": 3}, "trails"),
        ("name", "not a study"),
    ],
)
def test_a_file_that_is_no_study_is_refused_with_its_place(tmp_path, data, said):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(RecipeError, match=said):
        read_study(path)


def test_an_unknown_study_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(RecipeError, match="learning-rate"):
        read_study("learning_rate")
    with pytest.raises(RecipeError, match=r"absent\.yaml"):
        read_study(tmp_path / "absent.yaml")
    (tmp_path / "mine.yaml").write_text("settings: {train.seed: {choices: [1, 2]}}")
    assert read_study(tmp_path / "mine.yaml").name == "mine"
