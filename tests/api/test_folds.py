"""A run of folds: every case scored by a model that did not see it, resumable, joined to a model that predicts."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gracile.api import load, predict, train
from gracile.api.experiments import folds as module
from gracile.bundle import read_bundle
from gracile.cli import app
from gracile.data import find_cases, image_checksum, read_case
from gracile.errors import DataError, UsageError
from gracile.io import read_labels
from gracile.io.predictions_file import read_predictions
from gracile.learning import folds as learning_folds
from gracile.recipe import read_recipe
from tests.conftest import TINY, write_fundus_folder
from tests.learning.runs import interrupted_in
from tests.volumes_on_disk import write_nifti

QUICK = [*TINY, "train.epochs=2", "train.learning_rate=0.01", "measure=[]", "protocol=segmentation"]


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_alike():
    """Drawn pictures resemble each other; how likeness is found has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "near_duplicates", lambda cases, recipe: [])
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_fundus_folder(tmp_path_factory.mktemp("six") / "data", 6)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("folds") / "run"
    train("retina-av", folder, out, settings=QUICK, folds=3, final=True)
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_case_is_scored_by_the_model_that_did_not_see_it(run, folder):
    rows = rows_of(run / "folds.csv")
    assert [row["case"] for row in rows] == [f"{number:02d}" for number in range(6)]
    for number in (1, 2, 3):
        held = {row["case"] for row in rows if row["fold"] == str(number)}
        assert len(held) == 2
        assert set(json.loads((run / f"fold{number}" / "split.json").read_text())["validation"]) == held
        model = load(run / f"fold{number}", device="cpu")
        learned = set(model.bundle.card["learned_from"])
        for files in find_cases(folder, model.recipe):
            assert (image_checksum(files.image, "image") in learned) == (files.id not in held)
            if files.id in held:
                mask = read_labels(run / "held-back" / f"{files.id}.png", model.recipe.classes, recoded=False)
                case = read_case(files, model.recipe)
                case.truth = None
                np.testing.assert_array_equal(mask, model(case).mask)


def test_held_back_cases_choose_no_weights(run):
    card = read_bundle(run / "fold1").card
    assert card["validation"]["vessels"]["chosen"].startswith("last epoch")
    assert "validation_dice" in card["validation"]["vessels"]


def test_the_run_tells_what_it_did(run):
    assert len(json.loads((run / "folds.json").read_text())) == 3
    choices = json.loads((run / "choices.json").read_text())
    assert {step["title"] for step in choices["steps"]} >= {"another threshold", "largest islands alone"}
    page = (run / "index.html").read_text()
    assert "scored by the model that did not see it" in page
    assert "Dice by fold" in page
    records = read_predictions(run / "held-back" / "predictions.json")["inputs"]
    assert len(records) == 6
    assert not any(record["learned"] for record in records)
    assert not (run / "choosing").exists()


def test_the_ensemble_is_the_models_of_the_folds_with_what_was_chosen(run, folder, tmp_path):
    bundle = read_bundle(run)
    assert [member.checksums for member in bundle.members] == [
        read_bundle(run / f"fold{number}").checksums for number in (1, 2, 3)
    ]
    choices = json.loads((run / "choices.json").read_text())["chosen"]
    decision = bundle.recipe.stages[0].decision
    assert all(getattr(decision, name) == value for name, value in choices.items())
    assert read_bundle(run / "final").recipe.stages[0].decision == decision
    assert bundle.card["held_back"]["dice"]["cases"] == 6
    assert bundle.card["after_deciding"]
    assert set(bundle.card["learned_from"]) == {
        image_checksum(files.image, "image") for files in find_cases(folder, bundle.recipe)
    }
    summary = predict(run, folder / "images" / "00.png", tmp_path / "out", device="cpu")
    (record,) = read_predictions(summary.predictions)["inputs"]
    assert record["learned"]
    assert record["agreement"] is not None


def test_the_final_model_learns_from_all(run, folder):
    split = json.loads((run / "final" / "split.json").read_text())
    assert (len(split["train"]), split["validation"]) == (6, [])
    assert len(read_bundle(run / "final").card["learned_from"]) == 6


def test_a_finished_run_is_not_trained_again(run, monkeypatch, folder):
    monkeypatch.setattr(learning_folds, "train_run", lambda *_, **__: pytest.fail("trained again"))
    before = read_bundle(run).checksums
    assert read_bundle(train("retina-av", folder, run, resume=True)).checksums == before


def test_a_broken_off_run_ends_as_an_uninterrupted_one(run, folder, tmp_path):
    out = tmp_path / "run"
    trained = []
    whole = learning_folds.train_run

    def broken(*args, **more):
        trained.append(args[2].name)
        if len(trained) == 2:
            with interrupted_in(1):
                whole(*args, **more)
            raise InterruptedError
        return whole(*args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_folds, "train_run", broken)
        with pytest.raises(InterruptedError):
            train("retina-av", folder, out, settings=QUICK, folds=3)
    assert not (out / "bundle").exists()
    with pytest.raises(UsageError, match=r"already holds a run.*--resume"):
        train("retina-av", folder, out, settings=QUICK, folds=3)
    with pytest.raises(UsageError, match="has 3 folds"):
        train("retina-av", folder, out, folds=5, resume=True)
    with pytest.raises(UsageError, match="keeps the settings"):
        train("retina-av", folder, out, settings=["train.epochs=9"], resume=True)
    bundle = train("retina-av", folder, out, resume=True)
    assert trained == ["fold1", "fold2"]
    assert read_bundle(bundle).checksums == read_bundle(run).checksums
    assert rows_of(out / "folds.csv") == rows_of(run / "folds.csv")


