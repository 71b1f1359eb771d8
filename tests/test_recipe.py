"""A recipe is typed data: it reads, every value can be set by its name, and what makes no sense is named."""

import pytest
import timm
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.errors import RecipeError
from gracile.names import LOSSES, NETWORKS, PROTOCOLS, RECIPES, WINDOW_NETWORKS
from gracile.recipe import GateSpec, read_recipe, recipe_from


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_reads_and_names_only_what_exists(name):
    recipe = read_recipe(name)
    assert recipe.name == name
    assert recipe.protocol in PROTOCOLS
    assert recipe.class_names[0] == "background"
    for stage in recipe.stages:
        if isinstance(stage, GateSpec):
            library, _, network = stage.network.name.rpartition(":")
            assert network in (NETWORKS if library == "map" else timm.list_models())
        else:
            assert stage.network.name in {**NETWORKS, **WINDOW_NETWORKS}
        assert {term.name for term in getattr(stage, "losses", [])} <= set(LOSSES)


def value_at(recipe, dotted):
    node = recipe
    for part in dotted.split("."):
        node = node[int(part)] if part.isdigit() else node[part] if isinstance(node, dict) else getattr(node, part)
    return node


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ("train.epochs=7", "train.epochs", 7),
        ("train.learning_rate=5e-4", "train.learning_rate", 5e-4),
        ("input.wrong_kind=flag", "input.wrong_kind", "flag"),
        ("stages.0.flips=true", "stages.0.flips", True),
        ("stages.vessels.flips=true", "stages.0.flips", True),
        ("stages.vessels.losses.tree.weight=0.3", "stages.0.losses.1.weight", 0.3),
        ("stages.vessels.losses.1.options.dice=0.1", "stages.0.losses.1.options.dice", 0.1),
        ("stages.vessels.network.options.dropout=0", "stages.0.network.options",
         {"widths": [32, 48, 64, 96, 128], "steps": 2, "fold": 2, "dropout": 0}),
        ("stages.vessels.sampler.patch=[64, 32]", "stages.0.sampler.patch", (64, 32)),
        ("train.betas.1=0.99", "train.betas", (0.9, 0.99)),
        ("classes.vein.color=[0,0,200]", "classes.2.color", (0, 0, 200)),
        ("trees.vein=[vein]", "trees.vein", ["vein"]),
        ("measure=[]", "measure", []),
        ("title=a = b", "title", "a = b"),
    ],
)  # fmt: skip
def test_a_value_is_set_by_its_dotted_name(setting, place, value):
    assert value_at(read_recipe("retina-av", [setting]), place) == value
    assert value_at(read_recipe("retina-av"), place) != value


def test_later_settings_see_earlier_ones():
    recipe = read_recipe("retina-av", ["stages.vessels.name=tubes", "stages.tubes.flips=true", "train.epochs=3"])
    assert (recipe.stages[0].name, recipe.stages[0].flips, recipe.train.epochs) == ("tubes", True, 3)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.epoch=3", "epochs"),
        ("trian.epochs=3", "train"),
        ("stages.vessel.flips=true", "vessels"),
        ("stages.7.flips=true", "vessels"),
        ("stages.vessels.losses.dise.weight=1", "dice"),
        ("classes.venous.color=[1,2,3]", "vein"),
        ("train.epochs.first=3", "single value"),
        ("train.epochs.first.second=3", "single value"),
        ("train.epochs", "--set"),
        ("=3", "--set"),
        ("train.epochs=[3", "train.epochs"),
        ("train.betas.7=0.9", "0, 1"),
    ],
)
def test_an_unknown_setting_is_refused_with_what_was_meant(setting, expected):
    with pytest.raises(RecipeError) as caught:
        read_recipe("retina-av", [setting])
    assert expected in str(caught.value)
    assert caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("train.epochs=many", "train.epochs"),
        ("train.epochs=0", "train.epochs"),
        ("train.validation=1.0", "train.validation"),
        ("input.wrong_kind=ignore", "input.wrong_kind"),
        ("prepare=600", "prepare"),
        ("classes.vein.color=[0,0]", "classes.2.color"),
        ("stages.vessels.flips=perhaps", "flips"),
        ("stages.vessels.kind=delineate", "stages.0"),
        ("trees.vein=[vein, capillary]", "capillary"),
        ("classes.vein.color=[0,0,256]", "classes.2.color"),
        ("prepare.diameter=-1", "prepare.diameter"),
        ("train.learning_rate=-1", "train.learning_rate"),
        ("protocol=dice", "av-multiclass"),
        ("stages.vessels.name=../vessels", "name"),
        ("stages.vessels.name=cache", "cache"),
        ("stages.vessels.sampler.patch=[0, 64]", "patch"),
        ("stages.vessels.largest_input=0", "largest_input"),
        ("stages.vessels.network.options={encoder_weights: imagenet}", "initial"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_its_place(setting, place):
    with pytest.raises(RecipeError, match=place):
        read_recipe("retina-av", [setting])


def test_an_unknown_recipe_is_refused_with_the_nearest_name():
    with pytest.raises(RecipeError, match="Did you mean retina-av"):
        read_recipe("retina-aw")
    with pytest.raises(RecipeError, match=r"structure-2d.*\.yaml"):
        read_recipe("completely different")


@pytest.mark.parametrize("text", ["[1, 2]", "name: {", "", "name: a\ntitle: b\n", "\xff\xfe"])
def test_a_file_that_is_no_recipe_is_refused_by_name(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecipeError):
        read_recipe(path)
    with pytest.raises(RecipeError, match=r"absent\.yaml"):
        read_recipe(tmp_path / "absent.yaml")


def test_an_unknown_key_in_a_file_is_refused_with_its_place(tmp_path):
    data = yaml.safe_load(read_recipe("structure-2d").to_yaml())
    data["stages"][0]["sampler"]["per_image"] = 3
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(RecipeError, match=r"sampler\.per_image"):
        read_recipe(path)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_written_as_yaml_reads_back_equal(name, tmp_path):
    recipe = read_recipe(
        name, ["train.seed=5", "stages.vessels.flips=true"] if name.startswith("retina") else ["train.seed=5"]
    )
    path = tmp_path / "copy.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert read_recipe(path) == recipe


WRITTEN = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"], include_characters="\n\t"))
"""What people type; YAML itself folds the other line breaks and refuses control characters."""


@settings(max_examples=30)
@given(title=WRITTEN, rate=st.floats(1e-12, 1e3), color=st.tuples(*[st.integers(0, 255)] * 3))
def test_any_text_and_number_survives_yaml(title, rate, color):
    recipe = read_recipe("structure-2d").model_copy(deep=True)
    recipe.title, recipe.train.learning_rate, recipe.classes[1].color = title, rate, color
    assert recipe_from(yaml.safe_load(recipe.to_yaml())) == recipe


def test_a_crossing_belongs_to_both_trees():
    assert read_recipe("retina-av").structures == {"artery": (1, 3), "vein": (2, 3)}


def test_without_trees_each_foreground_class_is_a_structure():
    assert read_recipe("structure-2d").structures == {"structure": (1,)}


def test_equal_names_of_classes_or_stages_are_refused():
    with pytest.raises(RecipeError, match="different names"):
        read_recipe("structure-2d", ["classes.1.name=background"])
    data = yaml.safe_load(read_recipe("structure-2d").to_yaml())
    data["stages"] *= 2
    with pytest.raises(RecipeError, match="name of its own"):
        recipe_from(data)
