"""A training learns, can be killed and resumed, is the same over two processes, and leaves a full record behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gracile.api import Model, load, train
from gracile.bundle import read_bundle
from gracile.case import Case
from gracile.data import find_cases, read_case
from gracile.errors import BundleError, DataError, UsageError
from gracile.learning import fit
from gracile.learning import run as running
from gracile.pipeline import Pipeline
from gracile.recipe import AugmentSpec, read_recipe
from gracile.transforms import prepare
from tests.conftest import TINY, draw_fundus, write_fundus_folder
from tests.learning.runs import HELD_BACK, assert_same_weights, logged, weights_of

PLAIN = [f"stages.vessels.augment.{name}=0" for name in AugmentSpec.model_fields]
"""Training patches as they are."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn fundus photographs."""
    return write_fundus_folder(tmp_path_factory.mktemp("two") / "data", 2)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned two pictures by heart; read only."""
    out = tmp_path_factory.mktemp("run") / "run"
    sizes = ["train.epochs=40", "stages.vessels.sampler.per_case=8", "prepare.diameter=108"]
    train("retina-av", folder, out, settings=[*TINY, *PLAIN, *sizes, "train.learning_rate=0.01", "measure=[]"])
    return out


def dice(found: np.ndarray, true: np.ndarray, members: tuple[int, ...]) -> float:
    a, b = np.isin(found, members), np.isin(true, members)
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_last_checkpoint_knows_the_best_one_of_its_own_epoch(tmp_path):
    """Whoever is killed right behind it goes on with the next epoch, and would take a worse one for the best."""
    folder = write_fundus_folder(tmp_path / "data", 4)
    train("retina-av", folder, tmp_path / "run", settings=[*HELD_BACK, "train.epochs=1"])
    last, best = (
        torch.load(tmp_path / "run" / "vessels" / f"{name}.ckpt", weights_only=True) for name in ("last", "best")
    )
    (known,) = [state["best_model_score"] for name, state in last["callbacks"].items() if "validation_" in name]
    assert known == pytest.approx(best["scores"]["validation_dice"])


def test_two_pictures_are_learned_by_heart(run, folder):
    model = load(run, device="cpu")
    scores = []
    for case in find_cases(folder, model.recipe):
        truth = read_case(case, model.recipe).truth
        mask = model(case.image).mask
        scores += [dice(mask, truth, members) for members in model.recipe.structures.values()]
    assert np.mean(scores) > 0.8
    assert min(scores) > 0.7


def test_the_loss_falls_and_every_term_is_logged(run):
    for name in ("train_loss", "train_cross-entropy", "train_tree", "train_dice"):
        values = logged(run, name)
        assert len(values) == 40
        assert np.mean(values[-5:]) < 0.6 * np.mean(values[:5])
    assert logged(run, "learning_rate")[-1] < 0.1 * max(logged(run, "learning_rate"))


def test_a_finished_run_that_is_resumed_gives_the_same_bundle(folder, tmp_path):
    settings = [*TINY, "train.epochs=3", "train.validation=0", "train.average_weights=0.9", "measure=[]"]
    bundle = train("retina-av", folder, tmp_path / "run", settings=settings)
    before = weights_of(bundle)
    shutil.rmtree(bundle)
    after = weights_of(train("retina-av", folder, tmp_path / "run", resume=True))
    for name, value in before.items():
        assert torch.equal(after[name], value), name


def test_a_resumed_run_keeps_its_settings(run, folder):
    with pytest.raises(UsageError, match="keeps the settings"):
        train("retina-av", folder, run, settings=["train.learning_rate=0.5"], resume=True)


def test_the_last_weights_are_validated_though_no_validation_was_due(fundus_folder, tmp_path):
    settings = [*HELD_BACK, "train.epochs=3", "train.validate_every=2", "train.learning_rate=0.003"]
    bundle = train("retina-av", fundus_folder, tmp_path / "run", settings=settings)
    course = logged(tmp_path / "run", "validation_dice")
    assert len(course) == 1  # of the second epoch
    card = read_bundle(bundle).card["validation"]["vessels"]
    assert (card["epochs"], card["chosen"]) == (3, "last epoch, best by validation_dice")
    assert card["validation_dice"] > course[0]


def test_a_short_runs_average_forgets_its_first_weights():
    average, count = torch.zeros(1), 0
    for count in range(1, 100):
        average = fit._averaged(0.999, average, torch.ones(1), count)
    assert average > 0.99
    steps = torch.tensor(3)
    assert fit._averaged(0.999, steps, torch.tensor(5), count) == 5


def test_a_run_leaves_its_record(run, folder):
    for name in ("recipe.yaml", "environment.json", "data.json", "split.json", "bundle/bundle.json",
                 "bundle/card.md", "vessels/logs/metrics.csv", "vessels/last.ckpt"):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert list((run / "vessels" / "tensorboard").glob("events.out.tfevents.*"))
    recipe = read_recipe(run / "recipe.yaml")
    assert recipe.train.epochs == 40
    assert recipe == read_bundle(run).recipe
    assert json.loads((run / "environment.json").read_text())["packages"]["torch"]
    data = json.loads((run / "data.json").read_text())
    assert (data["cases"], data["ids"]) == (2, ["00", "01"])
    assert json.loads((run / "split.json").read_text()) == {"seed": 0, "train": ["00", "01"], "validation": []}
    card = read_bundle(run).card
    assert card["data"]["sha256"] == data["sha256"]
    assert card["validation"]["vessels"]["epochs"] == 40
    assert card["validation"]["vessels"]["steps_of_the_run"] == 160
    assert not list(run.rglob("*.part*"))


def test_what_was_saved_gives_the_answer_of_what_was_trained(folder, tmp_path, monkeypatch):
    trained = []
    whole = fit.fit_stage

    def noting(stage, *more):
        trained.append(stage)
        return whole(stage, *more)

    monkeypatch.setattr(running, "fit_stage", noting)
    bundle = train("retina-av", folder, tmp_path / "run", settings=[*TINY, "train.epochs=2", "measure=[]"])
    case = Case.from_array(draw_fundus(0)[0])
    expected = Pipeline(read_bundle(bundle).recipe, [stage.applied() for stage in trained])(
        case, keep_probabilities=True
    )
    answer = Model(read_bundle(bundle))(case, probabilities=True)
    np.testing.assert_array_equal(answer.probabilities, expected.probabilities)


def test_the_card_holds_the_scores_of_the_weights_that_were_chosen(fundus_folder, tmp_path):
    for seed in range(6):  # how a short training goes differs from processor to processor
        settings = [*HELD_BACK, "train.epochs=6", "train.learning_rate=0.05", f"train.seed={seed}"]
        run = tmp_path / f"run{seed}"
        bundle = train("retina-av", fundus_folder, run, settings=settings)
        course = logged(run, "validation_dice")
        if course[-1] < max(course):
            break
    assert course[-1] < max(course), "the last epoch must not be the best for this test to tell"
    card = read_bundle(bundle).card["validation"]["vessels"]
    assert card["validation_dice"] == pytest.approx(max(course), abs=1e-4)
    model = load(bundle, device="cpu")
    (held_back,) = json.loads((run / "split.json").read_text())["validation"]
    files = next(f for f in find_cases(fundus_folder, model.recipe) if f.id == held_back)
    prepared, _ = prepare(read_case(files, model.recipe), model.recipe)
    batch = {name: torch.from_numpy(getattr(prepared, name).astype(np.float32))[None] for name in ("image", "truth")}
    batch["region"] = torch.from_numpy(prepared.region.astype(np.float32))[None, None]
    with torch.inference_mode():
        scores = model.pipeline.stages[0].run.learner.scores(batch)
    for name, score in scores.items():
        assert card[name] == pytest.approx(float(score), abs=1e-3), name


KILLED = """
import os, signal, sys
from gracile import cli
from gracile.learning.module import StageModule

