"""The stage of scanned windows, on drawn volumes: it learns from few, finds points in mm, and says what it did not."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.case import Case
from gracile.data import CaseFiles
from gracile.errors import DataError, RecipeError
from gracile.geometry import Grid
from gracile.learning.fit import fit_stage
from gracile.learning.learners import build_learner
from gracile.learning.sampling import prepared_case
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe, TrainSpec, read_recipe, recipe_from
from gracile.stages.landmark_windows import normals_of
from gracile.transforms import Prepared, prepare

SETTINGS = [
    "landmarks=[{name: ring}, {name: ball}]",
    "stages.windows.network={name: smicnet-unpadded, options: {width: 8, depth: 2, hidden: 32, dropout: 0}}",
    "stages.windows.size=21",
    "stages.windows.spacing_mm=[0, 0, 0]",
    "stages.windows.sampler={per_case: 192, rotation: [5, 5, 40], shift: 2, gap: 3, reach: 12}",
    "stages.windows.scan={mode: auto, step: 2, reach_mm: 4}",
    "trainer.workers=0",
]
SHAPE = (30, 36, 26)
SPACING = 0.5


def head(seed: int, codes: str = "RAS") -> Case:
    """A noisy volume of 0.5 mm with a thick ring across the third axis and a ball, in the axes of ``codes``."""
    random = np.random.default_rng(seed)
    points = {"ring": random.uniform((8, 8, 8), (13, 27, 17)), "ball": random.uniform((18, 8, 8), (22, 27, 17))}
    places = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1)
    image = random.normal(100, 12, SHAPE)
    for name, point in points.items():
        away = np.linalg.norm(places - point, axis=-1)
        around = np.linalg.norm((places - point)[..., :2], axis=-1)
        ring = (np.abs(around - 3.5) < 1.2) & (np.abs(places[..., 2] - point[2]) < 3)
        shape = ring if name == "ring" else away < 3.2
        image += 250 * shape
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = -7, 12, 40
    turn = ornt_transform(axcodes2ornt(tuple("RAS")), axcodes2ornt(tuple(codes)))
    turned = np.ascontiguousarray(apply_orientation(image, turn))
    grid = Grid(turned.shape, affine=affine @ inv_ornt_aff(turn, SHAPE))
    millimeters = {name: affine[:3, :3] @ point + affine[:3, 3] for name, point in points.items()}
    return Case(f"head{seed}", turned[None].astype(np.float32), grid, points=millimeters)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("cochlea-landmarks-published", SETTINGS)


@pytest.fixture(scope="module")
def prepared(recipe) -> list[Prepared]:
    return [prepare(head(seed), recipe)[0] for seed in range(4)]


@pytest.fixture(scope="module")
def trained(recipe, prepared, tmp_path_factory) -> Pipeline:
    torch.manual_seed(0)
    stage = build_learner(recipe.stages[0], recipe)
    train = TrainSpec(
        epochs=10, batch_size=32, learning_rate=0.01, average_weights=0.8, weight_decay=0, validate_every=9
    )
    figures = fit_stage(stage, prepared[:3], prepared[3:], train, recipe.trainer, Path(tmp_path_factory.mktemp("run")))
    assert figures["validation_accuracy"] > 0.8
    return Pipeline(recipe, [stage.applied()])


def errors_mm(result, case: Case) -> list[float]:
    return [float(np.linalg.norm(part.point_mm - case.points[part.name])) for part in result.landmarks]


def test_points_are_found_in_the_patients_millimeters_whatever_the_files_axes(trained):
    found = []
    for codes in ("RAS", "PSL"):
        case = head(11, codes)
        case.points, truth = {}, case.points
        result = trained(case, keep_probabilities=True)
        case.points = truth
        assert result.status == "found"
        assert [part.name for part in result.landmarks] == ["ring", "ball"]
        assert max(errors_mm(result, case)) < 0.75
        assert all(0.5 <= part.probability <= 1 and 0 < part.uncertainty_mm < 3 for part in result.landmarks)
        assert result.mask is None
        for part in result.landmarks:
            heat = result.landmark_maps[part.name]
            assert heat.shape == case.grid.shape
            warmest = np.unravel_index(heat.argmax(), heat.shape)
            place = case.grid.affine[:3, :3] @ warmest + case.grid.affine[:3, 3]
            assert np.linalg.norm(place - part.point_mm) < 1.5
        found.append([part.point_mm for part in result.landmarks])
        assert [entry["name"] for entry in result.summary()["landmarks"]] == ["ring", "ball"]
    assert np.allclose(found[0], found[1], atol=1e-3)


def test_exact_and_dense_scans_give_the_same_points(trained):
    case = head(12)
    dense = trained(case)
    recipe = read_recipe("cochlea-landmarks-published", [*SETTINGS, "stages.windows.scan.mode=exact"])
    learner = build_learner(recipe.stages[0], recipe)
    learner.load_bundle_state(trained.stages[0].run.learner.bundle_state())
    exact = Pipeline(recipe, [learner.applied()])(case)
    for a, b in zip(dense.landmarks, exact.landmarks, strict=True):
        assert np.linalg.norm(a.point_mm - b.point_mm) < 0.1 * SPACING
        assert a.probability == pytest.approx(b.probability, abs=1e-4)


def test_around_a_given_point_the_rest_is_not_looked_at(trained):
    case = head(13)
    case.start_mm = case.points["ball"] + (0.4, -0.4, 0.3)
    result = trained(case)
    assert np.linalg.norm(result.landmarks[1].point_mm - case.points["ball"]) < 0.75
    maps = trained(case, keep_probabilities=True).landmark_maps["ball"]
    away = np.abs(np.argwhere(maps > 0) * SPACING + case.grid.affine[:3, 3] - case.start_mm)
    assert away.max() <= 4 + SPACING


def test_what_is_not_there_is_not_found_and_the_reason_says_how_probable_it_was(trained):
    bias = trained.stages[0].run.learner.network.classes.bias
    before = bias.detach().clone()
    with torch.no_grad():
        bias[1] -= 100
    result = trained(head(11))
    with torch.no_grad():
        bias[0] -= 100
    nothing = trained(head(11), keep_probabilities=True)
    with torch.no_grad():
        bias.copy_(before)
    ring, ball = result.landmarks
    assert ring.point_mm is not None
    assert result.status == "found"
    assert ball.point_mm is None
    assert ball.uncertainty_mm is None
    assert "largest probability is 0.00, below 0.5" in ball.note
    assert any(flag.startswith("ball: not found") for flag in result.flags)
    assert (nothing.status, nothing.reason) == ("absent", "no landmark was found")
    assert not nothing.landmark_maps["ring"].round(3).any()


def test_a_volume_smaller_than_a_window_is_padded_and_says_so(trained):
    case = head(16)
    low = int(np.clip((case.points["ball"] - case.grid.affine[:3, 3])[0] / SPACING - 8, 0, 12))
    affine = case.grid.affine.copy()
    affine[0, 3] += low * SPACING
    small = Case("small", case.image[:, low : low + 18], Grid((18, 36, 26), affine=affine))
    result = trained(small)
    assert any("only 18 samples where a window has 21" in flag for flag in result.flags)
    assert np.linalg.norm(result.landmarks[1].point_mm - case.points["ball"]) < 1.0


def test_a_bundle_finds_the_same(trained, tmp_path):
    import gracile

    stage = trained.stages[0]
    folder = write_bundle(
        Bundle(recipe=trained.recipe, weights={stage.name: stage.run.learner.bundle_state()}, card={}),
        tmp_path / "bundle",
    )
    assert read_bundle(folder).recipe == trained.recipe
    case = head(12)
    again, before = gracile.load(folder, device="cpu")(case), trained(case)
    for a, b in zip(again.landmarks, before.landmarks, strict=True):
        assert np.allclose(a.point_mm, b.point_mm, atol=1e-4)


def test_planes_are_known_by_the_patients_axes(recipe):
    for codes, normals in (("LAS", [0, 1, 2]), ("PSR", [2, 0, 1])):
        changed = read_recipe(
            "cochlea-landmarks-published",
            [*SETTINGS, f"prepare.orientation={codes}", "stages.windows.planes=[sagittal, coronal, axial]"],
        )
        assert normals_of(prepare(head(0), changed)[0], changed.stages[0]) == normals


def test_losses_hold_the_published_penalty_and_teach_every_weight(recipe, prepared):
    stage = build_learner(recipe.stages[0], recipe)
    items = [stage.samples(prepared, 0)[index] for index in range(12)]
    terms = stage.losses({key: torch.stack([item[key] for item in items]) for key in items[0]})
    assert set(terms) == {"cross-entropy", "penalty"}
    sum(terms.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in stage.parameters())


def test_points_survive_preparation_and_the_training_cache(recipe, monkeypatch, tmp_path):
    case = head(3, "PSL")
    case.points["elsewhere"] = np.array([9999.0, 0, 0])  # of a name that the recipe does not ask for
    expected = prepare(case, recipe)[0]
    assert list(expected.points) == ["ring", "ball"]
    for name, voxel in expected.points.items():
        assert np.allclose(expected.affine[:3, :3] @ voxel + expected.affine[:3, 3], case.points[name])
    monkeypatch.setattr("gracile.learning.sampling.read_case", lambda files, recipe: case)
    files = CaseFiles("head3", Path("head3.nii.gz"), None, None, "head3")
    for _ in range(2):
        cached = prepared_case(files, recipe, tmp_path)
        assert list(cached.points) == ["ring", "ball"]
        assert all(np.allclose(cached.points[name], expected.points[name]) for name in expected.points)
    case.points = {}
    assert prepared_case(files, recipe, tmp_path / "other").points == {}


def test_a_point_outside_of_the_volume_is_refused_by_name(recipe):
    case = head(0)
    case.points["ball"] = case.points["ball"] * (-1, -1, 1)
    with pytest.raises(DataError, match="'ball' lies outside of the volume"):
        prepare(case, recipe)
    case = head(0)
    case.start_mm = np.array([500.0, 0.0, 0.0])
    with pytest.raises(DataError, match="point to start from lies outside"):
        prepare(case, recipe)


def test_fewer_points_than_the_recipes_are_refused_with_their_names(recipe):
    case = head(0)
    del case.points["ring"]
    with pytest.raises(DataError, match=r"1 of the recipe's 2 landmarks: ring missing"):
        prepare(case, recipe)


def test_cases_without_points_teach_nothing(recipe):
    case = head(0)
    case.points = {}
    stage = build_learner(recipe.stages[0], recipe)
    prepared = prepare(case, recipe)[0]
    assert not stage.learns_from(prepared)
    with pytest.raises(DataError, match="No case can train"):
        stage.require_lessons([prepared])
    stage.require_lessons([prepare(head(0), recipe)[0]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["landmarks=[{name: apex}, {name: apex}]"], "apex is there twice"),
        (["landmarks=[]"], "at least two classes"),
        (["input.kind=image"], "in volumes"),
        (["input.channels=3"], "one channel"),
        (["stages.windows.size=80"], "odd"),
        (["stages.windows.planes=[axial, axial]"], "named once"),
        (["stages.windows.planes=[]"], "planes"),
        (["stages.windows.scan={keep: 0.6}"], "at most `threshold`"),
        (["stages.windows.scan.step=3"], "step"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe("cochlea-landmarks-published", settings)


def test_a_recipe_of_windows_needs_landmarks():
    data = yaml.safe_load(read_recipe("cochlea-landmarks-published").to_yaml())
    data["landmarks"] = []
    data["classes"].append({"name": "cochlea", "color": [255, 0, 0]})
    with pytest.raises(RecipeError, match="needs landmarks"):
        recipe_from(data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["stages.windows.size=31"], "no windows of 31 samples"),
        (["stages.windows.network.name=smicnett"], "smicnet-unpadded"),
        (["stages.windows.scan.mode=dense"], "cannot share features"),
        (["stages.windows.network.initial=weights.pt"], "no first weights"),
    ],
)
def test_stages_that_cannot_be_built_are_refused(settings, message):
    def build() -> None:
        recipe = read_recipe("cochlea-landmarks-published", settings)
        build_learner(recipe.stages[0], recipe, initialize=True)

    with pytest.raises(RecipeError, match=message):
        build()
