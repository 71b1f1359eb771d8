"""A bundle gives the answer of the pipeline that was written, and refuses whatever is damaged or dangerous."""

import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from gracile.api import Model, load
from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.case import Case
from gracile.errors import BundleError, GracileError, RecipeError
from gracile.learning.learners import build_learner
from gracile.names import MODELS
from gracile.pipeline import Pipeline
from tests.conftest import draw_fundus

WEIGHTS = "vessels.safetensors"


@pytest.fixture
def copy(tiny_bundle, tmp_path):
    """A bundle that a test may spoil."""
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def change_manifest(folder, change):
    path = folder / "bundle.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_bundle_that_was_written_gives_the_same_answer(tiny_recipe, tmp_path):
    torch.manual_seed(3)
    stage = build_learner(tiny_recipe.stages[0], tiny_recipe)
    image, _, _ = draw_fundus(0)
    pipeline = Pipeline(tiny_recipe, [stage.applied()])
    expected = pipeline(Case.from_array(image), keep_probabilities=True)
    # By now the weights lie channels-last, as they do after training.
    bundle = Bundle(recipe=tiny_recipe, weights={stage.name: stage.bundle_weights()}, card={"data": {"cases": 2}})
    folder = write_bundle(bundle, tmp_path / "bundle")
    found = read_bundle(folder)
    assert found.recipe == tiny_recipe
    assert found.card == bundle.card
    answer = Model(found, device="cpu")(image, probabilities=True)
    np.testing.assert_array_equal(answer.mask, expected.mask)
    np.testing.assert_array_equal(answer.probabilities, expected.probabilities)


def test_checksums_are_those_of_the_files(tiny_bundle):
    assert read_bundle(tiny_bundle).checksums == {
        "vessels": hashlib.sha256((tiny_bundle / WEIGHTS).read_bytes()).hexdigest()
    }


def test_the_card_is_there_for_people_to_read(tiny_bundle):
    assert "Random weights." in (tiny_bundle / "card.md").read_text()


def test_a_training_run_is_named_by_its_own_folder(copy):
    shutil.move(copy, copy.parent / "run" / "bundle")
    assert read_bundle(copy.parent / "run").recipe.name == "retina-av"


def test_settings_change_the_recipe_of_a_bundle(tiny_bundle):
    assert read_bundle(tiny_bundle, ["stages.vessels.flips=true"]).recipe.stages[0].flips
    with pytest.raises(RecipeError, match="flips"):
        read_bundle(tiny_bundle, ["stages.vessels.flip=true"])


def test_a_flipped_bit_in_the_weights_is_noticed(copy):
    content = bytearray((copy / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (copy / WEIGHTS).write_bytes(content)
    with pytest.raises(BundleError, match="checksum"):
        read_bundle(copy)


def test_a_missing_weights_file_is_named(copy):
    (copy / WEIGHTS).unlink()
    with pytest.raises(BundleError, match=WEIGHTS):
        read_bundle(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format=2),
        lambda m: m.pop("recipe"),
        lambda m: m.update(run="import os"),
        lambda m: m["weights"]["vessels"].pop("sha256"),
        lambda m: m["recipe"].update(stages=[]),
        lambda m: m["recipe"].update(classes=m["recipe"]["classes"][:1]),
        lambda m: m["recipe"]["stages"][0]["network"]["options"].update(widths=[4, 8, 12]),
        lambda m: m["recipe"]["stages"][0]["network"].update(name="monai:NoSuchNet"),
        lambda m: m.update(weights={}),
        lambda m: m["weights"].update(lines=m["weights"].pop("vessels")),
    ],
    ids=["newer format", "no recipe", "unknown entry", "no checksum", "no stages", "one class", "other widths",
         "other network", "no weights", "other stage"],
)  # fmt: skip
def test_a_changed_manifest_is_refused(copy, change):
    change_manifest(copy, change)
    with pytest.raises(GracileError):
        load(copy, device="cpu")


def test_a_recipe_of_another_version_is_the_bundles_fault_and_a_setting_is_the_users(copy):
    with pytest.raises(RecipeError, match="epochs"):
        read_bundle(copy, ["train.epoch=3"])
    change_manifest(copy, lambda manifest: manifest["recipe"].update(prophecy=True))
    with pytest.raises(BundleError, match="prophecy"):
        read_bundle(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_manifest_that_is_no_json_is_refused(copy, text):
    (copy / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        read_bundle(copy)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("save", [lambda t, p: p.write_bytes(pickle.dumps(t)), lambda t, p: torch.save({"w": t}, p)])
def test_a_pickle_in_place_of_the_weights_is_never_opened(copy, tmp_path, save):
    save(Trap(tmp_path / "sprung"), copy / WEIGHTS)
    digest = hashlib.sha256((copy / WEIGHTS).read_bytes()).hexdigest()
    change_manifest(copy, lambda m: m["weights"]["vessels"].update(sha256=digest))
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(copy)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["../outside.safetensors", "{absolute}", "sub/inside.safetensors", "..", ".", ""])
def test_a_weights_file_outside_the_bundle_is_refused(copy, name):
    outside = copy.parent / "outside.safetensors"
    shutil.copy(copy / WEIGHTS, outside)
    (copy / "sub").mkdir()
    shutil.copy(copy / WEIGHTS, copy / "sub" / "inside.safetensors")
    change_manifest(copy, lambda m: m["weights"]["vessels"].update(file=name.format(absolute=outside)))
    with pytest.raises(BundleError):
        read_bundle(copy)


def test_an_unknown_model_is_refused_with_the_shipped_ones():
    with pytest.raises(BundleError, match=", ".join(MODELS)):
        read_bundle("retina-aw")


def test_half_a_bundle_is_none(tiny_bundle, tmp_path, monkeypatch):
    def full(*_):
        raise OSError

    monkeypatch.setattr("gracile.bundle.write_text", full)
    with pytest.raises(OSError):  # noqa: PT011
        write_bundle(read_bundle(tiny_bundle), tmp_path / "half")
    with pytest.raises(BundleError, match="no model"):
        read_bundle(tmp_path / "half")
