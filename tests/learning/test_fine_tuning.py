"""A training that starts from a bundle: what it takes over, what stays frozen, what it records, and its resume."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from gracile.api import train
from gracile.bundle import read_bundle
from gracile.errors import BundleError, RecipeError, UsageError
from gracile.learning.learners import build_learner
from gracile.learning.phases import Phases
from gracile.recipe import PhaseSpec, TransferSpec, read_recipe
from tests.conftest import TINY
from tests.learning.runs import assert_same_weights, interrupted_in, logged, weights_of

QUICK = [*TINY, "train.epochs=4", "train.validation=0.25", "train.validate_every=2", "measure=[]",
         "train.schedule=constant", "train.warmup=0", "train.learning_rate=0.01"]  # fmt: skip
TREES = ["classes.uncertain.name=crossing", "trees={artery: [artery, crossing], vein: [vein, crossing]}"]
"""A class of another name."""


def blocks_that_moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The two first parts of the names of all that differs, statistics included."""
    return {".".join(name.split(".")[1:3]) for name in before if not torch.equal(before[name], after[name])}


def test_what_is_frozen_keeps_weights_and_statistics_and_what_begins_anew_learns(fundus_folder, tiny_bundle, tmp_path):
    settings = [*QUICK, *TREES, "train.transfer={freeze: 8, reinitialize: [stem]}", "train.epochs=1"]
    after = weights_of(train("retina-av", fundus_folder, tmp_path / "run", settings=settings, start=tiny_bundle))
    moved = blocks_that_moved(weights_of(tiny_bundle), after)
    assert "steps.0" in moved  # but not its first layers:
    assert not {
        name
        for name in after
        if ".steps.0.entry." in name and not torch.equal(after[name], weights_of(tiny_bundle)[name])
    }
    assert {"stem.1", "stem.2", "heads.1"} <= moved


def test_half_way_all_layers_learn_at_the_lower_rate(fundus_folder, tiny_bundle, tmp_path):
    frozen = "train.transfer={freeze: 0.999, unfreeze_at: 0.5, unfreeze_rate: 0.1}"
    bundle = train("retina-av", fundus_folder, tmp_path / "run", settings=[*QUICK, frozen], start=tiny_bundle)
    assert logged(tmp_path / "run", "learning_rate") == pytest.approx([0.01, 0.01, 0.001, 0.001])
    moved = blocks_that_moved(weights_of(tiny_bundle), weights_of(bundle))
    assert {"stem.1", "steps.0", "steps.1", "heads.1"} <= moved
    throughout = [*QUICK, "train.transfer={freeze: 0.999}"]
    bundle = train("retina-av", fundus_folder, tmp_path / "other", settings=throughout, start=tiny_bundle)
    assert blocks_that_moved(weights_of(tiny_bundle), weights_of(bundle)) == {"heads.1"}


def test_a_resumed_fine_tuning_ends_as_an_uninterrupted_one(fundus_folder, tiny_bundle, tmp_path):
    settings = [*QUICK, *TREES, "train.average_weights=0.8",
                "train.transfer={freeze: 12, unfreeze_at: 0.75, reinitialize: [bottleneck]}"]  # fmt: skip
    whole = train("retina-av", fundus_folder, tmp_path / "whole", settings=settings, start=tiny_bundle)
    with interrupted_in(epoch=2):
        train("retina-av", fundus_folder, tmp_path / "cut", settings=settings, start=tiny_bundle)
    shutil.copytree(tmp_path / "cut", tmp_path / "again")
    for out, start in (("cut", None), ("again", tiny_bundle)):  # the checkpoint needs no bundle
        resumed = train("retina-av", fundus_folder, tmp_path / out, start=start, resume=True)
        assert_same_weights(whole, resumed)
        cards = [read_bundle(bundle).card for bundle in (whole, resumed)]
        assert cards[0]["fine_tuning"] == cards[1]["fine_tuning"]


