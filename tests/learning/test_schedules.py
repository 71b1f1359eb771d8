"""How a training's learning rate goes, and when it ends by itself; both survive a resume."""

import numpy as np
import pytest
import torch

from gracile.api import train
from gracile.bundle import read_bundle
from gracile.errors import RecipeError
from gracile.learning.module import StageModule
from gracile.learning.schedule import scheduled
from gracile.recipe import read_recipe
from tests.conftest import TINY
from tests.learning.runs import HELD_BACK, assert_same_weights, interrupted_in, logged, weights_of


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_learning_rate_rises_then_follows_its_schedule(schedule):
    spec = read_recipe("retina-av", [f"train.schedule={schedule}", "train.warmup=0.1"]).train
    course = [scheduled(progress, spec) for progress in np.linspace(0, 1, 21)]
    assert course[0] < 0.02
    assert course[2] == pytest.approx(1.0, abs=0.01)
    assert course[-1] == pytest.approx(1e-3 if schedule == "cosine" else 1.0)
    assert min(course) > 0
    assert sorted(course[2:], reverse=True) == course[2:]


@pytest.fixture
def worsening(monkeypatch):
    """Validation losses that rise from the second validation on, while the Dice is best at the third."""
    scores = StageModule.scores

    def rising(self, batch):
        given = scores(self, batch)
        epoch = float(self.trainer.current_epoch) if self._trainer is not None and self.trainer.validating else 99.0
        dice = torch.tensor(0.9 - 0.1 * abs(epoch - 2) if epoch < 99 else 0.0)
        return {**given, "validation_loss": torch.tensor(1.0 + epoch * (epoch - 1)), "validation_dice": dice}

    monkeypatch.setattr(StageModule, "scores", rising)


PLATEAU = ["train.schedule=plateau", "train.patience=2", "train.warmup=0", "train.learning_rate=0.008"]


def test_a_plateau_halves_the_rate_and_a_resumed_run_keeps_it(fundus_folder, tmp_path, worsening):
    # Losses 1, 1, 3, 7, 13, ...: the second is no improvement, so that the rate falls after the third and the fifth.
    settings = [*HELD_BACK, *PLATEAU, "train.epochs=6"]
    whole = train("retina-av", fundus_folder, tmp_path / "whole", settings=settings)
    rates = [0.008, 0.008, 0.008, 0.004, 0.004, 0.002]
    assert logged(tmp_path / "whole", "learning_rate") == pytest.approx(rates)

    with interrupted_in(epoch=4):
        train("retina-av", fundus_folder, tmp_path / "cut", settings=settings)
    resumed = train("retina-av", fundus_folder, tmp_path / "cut", resume=True)
    assert logged(tmp_path / "cut", "learning_rate") == pytest.approx(rates)
    assert_same_weights(whole, resumed)


def test_an_early_stop_ends_the_run_with_its_best_weights_and_a_resumed_one_stays_ended(
    fundus_folder, tmp_path, worsening
):
    run = tmp_path / "run"
    bundle = train("retina-av", fundus_folder, run, settings=[*HELD_BACK, "train.epochs=50", "train.stop_after=3"])
    assert len(logged(run, "validation_loss")) == 4
    card = read_bundle(bundle).card["validation"]["vessels"]
    assert (card["epochs"], card["chosen"]) == (3, "best by validation_dice")
    best = torch.load(run / "vessels" / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    for name, value in weights_of(bundle).items():
        assert torch.equal(best[f"stage.{name}"], value), name
    again = train("retina-av", fundus_folder, run, resume=True)
    assert_same_weights(bundle, again)
    assert len(logged(run, "validation_loss")) == 4
    assert read_bundle(again).card["validation"]["vessels"] == card


@pytest.mark.parametrize("setting", ["train.schedule=plateau", "train.stop_after=2"])
def test_following_a_validation_loss_needs_cases_held_back(fundus_folder, tmp_path, setting):
    with pytest.raises(RecipeError, match=rf"{setting}.*train\.validation"):
        train("retina-av", fundus_folder, tmp_path / "run", settings=[*TINY, setting])
    assert not (tmp_path / "run" / "recipe.yaml").exists()
