"""The page of a training shows how it goes, how long it takes, and says when it was too short or learned by heart."""

import re
from pathlib import Path

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.pages.course import Course
from gracile.pages.training import write_training_page
from gracile.recipe import read_recipe

RECIPE = read_recipe("structure-2d")
(STAGE,) = (spec.name for spec in RECIPE.stages)


def course(scores, losses=None, way="max", state="done", minutes=10.0, **more) -> Course:
    """A training validated at even times, with a training loss for each validation."""
    losses = np.linspace(1, 0.5, len(scores)) if losses is None else losses
    name = "validation_dice" if way == "max" else "validation_error_mm"
    rows = [
        {
            "epoch": n,
            "seconds": 60 * minutes * (n + 1) / len(scores),
            "figures": {"train_loss": float(loss), name: score},
        }
        for n, (score, loss) in enumerate(zip(scores, losses, strict=True))
    ]
    limits = {"epochs": 100.0, "minutes": minutes}
    return Course(STAGE, name, way, state, rows, 1.0, 60 * minutes, limits, **more)


@pytest.mark.parametrize(
    ("scores", "way", "fast"),
    [
        ([0.2, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8], "max", True),
        ([0.5, 0.8, 0.84, 0.85, 0.855, 0.86, 0.862, 0.864], "max", False),
        ([0.99, 0.995, 0.996, 0.996, 0.996, 0.996, 0.996, 0.999], "max", False),  # what is left is too little to matter
        ([9.0, 7.0, 6.0, 5.0, 4.5, 4.0, 3.5, 3.0], "min", True),
        ([9.0, 4.0, 3.1, 3.0, 3.0, 3.0, 2.9, 2.9], "min", False),
        ([0.4, 0.6], "max", True),
        ([0.6], "max", False),
        ([0.8, 0.7, 0.6, 0.5], "max", False),
    ],
)
def test_a_training_is_too_short_where_its_error_falls_fast_to_the_end(scores, way, fast):
    told = course(scores, way=way)
    assert told.improves_fast() is fast
    assert any("improved fast" in words for words in told.words()) is fast
    assert course(scores, way=way, state="training").words() == []


def test_minutes_that_end_in_the_first_epoch_are_too_few():
    assert "before every sample was seen once" in course([0.6]).words()[0]


def test_drifting_apart_takes_a_falling_loss_and_a_rising_error():
    rises, falls = [0.5, 0.7, 0.8, 0.82, 0.82, 0.8, 0.79, 0.78, 0.77, 0.77], list(np.linspace(1, 0.1, 10))
    assert course(rises, falls).drifts_apart()
    assert "drift apart" in course(rises, falls).words()[0]
    assert not course(rises, falls[::-1]).drifts_apart()
    assert not course(sorted(rises), falls).drifts_apart()
    assert not course(rises[:9], falls[:9]).drifts_apart()


def test_the_page_renews_itself_only_while_the_training_runs(tmp_path):
    running = course([0.4, 0.6, 0.7], state="training")
    running.progress = 0.25
    running.write(tmp_path / STAGE)
    text = write_training_page(tmp_path, RECIPE, running=True).read_text(encoding="utf-8")
    assert '<meta http-equiv="refresh"' in text
    assert re.search(r"Time left of this stage</dt><dd>30 min 00 s<", text)
    ended = write_training_page(tmp_path, RECIPE, running=False).read_text(encoding="utf-8")
    assert 'http-equiv="refresh"' not in ended


def test_the_page_shows_every_figure_and_a_stage_that_waits(tmp_path):
    recipe = read_recipe("spinal-cord")
    first, second = (spec.name for spec in recipe.stages)
    told = course([5.0, 3.0, None, 2.0], way="min")
    told.stage = first
    told.write(tmp_path / first)
    text = write_training_page(tmp_path, recipe, running=True).read_text(encoding="utf-8")
    assert f"{first.capitalize()}: losses" in text
    assert "Error (mm) 2.0000 in epoch 4" in text
    assert re.search(rf"{second}</th><td[^>]*>not begun<", text)


def test_a_damaged_course_is_as_none_and_numbers_that_are_none_are_left_out(tmp_path):
    told = course([None, 0.5])
    assert told.errors() == [(10.0, 0.5)]
    told.write(tmp_path / STAGE)
    assert Course.read(tmp_path / STAGE) == told
    (tmp_path / STAGE / "course.json").write_text('{"stage": 1')
    with pytest.raises(DataError):
        Course.read(tmp_path / STAGE)
    assert "not begun" in Path(write_training_page(tmp_path, RECIPE, running=False)).read_text(encoding="utf-8")