begin = StageModule.on_train_batch_start

def on_train_batch_start(self, batch, batch_idx):
    if self.trainer.current_epoch == 2 and batch_idx == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return begin(self, batch, batch_idx)

StageModule.on_train_batch_start = on_train_batch_start
sys.argv = ["gracile", *sys.argv[1:]]
cli.main()
"""


def command_line(*arguments: object, settings: list[str]) -> list[str]:
    return [*map(str, arguments), *(part for setting in settings for part in ("--set", setting))]


def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(fundus_folder, tmp_path):
    settings = [*HELD_BACK, "train.epochs=4", "trainer.workers=1"]
    whole = train("retina-av", fundus_folder, tmp_path / "whole", settings=settings)
    killed = tmp_path / "killed"
    arguments = command_line("train", "retina-av", fundus_folder, "--out", killed, settings=settings)
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (killed / "bundle").exists()
    checkpoint = torch.load(killed / "vessels" / "last.ckpt", map_location="cpu", weights_only=True)
    assert checkpoint["epoch"] + 1 == 2  # no more than the epoch that was under way is lost
    resumed = train("retina-av", fundus_folder, killed, resume=True)
    assert_same_weights(whole, resumed)
    cards = [read_bundle(bundle).card["validation"]["vessels"] for bundle in (whole, resumed)]
    assert cards[0] | {"minutes": 0} == cards[1] | {"minutes": 0}
    assert read_bundle(resumed).recipe == read_bundle(whole).recipe
    for name in ("train_loss", "validation_dice"):
        np.testing.assert_allclose(logged(killed, name), logged(tmp_path / "whole", name), rtol=1e-6)
    before = {path: path.stat().st_mtime_ns for path in [killed / "recipe.yaml", killed / "data.json"]}
    again = train("retina-av", fundus_folder, killed, resume=True)
    assert_same_weights(whole, again)
    assert before == {path: path.stat().st_mtime_ns for path in before}


ALIKE = [
    # Normalization by instance and a loss that is a mean over equally many pixels: what two processes share exactly.
    "stages.vessels.network.name=monai:UNet",
    "stages.vessels.network.options={spatial_dims: 2, channels: [4, 8], strides: [2], norm: instance, bias: false}",
    "stages.vessels.losses=[{name: cross-entropy}]",
    "stages.vessels.sampler.patch=[16, 16]",
    "stages.vessels.augment.flip=false",
    "input.region=whole",
    "train.epochs=3",
    "train.average_weights=0.5",
    "measure=[]",
    *(f"stages.vessels.augment.{name}=0" for name in ("rotation", "elastic", "scale", "shear")),
]


@pytest.fixture
def inner_folder(tmp_path: Path) -> Path:
    """Two pictures that are labeled in their middle alone, so that no patch reaches beyond the frame."""
    folder = write_fundus_folder(tmp_path / "inner", 2)
    for path in (folder / "labels").iterdir():
        labels = np.array(Image.open(path))
        labels[:30], labels[-30:], labels[:, :30], labels[:, -30:] = 0, 0, 0, 0
        Image.fromarray(labels).save(path)
    for path in (folder / "fov").iterdir():
        path.unlink()
    (folder / "fov").rmdir()
    return folder


@pytest.mark.slow
def test_two_processes_train_as_one(inner_folder, tmp_path):
    settings = [*TINY[3:], *ALIKE, "prepare.diameter=96", "stages.vessels.sampler.foreground=1.0"]
    alone = train("retina-av", inner_folder, tmp_path / "alone", settings=settings)
    shared = [*settings, "trainer.devices=2", "trainer.accelerator=cpu"]
    arguments = command_line("train", "retina-av", inner_folder, "--out", tmp_path / "two", settings=shared)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "gracile", *arguments], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        logged(tmp_path / "two", "train_loss"), logged(tmp_path / "alone", "train_loss"), rtol=1e-3
    )
    one, two = weights_of(alone), weights_of(tmp_path / "two" / "bundle")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-2, atol=1e-3)
    assert len(logged(tmp_path / "two", "train_loss")) == 3  # one process writes the log


def test_a_run_starts_from_the_weights_of_a_bundle(run, folder, tmp_path):
    settings = [*TINY, "train.epochs=1", "train.learning_rate=0"]
    started, fresh = (
        weights_of(train("retina-av", folder, tmp_path / name, settings=settings, start=start))
        for name, start in (("started", run), ("fresh", None))
    )
    learned = {name: value for name, value in weights_of(run).items() if "running" not in name and "num_" not in name}
    assert all(torch.equal(started[name], value) for name, value in learned.items())
    assert not all(torch.equal(fresh[name], value) for name, value in learned.items())


def test_starting_from_a_bundle_of_another_network_is_refused(run, folder, tmp_path):
    settings = [*TINY, "stages.vessels.network.options.widths=[4,8,12]"]
    with pytest.raises(BundleError, match="do not fit"):
        train("retina-av", folder, tmp_path / "other", settings=settings, start=run)


def test_a_run_is_neither_overwritten_nor_resumed_by_mistake(run, folder, tmp_path):
    before = (run / "recipe.yaml").read_bytes()
    with pytest.raises(UsageError, match="--resume"):
        train("retina-av", folder, run, settings=TINY)
    assert (run / "recipe.yaml").read_bytes() == before
    with pytest.raises(UsageError, match="no run"):
        train("retina-av", folder, tmp_path / "nowhere", resume=True)


def test_a_run_is_resumed_only_with_the_data_it_was_started_with(run, tmp_path):
    other = write_fundus_folder(tmp_path / "other", 2, first=5)
    for part, name in (("images", "{}.png"), ("labels", "{}.png"), ("fov", "{}_mask.png")):
        for new, old in (("00", "05"), ("01", "06")):
            (other / part / name.format(old)).rename(other / part / name.format(new))
    with pytest.raises(DataError, match="2 cases differ, such as 00"):
        train("retina-av", other, run, resume=True)


def test_a_given_split_is_used(fundus_folder, tmp_path):
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["03", "01"], "validation": ["00", "02"]}))
    settings = [*TINY, "train.epochs=1"]
    train("retina-av", fundus_folder, tmp_path / "run", settings=settings, split=split)
    written = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (written["train"], written["validation"]) == (["03", "01"], ["00", "02"])
    assert (tmp_path / "run" / "vessels" / "best.ckpt").exists()


def test_a_batch_that_cannot_be_filled_or_divided_is_refused(folder, tmp_path):
    settings = [*TINY, "train.batch_size=3", "trainer.devices=2", "trainer.accelerator=cpu"]
    recipe = read_recipe("retina-av", settings)

    class TwoProcesses:
        world_size = 2

    with pytest.raises(DataError, match="batch_size=4"):
        fit._training_loader([0] * 8, recipe.train, TwoProcesses(), 0)


def test_data_without_labels_is_refused_before_anything_is_written(tmp_path):
    data = write_fundus_folder(tmp_path / "data", 2)
    for path in (data / "labels").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="label"):
        train("retina-av", data, tmp_path / "run", settings=TINY)
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_limited_in_time_ends_and_is_whole(folder, tmp_path):
    settings = [*TINY, "train.epochs=100000", "train.minutes=0.001", "measure=[]"]
    bundle = train("retina-av", folder, tmp_path / "run", settings=settings)
    card = read_bundle(bundle).card["validation"]["vessels"]
    assert 0 < card["epochs"] < 1000
    assert load(bundle, device="cpu")(draw_fundus(0)[0]).mask.shape == (120, 120)


@pytest.mark.slow
def test_two_processes_with_a_limit_in_minutes_end_together(inner_folder, tmp_path):
    settings = [*TINY[3:], *ALIKE, "train.epochs=10000", "train.minutes=0.05", "prepare.diameter=96"]
    arguments = command_line(
        "train", "retina-av", inner_folder, "--out", tmp_path / "two",
        settings=[*settings, "trainer.devices=2", "trainer.accelerator=cpu"],
    )  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "gracile", *arguments], capture_output=True, text=True, env=environment, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert 0.05 <= read_bundle(tmp_path / "two").card["training"]["minutes"] < 2
