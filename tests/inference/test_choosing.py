"""What is done to masks afterwards is chosen where it helps people that were held back, and not by chance."""

from types import SimpleNamespace

import numpy as np
import pytest

from gracile.case import Case
from gracile.evaluation import bootstrap_interval
from gracile.geometry import Grid
from gracile.inference.choosing import FEWEST, _stepped, choose
from gracile.inference.held_back import KeptAnswers
from gracile.recipe import DecisionSpec, Recipe, read_recipe
from gracile.result import Result
from gracile.stages.decisions import decide, tidy


class Deciding:
    """What a stage decides with, without a network."""

    def __init__(self, recipe: Recipe) -> None:
        self.spec, self.recipe = recipe.stages[0], recipe

    def decide(self, probabilities):
        return decide(probabilities, self.spec.decision, self.recipe.written)

    def tidy(self, mask, probabilities):
        return tidy(mask, self.recipe.class_names, self.spec.decision)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("structure-2d", ["stages.segment.decision={}"])


def answered(folder, recipe, draw, count: int) -> KeptAnswers:
    """Answers drawn case by case: a function of the case's number and a generator gives probability and truth."""
    kept = KeptAnswers(folder)
    for number in range(count):
        structure, truth = draw(number, np.random.default_rng(number))
        maps = np.stack([1 - structure, structure]).astype(np.float32)
        grid = Grid(truth.shape)
        case = Case(f"c{number:02d}", np.zeros((3, *truth.shape), np.uint8), grid, truth=truth.astype(np.uint8))
        kept.put(case, Result(case.id, "found", grid, recipe.class_names, probabilities=maps), recipe)
    return kept


def chosen(kept: KeptAnswers, recipe: Recipe, people: int = 0, folds: int = 4):
    subjects = {id: id if not people else str(number % people) for number, id in enumerate(kept.ids)}
    held = {id: 1 + number % folds for number, id in enumerate(kept.ids)}
    return choose(kept, Deciding(recipe), recipe, subjects, held)


def disc(random) -> np.ndarray:
    rows, columns = np.indices((48, 56))
    return np.hypot(rows - random.integers(18, 30), columns - random.integers(18, 38)) < 9


def with_spots(number, random):
    """A disc that is found, and sure spots elsewhere."""
    truth = disc(random)
    found = np.where(truth, 0.9, 0.05)
    found[:4, 4 + number % 3 : 12] = 0.95
    return found, truth


def timid(number, random):
    """A disc whose rim is found with little certainty."""
    truth = disc(random)
    return np.where(truth, 0.9, 0.05) - 0.48 * (truth & ~np.roll(truth, 3, axis=0)), truth


def right(number, random):
    truth = disc(random)
    return np.where(truth, 0.9, 0.05), truth


def test_spots_apart_are_left_out(recipe, tmp_path):
    choices = chosen(answered(tmp_path, recipe, with_spots, 12), recipe)
    assert choices.settings == {"largest_only": True}
    assert choices.after > choices.before + 0.05
    step = next(step for step in choices.steps if step.chosen)
    assert step.interval[0] > 0
    assert any("largest islands alone" in sentence for sentence in choices.sentences())


def test_a_lower_threshold_is_taken_where_the_rim_is_unsure(recipe, tmp_path):
    choices = chosen(answered(tmp_path, recipe, timid, 12), recipe)
    assert choices.settings == {"rule": "foreground-first", "threshold": 0.4}


def test_of_regions_the_threshold_alone_is_tried(tmp_path):
    recipe = read_recipe("structure-2d", ["stages.segment.decision={}", "regions={all: [structure]}"])
    assert chosen(answered(tmp_path, recipe, timid, 12), recipe).settings == {"threshold": 0.4}


def test_what_is_right_already_is_left_alone(recipe, tmp_path):
    choices = chosen(answered(tmp_path, recipe, right, 12), recipe)
    assert choices.settings == {}
    assert choices.before == choices.after == 1.0
    assert "not better than nothing by more than noise" in choices.sentences()[0]


def test_a_gain_of_one_person_is_chance(recipe, tmp_path):
    def one_has_spots(number, random):
        return (with_spots if number == 3 else right)(number, random)

    assert chosen(answered(tmp_path, recipe, one_has_spots, 12), recipe).settings == {}


