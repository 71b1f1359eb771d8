"""A study is worked on by one or several, is given up on where it should be, survives a kill, and ends in a recipe."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from gracile import api
from gracile.bundle import read_bundle
from gracile.errors import DataError, GracileError, RecipeError, UsageError
from gracile.learning import study_store, tune
from gracile.learning.trial import Plan
from gracile.recipe import read_recipe
from gracile.study import StudySpec
from tests.conftest import TINY

QUICK = [*TINY, "train.epochs=3", "train.validation=0.25", "train.validate_every=1", "measure=[]",
         "stages.vessels.sampler.per_case=2"]  # fmt: skip
RATE = "stages.*.train.learning_rate"


def write_study(folder: Path, settings: dict, **more) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"settings": settings, **more}, sort_keys=False))
    return path


RATES = {RATE: {"low": 1e-4, "high": 1e-1, "log": True}}


def outcome(out: Path) -> dict:
    return json.loads((out / "tuning.json").read_text())


def table(out: Path) -> list[dict[str, str]]:
    with (out / "trials.csv").open() as file:
        return list(csv.DictReader(file))


# --- with real trainings


@pytest.fixture(scope="module")
def tuned(fundus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of four trials, run in two calls; read only."""
    folder = tmp_path_factory.mktemp("study")
    study = write_study(folder, {**RATES, "stages.*.train.batch_size": {"choices": [2, 4]}}, pruning=None)
    said: list[str] = []
    for trials in (3, 4):
        api.tune(study, "retina-av", fundus_folder, folder / "out", settings=QUICK, trials=trials, say=said.append)
    (folder / "said.txt").write_text("\n".join(said))
    return folder / "out"


def test_a_study_goes_on_with_the_same_command_and_ends_with_its_trials(tuned):
    content = outcome(tuned)
    assert [row["state"] for row in content["trials"]] == ["complete"] * 4
    assert (content["score"], content["more_is_better"]) == ("validation_dice", True)
    assert content["best"]["score"] == max(row["score"] for row in content["trials"])
    rates = [row["settings"][RATE] for row in content["trials"]]
    assert len(set(rates)) == 4
    assert all(list(row["course"]) == ["1", "2", "3"] for row in content["trials"])
    assert (tuned.parent / "said.txt").read_text().count("learning_rate=") == 4
    assert [row["score"] for row in table(tuned)] == [str(row["score"]) for row in content["trials"]]


def test_all_trials_share_one_split_by_subject_and_leave_their_recipes_and_figures(tuned, fundus_folder):
    split = json.loads((tuned / "split.json").read_text())
    assert (len(split["train"]), len(split["validation"])) == (3, 1)
    for row in outcome(tuned)["trials"]:
        folder = tuned / "trials" / f"{row['trial']:04d}"
        recipe = read_recipe(folder / "recipe.yaml")
        assert recipe.train_of(recipe.stages[0]).learning_rate == pytest.approx(row["settings"][RATE])
        assert (folder / "vessels" / "logs" / "metrics.csv").stat().st_size > 0
        assert not list(folder.rglob("*.ckpt"))


def test_the_best_setting_is_a_recipe_that_trains(tuned, fundus_folder, tmp_path):
    best = outcome(tuned)["best"]
    recipe = read_recipe(tuned / "best.yaml")
    assert recipe.train_of(recipe.stages[0]).learning_rate == pytest.approx(best["settings"][RATE])
    bundle = api.train(
        tuned / "best.yaml", fundus_folder, tmp_path / "run", split=tuned / "split.json",
        settings=["trainer.threads=1", "trainer.graphs=false"],
    )  # fmt: skip
    assert read_bundle(bundle).card["validation"]["vessels"]["validation_dice"] == pytest.approx(best["score"])


def test_the_page_shows_each_setting_against_the_score_and_says_what_it_is_worth(tuned):
    page = (tuned / "index.html").read_text(encoding="utf-8")
    captions = re.findall(r"<figcaption>([^<]+)<", page)
    assert captions == ["History, and the best so far", "Learning rate", "Batch size", "Course of each trial"]
    assert "the best score is optimistic" in page
    assert "fewer than 8 complete trials" in page
    assert "All cases" not in page
    assert re.search(r"https?://", page) is None
    rows = re.findall(r'<th scope="row">(\d)</th><td class="number">complete</td>', page)
    assert sorted(rows) == list("0123")


KILLED = """
import json, os, signal, sys
from gracile.learning.module import StageModule
from gracile.api import tune

begin = StageModule.on_train_batch_start

def on_train_batch_start(self, batch, batch_idx):
    if self.trainer.current_epoch == 2 and "0001" in self.trainer.default_root_dir:
        os.kill(os.getpid(), signal.SIGKILL)
    return begin(self, batch, batch_idx)

StageModule.on_train_batch_start = on_train_batch_start
tune(**json.loads(sys.argv[1]))
"""


