"""Landmarks by heat, coarse then fine: read between the samples, checked against their shape, and learned from few."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.case import Case
from gracile.errors import RecipeError
from gracile.geometry.similarity import Similarity
from gracile.learning.fit import fit_stage
from gracile.learning.learners import build_learner
from gracile.learning.learners import landmark_heat as learner_of_heat
from gracile.learning.learners.heat import target_heat
from gracile.learning.learners.landmark_heat import steps_between
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe, TrainSpec, read_recipe, recipe_from
from gracile.stages import Finding, landmark_heat
from gracile.stages.configuration import Configuration
from gracile.stages.heat import read_peak
from gracile.stages.landmark_heat import LandmarkHeatStage, bounds_mm
from gracile.transforms import Prepared, prepare
from tests.stages.spots import BASE, NAMES, SETTINGS, SHAPE, SMALL, SPACING, head, heat_at, read


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("skull-landmarks", SETTINGS)


@pytest.fixture(scope="module")
def prepared(recipe) -> list[Prepared]:
    return [prepare(head(seed), recipe)[0] for seed in range(5)]


@pytest.fixture(scope="module")
def trained(recipe, prepared, tmp_path_factory) -> tuple[Pipeline, dict[str, dict]]:
    torch.manual_seed(0)
    stages, figures = [], {}
    for spec, epochs, batch in zip(recipe.stages, (5, 4), (4, 16), strict=True):
        stage = build_learner(spec, recipe)
        train = TrainSpec(
            epochs=epochs, batch_size=batch, learning_rate=0.003, average_weights=0.8, weight_decay=0, validate_every=50
        )
        out = Path(tmp_path_factory.mktemp(spec.name))
        figures[spec.name] = fit_stage(stage, prepared[:4], prepared[4:], train, recipe.trainer, out)
        stages.append(stage.applied())
    return Pipeline(recipe, stages), figures


def errors_mm(result, case: Case) -> np.ndarray:
    return np.array([np.linalg.norm(part.point_mm - case.points[part.name]) for part in result.landmarks])


# --- heat


def test_a_place_is_read_between_the_samples():
    place = torch.tensor([4.3, 5.8, 3.6])
    heat = target_heat(place, (10, 12, 9), torch.ones(3), 1.2 * torch.ones(3)).numpy()
    peak = read_peak(heat, np.array([0.5, 0.5, 0.5]), 0.6)
    np.testing.assert_allclose(peak.place, place, atol=0.05)
    assert peak.mass > 0.9
    assert peak.spread_mm == pytest.approx(np.sqrt(3) * 0.6, rel=0.15)


def test_the_target_of_a_coarser_answer_has_its_place_in_samples_of_the_volume():
    heat = target_heat(torch.tensor([[8.0, 6.0, 4.0]]), (10, 10, 10), torch.full((3,), 2.0), torch.full((3,), 2.0))
    assert np.unravel_index(int(heat.argmax()), heat.shape[1:]) == (4, 3, 2)
    assert float(heat.sum()) == pytest.approx(1)


# --- locate


@pytest.fixture
def locate(recipe, prepared) -> LandmarkHeatStage:
    learner = build_learner(recipe.stages[0], recipe)
    learner.samples(prepared[:4], seed=0)
    stage = learner.applied()
    assert isinstance(stage, LandmarkHeatStage)
    return stage


def test_landmarks_are_read_from_heat_with_probability_and_uncertainty(locate):
    found = read(locate, heat_at(BASE))
    assert [landmark.name for landmark in found] == NAMES
    np.testing.assert_allclose([landmark.point_mm for landmark in found], BASE, atol=0.25)
    assert all(landmark.probability > 0.8 and landmark.note == "" for landmark in found)
    assert all(1 < landmark.uncertainty_mm < 3 for landmark in found)


def test_a_landmark_far_from_where_the_others_have_it_is_placed_by_them_and_says_so(locate):
    points = BASE.copy()
    points[2] = 17, 4, 14
    found = read(locate, heat_at(points))
    np.testing.assert_allclose(found[2].point_mm, BASE[2], atol=1.0)
    assert "placed by the other landmarks: its own place lies" in found[2].note
    assert [landmark.note for landmark in found[:2] + found[3:]] == [""] * 5


def test_a_landmark_that_is_unsure_is_placed_by_the_others(locate):
    heat = heat_at(BASE)
    heat[1] *= 0.1
    found = read(locate, heat)
    np.testing.assert_allclose(found[1].point_mm, BASE[1], atol=1.0)
    assert "its own place is unsure" in found[1].note
    assert found[1].probability < 0.1


def test_a_landmark_that_is_nowhere_is_not_found_and_its_note_says_where_the_others_would_have_it(locate):
    heat = heat_at(BASE)
    heat[1] *= 0.04
    found = locate.landmarks(heat, np.full(3, 2.0), bounds_mm(SHAPE, np.full(3, SPACING)), np.diag([-1.0, 1, 1, 1]))
    assert found[1].point_mm is None
    assert found[1].note.startswith("not found: its heat is 0.04 in all, below 0.05; the other landmarks would have it")
    said = [float(number) for number in found[1].note.split(" at ")[1].removesuffix(" mm (RAS)").split(", ")]
    np.testing.assert_allclose(said, BASE[1] * [-1, 1, 1], atol=1.0)
    assert all(landmark.point_mm is not None for landmark in found[:1] + found[2:])
    locate.spec = locate.spec.model_copy(update={"absence": 0.0})
    assert read(locate, heat)[1].point_mm is not None


def test_heat_that_is_everywhere_leaves_the_place_to_the_others(locate):
    heat = heat_at(BASE)
    heat[1] = 0.9 / heat[1].size
    found = read(locate, heat)
    np.testing.assert_allclose(found[1].point_mm, BASE[1], atol=1.0)
    assert "its own place is unsure" in found[1].note


def test_landmarks_that_lie_to_each_other_at_half_the_size_are_something_else(locate):
    middle = BASE.mean(axis=0)
    found = read(locate, heat_at(middle + 0.5 * (BASE - middle)))
    assert all(landmark.point_mm is None for landmark in found)
    assert "but at 0.5 times the size" in found[0].note
    assert all(landmark.point_mm is not None for landmark in read(locate, heat_at(middle + 0.8 * (BASE - middle))))


def test_what_is_nowhere_is_not_found(locate):
    found = read(locate, 0.01 * heat_at(BASE))
    assert all(landmark.point_mm is None and "not found" in landmark.note for landmark in found)


def test_a_landmark_that_the_others_place_outside_of_the_volume_is_not_found(locate):
    heat = heat_at(BASE - [0, 0, 5])
    heat[5] = 0
    found = read(locate, heat)
    assert found[5].point_mm is None
    assert "place it outside of the volume" in found[5].note
    assert found[0].point_mm is not None


@pytest.mark.parametrize(("z", "inside"), [(-0.2, True), (-0.3, False), (17.7, True), (17.8, False)])
def test_a_volume_ends_where_its_outer_voxels_do(locate, monkeypatch, z, inside):
    monkeypatch.setattr(Configuration, "pose", lambda *_: (Similarity(1.0, np.eye(3), np.zeros(3)), np.arange(6) < 5))
    locate.configuration = replace(locate.configuration, mean=np.vstack([BASE[:5], [8, 12, z]]))
    assert (read(locate, heat_at(BASE))[5].point_mm is not None) == inside


def test_an_axis_may_keep_the_volume_s_spacing(recipe, prepared):
    locate = build_learner(recipe.stages[0], recipe)
    locate.spec = locate.spec.model_copy(update={"spacing_mm": (1.0, 0.0, 1.0)})
    batch = next(iter(torch.utils.data.DataLoader(locate.samples(prepared[:1], 0))))
    np.testing.assert_allclose(batch["spacing"], [[1, 0.5, 1]])
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner_of_heat, "target_heat", lambda *inputs: seen.setdefault("heat", target_heat(*inputs)))
        locate.losses(batch)
    heat = seen["heat"][0, 4]  # far from the ends of the patch
    for axis, apart in enumerate((2.0, 1.0, 2.0)):  # mm between answers
        side = heat.sum(dim=[other for other in range(3) if other != axis]).double()
        at = torch.arange(len(side)).double() * apart
        spread = float((side @ (at - side @ at) ** 2).sqrt())
        assert spread == pytest.approx(1.5, rel=0.15)


def test_heat_alone_gives_maps_on_the_volume_s_voxels(locate, prepared, monkeypatch):
    volume = prepared[0]
    points = np.stack([volume.points[name] for name in NAMES]) * SPACING
    heat = heat_at(points)
    monkeypatch.setattr(locate, "heat", lambda _: heat)
    finding = locate.find(volume, Finding())
    maps = np.stack([finding.landmark_maps(number) for number in range(6)])
    assert maps.shape == (6, *SHAPE)
    np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)), 0.95, atol=0.1)
    brightest = [np.unravel_index(one.argmax(), SHAPE) for one in maps]
    assert np.linalg.norm(np.array(brightest) * SPACING - points, axis=1).max() < 2


def test_a_large_volume_is_answered_in_tiles_that_meet(locate, monkeypatch):
    coarse = np.random.default_rng(0).standard_normal((1, 37, 30, 45)).astype(np.float32)
    # A network that sees but its own step: there tiles have to give just what the whole gives.
    monkeypatch.setattr(locate, "run", lambda x: x[..., ::2, ::2, ::2].repeat(6, axis=1))
    whole, steps = locate.logits(coarse)
    assert steps.tolist() == [2, 2, 2]
    monkeypatch.setattr(landmark_heat, "LARGEST_INPUT", 1000)
    monkeypatch.setattr(landmark_heat, "TILE", 16)
    tiles, _ = locate.logits(coarse)
    assert tiles.shape == whole.shape == (6, 19, 15, 23)
    np.testing.assert_allclose(tiles, whole, atol=1e-5)


@pytest.mark.parametrize(("size", "step", "answers"), [(33, 2, 17), (13, 4, 4), (64, 4, 16), (40, 1, 40)])
def test_steps_are_told_from_sizes_that_do_not_divide(size, step, answers):
    assert steps_between((size,), (answers,)) == [step]


def test_a_thin_volume_is_answered_at_the_network_s_own_steps(recipe):
    network = SMALL.replace("stride: [2, 2, 2]", "stride: [2, 2, 4]") % "false"
    spec = read_recipe("skull-landmarks", [*SETTINGS, f"stages.locate.network={network}"]).stages[0]
    stage = build_learner(spec, recipe)
    applied = stage.applied()
    assert applied.logits(np.zeros((1, 24, 24, 5), np.float32))[1].tolist() == [2, 2, 4]
    thin = torch.zeros(1, 1, 24, 24, 5)  # two answers along the last axis: of the first sample and of the fifth
    answers = stage.logits(thin)
    assert answers.shape == (1, 6, 12, 12, 2)
    assert stage.steps(thin.shape[2:], answers.shape[2:]).tolist() == [2, 2, 4]
    stage.network = torch.nn.Identity()  # does not tell its steps
    assert stage.steps((24, 24, 5), (24, 24, 5)).tolist() == [1, 1, 1]


def test_a_patch_without_a_landmark_teaches_that_it_is_nowhere(recipe):
    locate = build_learner(recipe.stages[0], recipe)
    batch = {
        "image": torch.zeros(1, 1, 24, 24, 24),
        "places": torch.full((1, 6, 3), -30.0),
        "spacing": torch.ones(1, 3),
    }
    torch.nn.init.zeros_(locate.nowhere)
    before = float(locate.losses(batch)["heat"])
    torch.nn.init.constant_(locate.nowhere, 20.0)
    assert float(locate.losses(batch)["heat"]) < before - 3


# --- recipes


@pytest.mark.parametrize(
    "setting", ["stages.locate.augment.flip=true", "stages.refine.augment.flip=true", "stages.refine.reach_mm=9"]
)
def test_settings_that_cannot_be_right_are_refused(setting):
    with pytest.raises(RecipeError):
        read_recipe("skull-landmarks", [*SETTINGS, setting])


def test_opposites_are_opposites_of_each_other():
    with pytest.raises(RecipeError, match="not the other way round"):
        read_recipe("skull-landmarks", ["landmarks=[{name: a, opposite: b}, {name: b, opposite: b}]"])


def test_an_opposite_that_the_recipe_does_not_list_is_named_in_plain_words():
    with pytest.raises(RecipeError, match="not valid: the opposite of landmark 'a', 'z', is no landmark of the recipe"):
        read_recipe("skull-landmarks", ["landmarks=[{name: a, opposite: z}]"])


def test_recipes_whose_stages_have_nothing_to_look_for_are_refused():
    data = read_recipe("skull-landmarks").model_dump(mode="json")
    with pytest.raises(RecipeError, match="'refine' needs a stage before it"):
        recipe_from({**data, "stages": data["stages"][1:]})
    classes = [*data["classes"], {"name": "skull", "color": [255, 0, 0]}]
    with pytest.raises(RecipeError, match="'locate' needs landmarks"):
        recipe_from({**data, "landmarks": [], "classes": classes})


# --- both, trained


@pytest.mark.slow
def test_both_learn_from_four_volumes_and_the_second_is_finer(trained, recipe):
    pipeline, figures = trained
    case = head(33, "PSL")
    truth = case.points
    result = pipeline(Case(case.id, case.image, case.grid), keep_probabilities=True)
    case.points = truth
    assert errors_mm(result, case).mean() < 0.4
    coarse = Pipeline(recipe, pipeline.stages[:1])(Case(case.id, case.image, case.grid))
    assert errors_mm(coarse, case).mean() > errors_mm(result, case).mean()
    assert figures["refine"]["validation_error_mm"] < 0.5


@pytest.mark.parametrize("kind", ["noise", "constant", "blobs"])
def test_a_volume_of_something_else_has_no_landmarks(trained, kind):
    random = np.random.default_rng(0)
    image = np.full(SHAPE, 50.0)
    if kind != "constant":
        image += random.normal(0, 10, SHAPE)
    if kind == "blobs":
        image = gaussian_filter(image, 3)
    result = trained[0](Case("other", image[None].astype(np.float32), head(0).grid))
    assert result.status == "absent"
    assert all(landmark.point_mm is None and "not found" in landmark.note for landmark in result.landmarks)


def test_a_bundle_of_both_finds_the_same(trained, recipe, tmp_path):
    pipeline, _ = trained
    weights = {stage.name: stage.run.learner.bundle_state() for stage in pipeline.stages}
    write_bundle(Bundle(recipe=recipe, weights=weights, card={}), tmp_path / "bundle")
    again = Pipeline.from_bundle(read_bundle(tmp_path / "bundle"))
    case = head(40)
    first, second = (p(Case(case.id, case.image, case.grid)) for p in (pipeline, again))
    np.testing.assert_allclose([a.point_mm for a in first.landmarks], [b.point_mm for b in second.landmarks], atol=1e-5)
