"""A training can be watched, whatever befalls it and its page; watching changes nothing of what is learned."""

import pytest
import torch

import gracile
from gracile.errors import DataError
from gracile.learning import training_page
from gracile.learning.learners import build_learner
from gracile.learning.sample_pictures import draw_sample
from gracile.pages.course import Course
from gracile.recipe import read_recipe
from tests.conftest import TINY
from tests.data.test_volume_layouts import volume_recipe
from tests.learning.runs import HELD_BACK, assert_same_weights, interrupted_in

SHORT = [*HELD_BACK, "train.epochs=3"]


def page_of(run) -> str:
    return (run / "training.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def watched(fundus_folder, tmp_path_factory):
    """A run of three epochs with a case held back."""
    run = tmp_path_factory.mktemp("watched") / "run"
    gracile.train("retina-av", fundus_folder, run, settings=SHORT)
    return run


def test_a_run_leaves_a_page_with_its_course_and_a_held_back_case(watched):
    course, text = Course.read(watched / "vessels"), page_of(watched)
    assert [row["epoch"] for row in course.rows] == [0, 1, 2]
    assert {"train_loss", "learning_rate", "validation_dice", "validation_loss"} <= set(course.names)
    assert course.state == "done"
    assert 'http-equiv="refresh"' not in text
    assert text.count("data:image/jpeg") == 1
    assert "held back" in text
    assert {"Truth/artery", "Found/vein", "Differences/missed"} <= set(text.split('data-layer="')[1].split('"')) | {
        part.split('"')[0] for part in text.split('data-layer="')[1:]
    }


def test_an_interrupted_run_says_so_and_goes_on_where_it_was(watched, fundus_folder, tmp_path):
    with interrupted_in(2):
        gracile.train("retina-av", fundus_folder, tmp_path / "run", settings=SHORT)
    course = Course.read(tmp_path / "run" / "vessels")
    assert (course.state, len(course.rows)) == ("interrupted", 2)
    assert "interrupted" in page_of(tmp_path / "run")
    assert 'http-equiv="refresh"' not in page_of(tmp_path / "run")
    gracile.train("retina-av", fundus_folder, tmp_path / "run", resume=True)
    resumed = Course.read(tmp_path / "run" / "vessels")
    assert [row["epoch"] for row in resumed.rows] == [0, 1, 2]
    assert [row["figures"] for row in resumed.rows] == [row["figures"] for row in Course.read(watched / "vessels").rows]


@pytest.mark.parametrize("failing", ["write_training_page", "draw_sample"])
def test_a_page_that_cannot_be_made_ends_no_training_and_changes_no_weight(
    watched, fundus_folder, tmp_path, monkeypatch, caplog, failing
):
    def fails(*_, **__):
        raise DataError("The disk is full.", "Make room.") if failing == "write_training_page" else RuntimeError("odd")

    monkeypatch.setattr(training_page, failing, fails)
    bundle = gracile.train("retina-av", fundus_folder, tmp_path / "run", settings=SHORT)
    assert_same_weights(bundle, watched / "bundle")
    assert sum("page of the training is not renewed" in record.message for record in caplog.records) == 1


def test_without_a_case_held_back_training_samples_are_shown(fundus_folder, tmp_path):
    gracile.train("retina-av", fundus_folder, tmp_path / "run", settings=[*TINY, "train.epochs=1", "measure=[]"])
    text = page_of(tmp_path / "run")
    assert "learned from" in text
    assert text.count("data:image/jpeg") == 4


def test_a_volume_shows_the_slice_with_most_of_its_truth():
    recipe = volume_recipe()
    stage = build_learner(recipe.stages[-1], recipe)
    truth = torch.zeros(2, 6, 8, 10)
    truth[0] = 1
    truth[:, 1:4, 2:6, 7] = torch.tensor([0.0, 1.0])[:, None, None]
    image = torch.zeros(1, 6, 8, 10)
    image[..., 7] = torch.rand(6, 8)
    entry = draw_sample(stage, "s", image, 10 * truth, {"truth": truth})
    blank = draw_sample(stage, "s", image * 0, 10 * truth, {"truth": truth})
    assert entry.base != blank.base
    assert {layer.group for layer in entry.layers} == {"Found", "Truth", "Differences"}


def test_a_gate_says_in_words_what_is_true_and_what_it_answered():
    recipe = read_recipe("nerve-ultrasound")
    stage = build_learner(recipe.stages[0], recipe)
    image, answer = torch.rand(1, 20, 30), torch.tensor([0.0, 3.0])
    wrong = draw_sample(stage, "s", image, answer, {"target": torch.tensor(0)})
    assert "It is absent; the answer is present (0.95)." in wrong.reason
    assert wrong.flags
    assert not draw_sample(stage, "s", image, answer, {"target": torch.tensor(1)}).flags


def test_landmarks_are_not_drawn_as_masks():
    recipe = read_recipe("skull-landmarks")
    stage = build_learner(recipe.stages[0], recipe)
    answer = torch.zeros(len(recipe.landmarks), 4, 4, 4)
    assert draw_sample(stage, "s", torch.zeros(1, 8, 8, 8), answer, {"places": torch.zeros(1, 3)}) is None