def test_a_killed_study_ends_as_an_uninterrupted_one(fundus_folder, tmp_path, monkeypatch):
    study = write_study(tmp_path, RATES, trials=3)
    common = {"study": str(study), "recipe": "retina-av", "data": str(fundus_folder), "settings": QUICK}
    api.tune(**common, out=tmp_path / "whole")
    killed = tmp_path / "killed"
    arguments = json.dumps({**common, "out": str(killed)})
    done = subprocess.run([sys.executable, "-c", KILLED, arguments], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (killed / "trials" / "0001" / "vessels" / "last.ckpt").exists()
    monkeypatch.setattr(study_store, "STALE_SECONDS", 1)
    monkeypatch.setattr(tune, "STALE_SECONDS", 1)
    time.sleep(2)  # until its trial is taken for dead
    api.tune(**common, out=killed)
    rows = outcome(killed)["trials"]
    assert [row["state"] for row in rows] == ["complete", "interrupted", "complete", "complete"]
    kept = [row for row in rows if row["state"] == "complete"]
    for row, other in zip(kept, outcome(tmp_path / "whole")["trials"], strict=True):
        assert row["settings"] == other["settings"]
        assert row["score"] == other["score"]
        assert row["course"] == other["course"]


def test_a_trial_that_falls_behind_is_given_up(fundus_folder, tmp_path):
    rates = {RATE: {"choices": [0.01, 0.0]}}
    study = write_study(tmp_path, rates, sampler="grid", pruning={"after_trials": 1})
    api.tune(study, "retina-av", fundus_folder, tmp_path / "out", settings=[*QUICK, "train.epochs=6"])
    first, second = outcome(tmp_path / "out")["trials"]
    assert (first["state"], second["state"]) == ("complete", "given up")
    assert len(second["course"]) < len(first["course"]) == 6
    assert "given up" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert read_recipe(tmp_path / "out" / "best.yaml").stages[0].train == {"learning_rate": 0.01}


def test_trials_of_several_seeds_are_averaged(fundus_folder, tmp_path):
    study = write_study(tmp_path, {RATE: {"choices": [0.01, 0.02]}}, sampler="grid", seeds=2)
    api.tune(study, "retina-av", fundus_folder, tmp_path / "out", settings=QUICK, trials=1)
    (row, waiting) = outcome(tmp_path / "out")["trials"]
    assert waiting["state"] == "waiting"
    assert len(row["scores"]) == 2
    assert row["score"] == pytest.approx(sum(row["scores"]) / 2)
    seeds = [read_recipe(tmp_path / "out" / "trials" / "0000" / f"seed{n}" / "recipe.yaml").train.seed for n in (0, 1)]
    assert seeds == [0, 1]


def test_a_fine_tuning_is_tuned_from_its_bundle(fundus_folder, tiny_bundle, tmp_path):
    settings = [*QUICK, "train.epochs=1", "train.learning_rate=0"]
    common = {"recipe": "retina-av", "data": fundus_folder, "out": tmp_path / "out", "settings": settings}
    with pytest.raises(RecipeError, match="--from"):
        api.tune("frozen-depth", **common)
    api.tune("frozen-depth", **common, start=tiny_bundle, trials=2)
    scores = [row["score"] for row in outcome(tmp_path / "out")["trials"] if row["state"] == "complete"]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)  # a rate of 0 keeps the bundle's weights
    with pytest.raises(UsageError, match="another started_from"):
        api.tune("frozen-depth", **common, start="retina-av")


# --- the loop alone, with trainings that are none


def quick_trial(plan: Plan, trial: optuna.Trial, given: dict, folder: Path) -> float:
    """What answers at once, by a formula."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ran").open("a").write(".")
    for epoch in range(3):
        trial.report(given[RATE] * epoch, epoch)
    return -abs(given[RATE] - 0.01)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(tune, "run_trial", quick_trial)


TWO = """
import json, sys
from pathlib import Path
from gracile import api
from gracile.learning import tune
from tests.learning.test_tuning import quick_trial

