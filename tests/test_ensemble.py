"""An ensemble is a bundle like any other: read, verified, predicted with, refused in words where it makes no sense."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gracile.api import explain, export, load, predict
from gracile.api import train as api_train
from gracile.bundle import Bundle, read_bundle, write_bundle, write_card
from gracile.cli import app
from gracile.ensemble import joined, read_bundles, renew_members, single, write_ensemble
from gracile.errors import BundleError, UsageError
from gracile.io.predictions_file import read_predictions
from gracile.learning.learners import build_learner
from gracile.recipe import Recipe, read_recipe, recipe_with
from gracile.runners import choice
from gracile.runners.verify import verify
from tests.conftest import TINY, draw_fundus
from tests.runners.graphs import STAGE, write_graph_bundle


def random_bundle(recipe: Recipe, folder: Path, seed: int, **card) -> Path:
    """A bundle with random weights that finds something."""
    weights = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for spec in recipe.stages:
            stage = build_learner(spec, recipe)
            state = stage.bundle_state().items()
            weights[spec.name] = {k: (v + torch.randn(v.shape) if "heads." in k else v).numpy() for k, v in state}
    return write_bundle(Bundle(recipe=recipe, weights=weights, card=card), folder)


@pytest.fixture(scope="module")
def members(tiny_recipe, tmp_path_factory) -> list[Path]:
    out = tmp_path_factory.mktemp("members")
    recipe = recipe_with(tiny_recipe, {"measure": []})
    ordinary = {"input: brightness": {"low": 0.1, "middle": 0.3, "high": 0.5, "cases": 9}}
    return [
        random_bundle(recipe, out / name, seed, learned_from=[name * 4], ordinary=ordinary)
        for seed, name in enumerate("abc")
    ]


@pytest.fixture(scope="module")
def ensemble(members, tmp_path_factory) -> Path:
    return write_ensemble(read_bundles(members), tmp_path_factory.mktemp("ensemble") / "bundle")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return draw_fundus(5)[0]


def test_its_answer_is_the_mean_of_its_members(ensemble, members, picture):
    model = load(ensemble, device="cpu")
    each = [load(member, device="cpu")(picture, probabilities=True).probabilities for member in members]
    found = model(picture, probabilities=True)
    np.testing.assert_allclose(found.probabilities, np.mean(each, axis=0), atol=1e-5)
    inside = found.region
    np.testing.assert_array_equal(found.mask[inside], found.probabilities.argmax(axis=0)[inside])
    assert 0 <= found.agreement < 1


def test_written_and_joined_are_the_same(ensemble, members, picture):
    written, loaded = load(ensemble, device="cpu"), load(members, device="cpu")
    np.testing.assert_array_equal(written(picture).mask, loaded(picture).mask)
    assert written.checksums == loaded.checksums
    assert loaded.name == "a + b + c"
    assert set(written.checksums) == {f"member{number}/vessels" for number in (1, 2, 3)}


def test_the_bundle_on_disk(ensemble, members):
    manifest = json.loads((ensemble / "bundle.json").read_text())
    assert manifest["format"] == 3
    assert [entry["folder"] for entry in manifest["members"]] == ["member1", "member2", "member3"]
    bundle = read_bundle(ensemble)
    assert bundle.card["learned_from"] == ["aaaa", "bbbb", "cccc"]
    assert bundle.card["ordinary"]["input: brightness"]["high"] == 0.5
    assert "member3" in (ensemble / "card.md").read_text()
    plain = json.loads((members[0] / "bundle.json").read_text())
    assert plain["format"] == 2
    assert "members" not in plain


def test_equal_weights_are_held_and_made_ready_once(members, tmp_path):
    twin = write_ensemble(joined([read_bundle(members[0]), read_bundle(members[0])]), tmp_path / "twin")
    first, second = read_bundle(twin).members
    assert all(value is second.weights["vessels"][name] for name, value in first.weights["vessels"].items())
    pipeline = load(twin, device="cpu").pipeline
    assert pipeline.members[0][0].run is pipeline.members[1][0].run


def test_settings_are_for_every_member(ensemble):
    bundle = read_bundle(ensemble, ["stages.vessels.flips=true"])
    assert all(part.recipe.stages[0].flips for part in (bundle, *bundle.members))


def test_an_ensemble_of_ensembles_is_one_of_all_members(ensemble, members, tmp_path):
    bundle = joined([read_bundle(ensemble), read_bundle(members[0])])
    assert len(bundle.members) == 4
    assert len(read_bundle(write_ensemble(bundle, tmp_path / "four")).members) == 4


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("prepare.diameter", 128, "prepare.diameter is 96 in .* and 128 in"),
        ("classes.1.name", "arteriole", "classes is"),
        (
            "regions",
            {"all": ["artery", "vein", "uncertain"], "veins": ["vein", "uncertain"], "c": ["uncertain"]},
            "regions",
        ),
    ],
)
def test_members_that_differ_are_refused_by_the_difference(members, tiny_recipe, tmp_path, setting, value, said):
    losses = [loss.model_dump() for loss in tiny_recipe.stages[0].losses[:1]]
    plain = {"measure": [], "stages.vessels.losses": losses, "trees": {}, "protocol": "segmentation"}
    recipe = recipe_with(tiny_recipe, plain)
    first = random_bundle(recipe, tmp_path / "first", 1)
    other = random_bundle(recipe_with(recipe, {setting: value}), tmp_path / "other", 1)
    with pytest.raises(BundleError, match=said):
        read_bundles([first, other])


@pytest.mark.parametrize("damage", ["gone", "changed", "outside"])
def test_a_damaged_ensemble_is_refused(ensemble, tmp_path, damage):
    copy = shutil.copytree(ensemble, tmp_path / "copy")
    if damage == "gone":
        shutil.rmtree(copy / "member2")
    elif damage == "changed":
        write_card(copy / "member2", {"limits": ["none"]})
    else:
        text = (copy / "bundle.json").read_text().replace('"member2"', '"../copy/member2"')
        (copy / "bundle.json").write_text(text)
    with pytest.raises(BundleError):
        read_bundle(copy)


def test_a_changed_member_is_taken_up(ensemble, tmp_path):
    copy = shutil.copytree(ensemble, tmp_path / "copy")
    write_card(copy / "member2", {"limits": ["none"]})
    renew_members(copy)
    assert read_bundle(copy).members[1].card == {"limits": ["none"]}


def test_it_is_not_written_over_a_member(members):
    with pytest.raises(UsageError, match="one of the models to join"):
        write_ensemble(read_bundles(members), members[1])
    assert read_bundle(members[1])


def test_predict_joins_models_and_keeps_the_agreement(members, fundus_folder, tmp_path):
    image = fundus_folder / "images" / "00.png"
    out = predict(members[0], image, tmp_path / "out", ensemble=members[1:], device="cpu", report=False)
    content = read_predictions(out.predictions)
    assert 0 <= content["inputs"][0]["agreement"] < 1
    assert content["settings"]["model"]["name"] == "a + b + c"
    with pytest.raises(UsageError, match=r"other settings|another model"):
        predict(members[0], image, tmp_path / "out", device="cpu", report=False)
    alone = predict(members[0], image, tmp_path / "alone", device="cpu", report=False)
    assert read_predictions(alone.predictions)["inputs"][0]["agreement"] is None


def test_the_command_line_joins_models(members, tmp_path):
    run = CliRunner().invoke(app, ["models", "ensemble", *map(str, members[:2]), "--out", str(tmp_path / "two")])
    assert run.exit_code == 0, run.output
    assert len(read_bundle(tmp_path / "two").members) == 2


def test_every_member_is_verified(tiny_recipe, tmp_path):
    bundles = [read_bundle(write_graph_bundle(tiny_recipe, tmp_path / name)) for name in "ab"]
    written = write_ensemble(joined(bundles), tmp_path / "both")
    rows = verify(read_bundle(written), ["openvino"])
    assert {row.stage for row in rows} == {f"member1/{STAGE}", f"member2/{STAGE}"}
    assert all(row.right for row in rows)


def test_an_export_and_an_explanation_name_a_member(ensemble, picture, tmp_path):
    with pytest.raises(UsageError, match=r"An export is of one model.*member1"):
        export(ensemble, "onnx", tmp_path / "out")
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"An explanation is of one model.*member1"):
        explain(ensemble, tmp_path / "a.png", tmp_path / "out")


def test_a_training_starts_from_the_first_member(ensemble, fundus_folder, tmp_path, caplog):
    assert single(ensemble) == ensemble / "member1"
    settings = [*TINY, "train.epochs=1", "train.learning_rate=0", "train.weight_decay=0", "measure=[]"]
    out = api_train("retina-av", fundus_folder, tmp_path / "run", settings=settings, start=ensemble)
    assert "starts from the first of its 3 members" in caplog.text
    first, after = read_bundle(ensemble / "member1").weights["vessels"], read_bundle(out).weights["vessels"]
    name = next(name for name in first if name.endswith("weight"))
    np.testing.assert_allclose(first[name], after[name], atol=1e-6)


def test_networks_of_equal_weights_are_one_wherever_they_lie(tiny_recipe, tmp_path):
    first, second = (read_bundle(write_graph_bundle(tiny_recipe, tmp_path / name)) for name in "ab")
    assert choice.open_runner(first, STAGE) is choice.open_runner(second, STAGE)


GATED = [
    "prepare.diameter=48",
    "stages.presence.network={name: 'timm:resnet10t'}",
    "stages.presence.size=[48, 48]",
    "stages.structures.network.options.width=16",
    "measure=[]",
]


@pytest.fixture(scope="module")
def gated(tmp_path_factory) -> list[Path]:
    """Two models with a gate, whose thresholds are 0 and 2."""
    folders = []
    for seed, threshold in ((0, 0.0), (1, 2.0)):
        folder = random_bundle(read_recipe("nerve-ultrasound", GATED), tmp_path_factory.mktemp("gated") / "a", seed)
        bundle = read_bundle(folder)
        bundle.weights["presence"]["threshold"] = np.array(threshold, np.float32)
        folders.append(write_bundle(bundle, folder))
    return folders


def test_a_gate_opens_by_the_mean_probability_and_the_mean_threshold(gated, picture):
    each = [load(folder, device="cpu") for folder in gated]
    opened = [model(picture) for model in each]
    assert [list(answer.gate_decisions.values()) for answer in opened] == [[True], [False]]
    model = load(gated, device="cpu")
    found = model(picture)
    (probability,) = found.gates.values()
    assert probability == pytest.approx(np.mean([next(iter(answer.gates.values())) for answer in opened]), abs=1e-5)
    assert model.pipeline.stages[0].gate()["threshold"] == 1.0
    assert list(found.gate_decisions.values()) == [False]
    assert "needed 1.000" in found.reason
    assert not (found.mask == found.classes.index("nerve")).any()


def test_a_member_that_lost_its_gate_joins_those_that_have_it(gated, picture, tmp_path):
    first = read_bundle(gated[0])
    rest = [spec for spec in first.recipe.stages if spec.name != "presence"]
    recipe = first.recipe.model_copy(update={"stages": rest, "ungated": "no frame is empty"})
    weights = {spec.name: first.weights[spec.name] for spec in rest}
    without = write_bundle(Bundle(recipe=recipe, weights=weights, card={}), tmp_path / "without")
    model = load([without, gated[0]], device="cpu")
    assert model.recipe == first.recipe
    found, alone = model(picture), load(gated[0], device="cpu")(picture)
    assert found.gates == pytest.approx(alone.gates)
    np.testing.assert_array_equal(found.mask, alone.mask)
    assert found.agreement == 1.0