@pytest.mark.slow
def test_frozen_layers_stay_frozen_over_two_processes(fundus_folder, tiny_bundle, tmp_path):
    """Frozen weights get no gradient, which several processes must not wait for."""
    out = tmp_path / "two"
    settings = [*QUICK, "train.epochs=2", "train.transfer={freeze: 0.999, unfreeze_at: 0.5, unfreeze_rate: 0}",
                "trainer.devices=2", "trainer.accelerator=cpu"]  # fmt: skip
    told = [part for setting in settings for part in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "gracile",
        "train",
        "retina-av",
        fundus_folder,
        "--out",
        out,
        "--from",
        tiny_bundle,
    ]
    done = subprocess.run(
        [*map(str, command), *told], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    before, after = weights_of(tiny_bundle), weights_of(out / "bundle")
    learned = {name for name in before if "running" not in name and "num_batches" not in name}
    assert {name.split(".")[1] for name in learned if not torch.equal(before[name], after[name])} == {"heads"}
    assert (out / "comparison" / "index.html").exists()


def test_a_run_that_was_cut_before_its_first_epoch_needs_its_bundle_again(fundus_folder, tiny_bundle, tmp_path):
    with interrupted_in(epoch=0):
        train("retina-av", fundus_folder, tmp_path / "cut", settings=QUICK, start=tiny_bundle)
    with pytest.raises(UsageError, match="Give --from"):
        train("retina-av", fundus_folder, tmp_path / "cut", resume=True)


def test_record_card_and_log_say_what_was_not_carried_over(fundus_folder, tiny_bundle, tmp_path, caplog):
    settings = [*QUICK, *TREES, "train.transfer.reinitialize=[steps.1.entry]", "train.epochs=1"]
    bundle = train("retina-av", fundus_folder, tmp_path / "run", settings=settings, start=tiny_bundle)
    record = json.loads((tmp_path / "run" / "environment.json").read_text())["started_from"]
    assert record["recipe"] == "retina-av"
    stage = record["stages"]["vessels"]
    assert stage["carried_over"] == stage["layers"] - len([r for r in stage["left_out"] if "entry" in r["layer"]])
    assert {(r["layer"], r["reason"], r["detail"]) for r in stage["left_out"] if "entry" not in r["layer"]} == {
        (f"network.{layer}", "new class", "crossing") for layer in ("heads.0", "heads.1", "feedback.0.0")
    }
    assert {r["reason"] for r in stage["left_out"] if "entry" in r["layer"]} == {"re-initialized on request"}
    card = read_bundle(bundle).card
    assert "stages" not in card["training"]["started_from"]
    assert (
        "vessels, not: network.heads.0, network.heads.1, network.feedback.0.0: new class (crossing)"
        in card["fine_tuning"]
    )
    assert "new class (crossing)" in (bundle / "card.md").read_text()
    assert "new class (crossing)" in caplog.text


def test_held_back_cases_are_compared_with_the_model_before(fundus_folder, tiny_bundle, tmp_path):
    out = tmp_path / "run"
    train("retina-av", fundus_folder, out, settings=[*QUICK, *TREES], start=tiny_bundle)
    compared = json.loads((out / "comparison" / "comparison.json").read_text())
    assert [row["case"] for row in compared["cases"]] == json.loads((out / "split.json").read_text())["validation"]
    assert compared["classes"] == ["artery", "vein"]
    assert any("optimistic" in note for note in compared["notes"])
    page = (out / "comparison" / "index.html").read_text(encoding="utf-8")
    assert "new class (crossing)" in page
    assert "crossing, uncertain counts as background" in page


def test_without_a_bundle_nothing_is_frozen_and_that_is_said(fundus_folder, tmp_path, caplog):
    settings = [*QUICK, "train.epochs=1", "train.validation=0"]
    frozen = [*settings, "train.transfer.freeze=0.9"]
    with torch.random.fork_rng():
        bundles = [
            train("retina-av", fundus_folder, tmp_path / str(number), settings=some)
            for number, some in enumerate((settings, frozen))
        ]
    assert "no bundle to start from" in caplog.text
    first, second = (weights_of(bundle) for bundle in bundles)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (tmp_path / "0" / "comparison").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["train.transfer.freeze=500"], "500 layers cannot stay frozen: the network has"),
        (["train.transfer.freeze=decodr"], "There is no layer 'decodr'"),
        (["train.transfer.reinitialize=[expandig]"], "Did you mean expanding"),
        (["train.transfer.freeze=2", "train.phases=[{share: 1}]"], "both say what is frozen"),
        (["train.transfer.unfreeze_at=0"], "unfreeze_at"),
    ],
)
def test_what_makes_no_sense_is_refused(fundus_folder, tiny_bundle, tmp_path, settings, said):
    with pytest.raises(RecipeError, match=said):
        train("retina-av", fundus_folder, tmp_path / "run", settings=[*QUICK, *settings], start=tiny_bundle)
    assert not (tmp_path / "run" / "recipe.yaml").exists()  # so that the mended command is no second run