tune.run_trial = quick_trial
api.tune(**json.loads(sys.argv[1]))
"""


@pytest.mark.slow
def test_two_workers_on_one_file_run_each_trial_once(fundus_folder, tmp_path):
    study = write_study(tmp_path, RATES, trials=15)
    arguments = json.dumps({
        "study": str(study), "recipe": "retina-av", "data": str(fundus_folder), "settings": QUICK,
        "out": str(tmp_path / "out"),
    })  # fmt: skip
    root = str(Path(__file__).parents[2])
    both = [subprocess.Popen([sys.executable, "-c", TWO, arguments], cwd=root) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    rows = outcome(tmp_path / "out")["trials"]
    assert [row["state"] for row in rows] == ["complete"] * 15
    assert len({row["settings"][RATE] for row in rows}) == 15
    assert {len(path.read_text()) for path in (tmp_path / "out" / "trials").rglob("ran")} == {1}


@pytest.mark.slow
def test_the_command_starts_the_workers_itself(fundus_folder, tmp_path):
    study = write_study(tmp_path, {RATE: {"choices": [0.01, 0.02]}}, sampler="grid")
    settings = [*QUICK, "train.epochs=1"]
    page = api.tune(study, "retina-av", fundus_folder, tmp_path / "out", settings=settings, workers=2)
    assert page.exists()
    assert [row["state"] for row in outcome(tmp_path / "out")["trials"]] == ["complete"] * 2


def test_importances_come_with_enough_trials_and_are_the_same_each_time(quick, fundus_folder, tmp_path):
    study = write_study(tmp_path, {**RATES, "train.seed": {"choices": [0, 1]}}, sampler="random")
    contents = []
    for name in ("first", "second"):
        api.tune(study, "retina-av", fundus_folder, tmp_path / name, settings=QUICK, trials=12)
        contents.append(outcome(tmp_path / name))
    shares = contents[0]["importances"]
    assert shares[RATE] > 0.8 > shares["train.seed"]
    assert sum(shares.values()) == pytest.approx(1)
    assert contents[0]["importances"] == contents[1]["importances"]
    assert [row["settings"] for row in contents[0]["trials"]] == [row["settings"] for row in contents[1]["trials"]]
    assert "Share of the variance explained" in (tmp_path / "first" / "index.html").read_text(encoding="utf-8")


def test_an_interrupt_gives_the_trial_back_at_once(quick, fundus_folder, tmp_path, monkeypatch):
    study = write_study(tmp_path, RATES, trials=2)
    common = {"study": study, "recipe": "retina-av", "data": fundus_folder, "settings": QUICK, "out": tmp_path / "out"}

    def interrupted(plan, trial, given, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tune, "run_trial", interrupted)
        with pytest.raises(KeyboardInterrupt):
            api.tune(**common)
    api.tune(**common)
    rows = outcome(tmp_path / "out")["trials"]
    assert [row["state"] for row in rows] == ["interrupted", "complete", "complete"]
    assert rows[0]["settings"] == rows[1]["settings"]
    assert {path.parent.name for path in (tmp_path / "out" / "trials").rglob("ran")} == {"0000", "0002"}


def test_a_trial_that_fails_is_kept_with_its_reason_and_others_go_on(quick, fundus_folder, tmp_path, monkeypatch):
    study = write_study(tmp_path, {RATE: {"choices": [0.3, 0.01, 0.02]}}, sampler="grid")

    def failing(plan, trial, given, folder):
        if given[RATE] == 0.3:
            raise DataError("The batch does not fit.")
        return quick_trial(plan, trial, given, folder)

    monkeypatch.setattr(tune, "run_trial", failing)
    api.tune(study, "retina-av", fundus_folder, tmp_path / "out", settings=QUICK)
    rows = outcome(tmp_path / "out")["trials"]
    assert [row["state"] for row in rows] == ["failed", "complete", "complete"]
    assert rows[0]["reason"] == "The batch does not fit."
    assert table(tmp_path / "out")[0]["reason"] == "The batch does not fit."


def test_a_study_whose_first_trials_all_fail_ends_with_the_reason(quick, fundus_folder, tmp_path, monkeypatch):
    def failing(plan, trial, given, folder):
        raise DataError("There is no memory left.")

    monkeypatch.setattr(tune, "run_trial", failing)
    with pytest.raises(GracileError, match=r"All 3 trials failed.*no memory left"):
        api.tune(write_study(tmp_path, RATES), "retina-av", fundus_folder, tmp_path / "out", settings=QUICK)


def test_no_trial_begins_after_the_time(quick, fundus_folder, tmp_path):
    study = write_study(tmp_path, RATES, trials=3)
    api.tune(study, "retina-av", fundus_folder, tmp_path / "out", settings=QUICK, minutes=1e-9)
    assert outcome(tmp_path / "out")["trials"] == []
    assert not (tmp_path / "out" / "best.yaml").exists()


def test_another_study_is_not_continued(quick, fundus_folder, tmp_path):
    out = tmp_path / "out"
    api.tune(write_study(tmp_path, RATES), "retina-av", fundus_folder, out, settings=QUICK, trials=1)
    other = write_study(tmp_path, {RATE: {"choices": [1, 2]}})
    with pytest.raises(UsageError, match="another study"):
        api.tune(other, "retina-av", fundus_folder, out, settings=QUICK)
    with pytest.raises(UsageError, match="another recipe"):
        api.tune(write_study(tmp_path, RATES), "retina-av", fundus_folder, out, settings=[*QUICK, "train.epochs=9"])


def test_a_study_needs_cases_held_back(quick, fundus_folder, tmp_path):
    with pytest.raises(DataError, match="No case is held back"):
        api.tune("learning-rate", "retina-av", fundus_folder, tmp_path / "out", settings=[*QUICK, "train.validation=0"])
    with pytest.raises(UsageError, match="0 workers"):
        api.tune("learning-rate", "retina-av", fundus_folder, tmp_path / "out", workers=0)


def test_a_score_where_less_is_better_is_minimized():
    spec = StudySpec.model_validate({"name": "a", "settings": {RATE: {"choices": [1, 2]}}, "stage": "presence"})
    assert Plan(spec, read_recipe("nerve-ultrasound"), [], Path()).score == ("validation_loss", False)
    assert study_store._pruner(spec).__class__.__name__ == "MedianPruner"
    assert TrialState.COMPLETE.is_finished()