def test_other_data_and_other_first_weights_are_refused(run, folder, tiny_bundle, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("cache", "*.ckpt"))
    more = write_fundus_folder(tmp_path / "more", 7)
    with pytest.raises(DataError, match="not what the run was started with"):
        train("retina-av", more, copy, resume=True)
    with pytest.raises(UsageError, match="other weights"):
        train("retina-av", folder, copy, resume=True, start=tiny_bundle)


def test_a_file_of_folds_is_followed(folder, tmp_path, caplog):
    ids = [f"{number:02d}" for number in range(6)]
    content = [{"train": [id for id in ids if id not in held], "val": held} for held in (["00"], ["04", "05"])]
    (tmp_path / "splits_final.json").write_text(json.dumps(content))
    run = CliRunner().invoke(
        app,
        ["train", "retina-av", str(folder), "--out", str(tmp_path / "run"), "--split",
         str(tmp_path / "splits_final.json"), *(f"--set={setting}" for setting in QUICK)],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    assert "Fold 2 of 2: 4 cases to train on, 2 held back." in run.output
    assert {row["case"]: row["fold"] for row in rows_of(tmp_path / "run" / "folds.csv")} == {
        "00": "1",
        "04": "2",
        "05": "2",
    }
    assert "3 cases are held back in no fold" in caplog.text
    with pytest.raises(UsageError, match="has 2 folds, and 3"):
        train("retina-av", folder, tmp_path / "more", settings=QUICK, folds=3, split=tmp_path / "splits_final.json")


def test_wrong_usage_is_told_before_anything_is_trained(folder, tmp_path):
    with pytest.raises(DataError, match="There are 6 subjects, which are too few for 7 folds"):
        train("retina-av", folder, tmp_path / "a", settings=QUICK, folds=7)
    with pytest.raises(UsageError, match="Add --folds"):
        train("retina-av", folder, tmp_path / "b", settings=QUICK, final=True)
    with pytest.raises(UsageError, match="one process"):
        train("retina-av", folder, tmp_path / "c", settings=[*QUICK, "trainer.devices=2"], folds=2)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["00"], "validation": ["01"]}))
    with pytest.raises(UsageError, match="one split, not a list"):
        train("retina-av", folder, tmp_path / "d", settings=QUICK, folds=2, split=split)
    assert not any((tmp_path / name / "fold1").exists() for name in "abcd")


def test_what_one_fold_alone_shows_and_images_that_are_alike_are_told(folder, tmp_path, monkeypatch, caplog):
    files = {case.id: case for case in find_cases(folder, read_recipe("retina-av", QUICK))}

    class Pair:
        first, second, parts_subjects = files["00"], files["05"], True

    monkeypatch.setattr(module, "near_duplicates", lambda cases, recipe: [Pair])
    shown = {id: {"artery"} | ({"vein"} if id == "03" else set()) for id in files}
    monkeypatch.setattr(module, "what_is_shown", lambda cases, recipe: shown)
    monkeypatch.setattr("gracile.learning.folds.train_fold", lambda *_: pytest.fail("as far as it goes"))
    with pytest.raises(pytest.fail.Exception):
        train("retina-av", folder, tmp_path / "run", settings=QUICK, folds=3)
    assert "00 and 05 are nearly the same image" in caplog.text
    held = [fold["validation"] for fold in json.loads((tmp_path / "run" / "folds.json").read_text())]
    assert any({"00", "05"} <= set(ids) for ids in held)
    number = next(n for n, ids in enumerate(held, start=1) if "03" in ids)
    assert f"'vein' is in cases of fold {number} alone" in caplog.text


VOLUMES = """
name: lumps
title: Lumps
classes:
  - {name: background, color: [0, 0, 0]}
  - {name: lump, color: [255, 80, 80]}
input: {kind: volume, channels: 1}
prepare: {orientation: LAS, intensity: zscore}
stages:
  - kind: segment-volume
    name: segment
    network: {name: light-unet-3d}
    losses: [{name: cross-entropy}, {name: dice}]
    spacing_mm: [0, 0, 0]
    size: [16, 16]
    length: 16
    per_case: 8
train: {epochs: 3, batch_size: 8, learning_rate: 0.01, average_weights: 0}
trainer: {precision: 32-true, threads: 1, graphs: false, workers: 0}
"""


@pytest.mark.slow
def test_folds_of_volumes(tmp_path):
    """Their axes are turned while something is chosen, and the masks lie on their own grid."""
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for seed in range(5):
        random = np.random.default_rng(seed)
        places = np.stack(np.indices((18, 14, 16)), axis=-1)
        lump = np.linalg.norm(places - random.integers(5, 10, 3), axis=-1) < 4
        values = (random.normal(100, 10, lump.shape) + 120 * lump).astype(np.float32)
        affine = np.array([[0, 0, 1.5, 0], [-1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1.0]])
        write_nifti(tmp_path / "data" / "imagesTr" / f"v{seed}_0000.nii.gz", values, affine)
        write_nifti(tmp_path / "data" / "labelsTr" / f"v{seed}.nii.gz", lump.astype(np.uint8), affine)
    (tmp_path / "lumps.yaml").write_text(VOLUMES)
    out = tmp_path / "run"
    train(tmp_path / "lumps.yaml", tmp_path / "data", out, folds=5)
    rows = rows_of(out / "folds.csv")
    assert len(rows) == 5
    assert sum(float(row["dice"]) for row in rows) / 5 > 0.5
    choices = json.loads((out / "choices.json").read_text())
    assert choices["before"] == pytest.approx(sum(float(row["dice"]) for row in rows) / 5, abs=2e-3)
    model = load(out, device="cpu")
    result = model(tmp_path / "data" / "imagesTr" / "v0_0000.nii.gz")
    assert result.mask.shape == (18, 14, 16)
    assert result.agreement > 0.3