def test_a_bundle_of_other_stages_is_refused_unless_one_is_named(fundus_folder, tiny_bundle, tmp_path):
    settings = [*QUICK, "stages.0.name=trees", "train.epochs=1"]
    settings = [setting.replace("stages.vessels", "stages.0") for setting in settings]
    with pytest.raises(BundleError, match=r"no stage trees: it has vessels.*train\.transfer\.source=vessels"):
        train("retina-av", fundus_folder, tmp_path / "run", settings=settings, start=tiny_bundle)
    settings.append("train.transfer.source=vessels")
    bundle = train("retina-av", fundus_folder, tmp_path / "run", settings=settings, start=tiny_bundle)
    assert read_bundle(bundle).card["fine_tuning"][0].endswith("carried over from the bundle's vessels")


def test_a_stage_says_for_itself_what_it_takes_over():
    recipe = read_recipe("retina-av", ["train.transfer={freeze: 3, unfreeze_at: 0.5}",
                                       "stages.vessels.train.transfer.freeze=7"])  # fmt: skip
    assert recipe.train_of(recipe.stages[0]).transfer == TransferSpec(freeze=7, unfreeze_at=0.5)
    assert [phase.start for phase in TransferSpec(freeze=7, unfreeze_at=0.5).phases] == [7, 0]
    assert TransferSpec().phases == []


@pytest.mark.parametrize("recipe", ["retina-av", "surgical-tool"])
def test_layers_are_counted_along_the_flow_and_a_normalization_with_its_convolution(recipe):
    chosen = read_recipe(recipe)
    stage = build_learner(chosen.stages[-1], chosen)
    phases = Phases(stage, [PhaseSpec(share=0.5, start=3), PhaseSpec(share=0.5, start="head")])
    first, second = ([layer.own for layer in frozen] for frozen in phases.frozen)
    assert sum(layer.counts for layer in phases.frozen[0]) == 3
    assert phases.layers[len(first)].counts  # what comes next is no normalization
    assert all(layer.part == "contracting" for layer in phases.frozen[0])
    assert set(second) == {layer.own for layer in phases.layers} - {{"retina-av": "heads.1"}.get(recipe, "head")}
    assert phases.enter(0.0) == 1.0
    learning = {name for name, weight in stage.named_parameters() if weight.requires_grad}
    assert not any(name.startswith(f"network.{own}.") for own in first for name in learning)


def test_a_layer_that_begins_anew_learns_in_every_phase():
    chosen = read_recipe("structure-2d")
    stage = build_learner(chosen.stages[0], chosen)
    phases = Phases(stage, [PhaseSpec(share=1, start="head")], learning={"network.stem.1"})
    phases.enter(0.5)
    learning = {name for name, weight in stage.named_parameters() if weight.requires_grad}
    assert learning == {"network.stem.1.weight", "network.heads.1.weight", "network.heads.1.bias"}