def test_the_best_of_many_that_differ_by_chance_is_not_taken():
    """On the cases that chose it, it would be better by more than noise."""
    ids = [f"c{number:02d}" for number in range(30)]
    taken = seeming = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        now, noise = random.normal(0.8, 0.02, 30), random.normal(0, 0.05, (40, 30))
        judge = SimpleNamespace(
            kept=SimpleNamespace(ids=ids), blanked=[""] * 40,
            scores=lambda specs, blanking_from, now=now, noise=noise: (now + noise).tolist(),
        )  # fmt: skip
        best = noise[noise.mean(axis=1).argmax()]
        seeming += bootstrap_interval(best.tolist())[0] > 0
        folds = {id: 1 + number % 5 for number, id in enumerate(ids)}
        candidates = [{"smallest": number} for number in range(40)]
        step, _, scores = _stepped("", candidates, judge, DecisionSpec(), now.tolist(), {id: id for id in ids}, folds)
        taken += step.chosen is not None
        assert step.chosen is not None or scores == now.tolist()
    assert seeming >= 8
    assert taken <= 2


def test_whole_subjects_are_drawn(recipe, tmp_path):
    """Twelve pictures of six people say what six say; of four people they say nothing."""
    kept = answered(tmp_path, recipe, with_spots, 12)
    assert chosen(kept, recipe, people=6).settings == {"largest_only": True}
    few = chosen(kept, recipe, people=FEWEST - 1)
    assert few.settings == {}
    assert "too few" in few.sentences()[0]


def test_what_blanks_a_structure_is_out_of_the_question(tmp_path):
    """Small islands are false in all cases but one, whose structure is as small."""
    recipe = read_recipe("structure-2d", ["stages.segment.decision={largest_only: true, fill_holes: true}"])

    def draw(number, random):
        truth = np.zeros((40, 40), bool)
        found = np.full(truth.shape, 0.05)
        if number == 5:
            truth[10:14, 10:14] = True
            found[10:12, 10:14] = 0.9
        elif number % 2:
            truth[10:30, 10:30] = True
            found[truth] = 0.9
        else:
            found[20:22, 20:24] = 0.9
        return found, truth

    choices = chosen(answered(tmp_path, recipe, draw, 16), recipe)
    step = next(step for step in choices.steps if step.title == "small islands dropped")
    sizes = {one.settings["smallest"]: one.blanked for one in step.tried}
    assert sizes == {2: "", 4: "", 8: ""}
    assert choices.settings == {}

    def smaller(number, random):
        found, truth = draw(number, random)
        found[11, 10:14] = 0.05 if number == 5 else found[11, 10:14]
        return found, truth

    choices = chosen(answered(tmp_path / "more", recipe, smaller, 16), recipe)
    step = next(step for step in choices.steps if step.title == "small islands dropped")
    assert {one.settings["smallest"]: one.blanked for one in step.tried} == {2: "", 4: "", 8: "c05"}
    assert max(one.mean for one in step.tried) == choices.before
    assert choices.settings == {}


def test_a_case_is_kept_in_the_smallest_box_that_matters(recipe, tmp_path):
    kept = answered(tmp_path, recipe, right, 1)
    one = kept.read("c00")
    assert one.probabilities.shape[1:] == one.truth.shape == one.counts.shape
    assert one.truth.shape == (48, 56)  # of 0.05 everywhere nothing is cut

    def clear(number, random):
        found, truth = right(number, random)
        return np.where(truth, found, 0.0), truth

    one = answered(tmp_path / "clear", recipe, clear, 1).read("c00")
    assert one.truth.shape == (17, 17)
    assert one.truth.any(axis=0).all()
    assert one.truth.any(axis=1).all()


def test_an_empty_case_is_kept_too(recipe, tmp_path):
    def empty(number, random):
        return np.zeros((20, 20)), np.zeros((20, 20), bool)

    kept = answered(tmp_path, recipe, lambda n, r: (empty if n % 2 else with_spots)(n, r), 12)
    choices = chosen(kept, recipe)
    assert choices.cases == 12
    assert choices.settings == {"largest_only": True}


def test_the_region_alone_is_scored(recipe, tmp_path):
    truth = np.zeros((20, 20), np.uint8)
    truth[5:9, 5:9] = 1
    maps = np.stack([1 - truth, truth]).astype(np.float32)
    region = np.ones((20, 20), bool)
    region[5, :] = False
    kept = KeptAnswers(tmp_path)
    case = SimpleNamespace(id="a", truth=truth, grid=Grid((20, 20)))
    kept.put(case, Result("a", "found", case.grid, recipe.class_names, probabilities=maps, region=region), recipe)
    assert kept.read("a").counts.sum() == 12
