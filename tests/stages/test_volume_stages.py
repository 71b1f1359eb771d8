"""The centerline stage and the segment stage for volumes, on a drawn cord."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from gracile.api import load
from gracile.case import Case
from gracile.geometry import Grid
from gracile.learning.learners import build_learner
from gracile.learning.learners.centerline import LineHeat
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe, read_recipe
from gracile.transforms import Prepared, prepare
from gracile.transforms.turning import turned

SETTINGS = [
    "stages.centerline.network.options={width: 4, stride: [1, 1, 1]}",
    "stages.centerline.patch=[16, 16, 16]",
    "stages.cord.network.options={width: 4}",
    "stages.cord.size=[24, 24]",
    "stages.cord.length=12",
    "trainer.workers=0",
]


def cord_case(seed: int = 0, codes: str = "PSR", cord: bool = True) -> Case:
    """A dark tube in bright fluid that runs aslant through 30 x 44 x 40 voxels of 1 mm, in the axes of `codes`."""
    random = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.arange(n) for n in (30, 44, 40)], indexing="ij")
    start, slope = random.uniform([12, 16], [18, 22]), random.uniform(-0.15, 0.15, 2)
    away = np.hypot(x - start[0] - slope[0] * z, (y - start[1] - slope[1] * z) * 1.3)
    image = random.normal(200, 15, x.shape)
    if cord:
        image += 500 * ((away < 8) & (away >= 4.5))
    truth = ((away < 4.5) & cord).astype(np.uint8)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 20, -30, 100
    from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

    turn = ornt_transform(axcodes2ornt(tuple("LAS")), axcodes2ornt(tuple(codes)))
    image, truth = (np.ascontiguousarray(apply_orientation(part, turn)) for part in (image, truth))
    # The affine of the turned array: turned back to LAS it is the one above.
    grid = Grid(image.shape, affine=affine @ inv_ornt_aff(turn, (30, 44, 40)))
    return Case(f"cord{seed}", image[None].astype(np.float32), grid, truth=truth)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("spinal-cord", SETTINGS)


@pytest.fixture(scope="module")
def prepared(recipe) -> list[Prepared]:
    return [prepare(cord_case(seed), recipe)[0] for seed in range(3)]


@pytest.fixture(scope="module")
def trained() -> Pipeline:
    """The shipped model; read only. A tube drawn in three gray levels is a cord to it."""
    return load("spinal-cord", device="cpu").pipeline


def test_preparing_turns_the_axes_and_nothing_else(recipe):
    case = cord_case(codes="PSR")
    found, _ = prepare(case, recipe)
    assert case.image.shape == (1, 44, 40, 30)
    assert found.image.shape == (1, 30, 44, 40)
    assert found.labels is not None
    assert case.truth is not None
    assert int((found.labels[:] == 1).sum()) == int(case.truth.sum())
    assert found.spacing_mm == pytest.approx([1, 1, 1])


def test_samples_of_a_seed_are_always_the_same(recipe, prepared):
    for spec in recipe.stages:
        stage = build_learner(spec, recipe)
        first, again, other = (stage.samples(prepared, seed) for seed in (1, 1, 2))
        assert len(first) == 3 * spec.per_case
        for name in first[4]:
            assert torch.equal(first[4][name], again[4][name])
        assert not torch.equal(first[4]["image"], other[4]["image"])


def test_pieces_of_columns_hold_the_cord_near_their_middle(recipe, prepared):
    stage = build_learner(recipe.stages[1], recipe)
    samples = stage.samples(prepared, 0)
    for index in range(8):
        sample = samples[index]
        assert sample["image"].shape == (1, 24, 24, 12)
        assert sample["truth"].shape == (2, 24, 24, 12)
        assert torch.allclose(sample["truth"].sum(dim=0), torch.ones(24, 24, 12), atol=1e-5)
        assert sample["truth"][1, 8:16, 8:16, 6].mean() > 0.5


def test_without_variation_a_piece_is_what_prediction_cuts(recipe, prepared):
    kept = {"flip", "flip_axes", "shear", "shift"}
    still = {name: 0.0 for name in type(recipe.stages[1].augment).model_fields if name not in kept}
    spec = recipe.stages[1].model_copy(deep=True)
    spec.augment = spec.augment.model_copy(update={**still, "flip": False})
    spec.jitter = spec.jitter.model_copy(update={"offset_mm": 0.0, "wander_mm": 0.0})
    stage = build_learner(spec, recipe)
    piece = stage.samples(prepared[:1], 0)[0]
    whole = stage.held_back(prepared[:1])[0]
    for cut in (piece["truth"][1], whole["truth"][1]):
        # The prediction's column is shifted by whole samples: its middle is off by up to half a sample, and even
        # sizes have no sample in their middle.
        places = torch.arange(24.0)
        assert abs(float((cut.sum(dim=(1, 2)) * places).sum() / cut.sum()) - 11.5) < 1.1
        assert abs(float((cut.sum(dim=(0, 2)) * places).sum() / cut.sum()) - 11.5) < 1.1
    areas = [cut.sum(dim=(0, 1)).mean() for cut in (piece["truth"][1], whole["truth"][1])]
    assert float(areas[0] / areas[1]) == pytest.approx(1.0, abs=0.03)


def test_heat_is_one_on_the_line_and_cold_beyond_its_ends():
    line = np.array([[10.0, 12.0, 6.0], [10.0, 12.0, 20.0]])
    whole = LineHeat(line, np.array([2.0, 2.0, 2.0]), 4.0)
    heat = whole.window((slice(0, 12), slice(0, 14), slice(0, 16)))[0]
    np.testing.assert_array_equal(whole.window((slice(4, 9), slice(0, 7), slice(2, 16)))[0], heat[4:9, :7, 2:])
    assert heat[5, 6, 5] == pytest.approx(1.0)
    assert heat[7, 6, 5] == pytest.approx(np.exp(-0.5))
    assert not heat[:, :, :3].any()
    assert not heat[:, :, 11:].any()


def test_a_slice_that_the_lines_end_touches_is_warm():
    line = np.array([[10.0, 12.0, 5.0], [10.0, 12.0, 21.0]])
    heat = LineHeat(line, np.array([2.0, 2.0, 2.0]), 4.0).window((slice(0, 12), slice(0, 14), slice(0, 16)))[0]
    assert np.flatnonzero(heat[5, 6]).tolist() == list(range(2, 12))


@pytest.mark.parametrize(("extend_mm", "more"), [(0, 0), (3, 3)])
def test_a_line_goes_on_as_far_beyond_its_warm_slices_at_either_end(extend_mm, more):
    recipe = read_recipe("spinal-cord", [*SETTINGS, f"stages.centerline.extend_mm={extend_mm}"])
    stage = build_learner(recipe.stages[0], recipe).applied()
    heat = np.zeros((15, 15, 30), np.float32)
    heat[:, :, 10:20] = 0.9 * np.exp(-np.square(np.indices((15, 15)) - 7).sum(axis=0) / 8)[:, :, None]
    line = stage.line_through(heat, np.eye(4))
    assert line is not None
    heights = line.points_mm[:, 2]
    np.testing.assert_allclose(heights, np.arange(10 - more, 20 + more), atol=1e-6)


def test_a_trained_cascade_finds_line_and_cord_on_the_inputs_own_grid(trained):
    for codes in ("PSR", "RAI"):
        case = cord_case(7, codes=codes)
        result = trained(case, keep_probabilities=True)
        assert result.status == "found"
        assert result.mask is not None
        assert result.mask.shape == case.grid.shape
        assert case.truth is not None
        overlap = 2 * (result.mask & case.truth).sum() / (result.mask.sum() + case.truth.sum())
        assert overlap > 0.95
        assert result.probabilities is not None
        assert result.probabilities.shape == (2, *case.grid.shape)
        assert np.allclose(result.probabilities.sum(axis=0), 1.0, atol=1e-3)
        assert result.centerline is not None
        assert case.grid.affine is not None
        nearest = np.round(result.centerline.in_voxels(case.grid.affine)).astype(int)
        on_cord = [case.truth[tuple(np.clip(p, 0, np.array(case.grid.shape) - 1))] for p in nearest]
        assert np.mean(on_cord) > 0.95


def test_axes_of_the_file_change_nothing_in_what_is_found(trained):
    masks = []
    for codes in ("LAS", "PSR"):
        case = cord_case(8, codes=codes)
        result = trained(case)
        assert result.mask is not None
        masks.append(prepare(Case("m", result.mask[None], case.grid), trained.recipe)[0].image[0] > 0.5)
    assert np.array_equal(*masks)


def test_probabilities_are_smoothed_along_the_third_axis_in_mm(trained, monkeypatch):
    case = cord_case(8, codes="LAS")
    answers = []
    for smooth_mm in (0.0, 1.5):
        monkeypatch.setattr(trained.stages[1].spec, "smooth_mm", smooth_mm)
        answers.append(trained(case, keep_probabilities=True).probabilities[1])
    expected = gaussian_filter1d(answers[0], 1.5, axis=2, mode="nearest")
    inner = slice(8, -8)  # at its ends the column goes on as it is
    np.testing.assert_allclose(answers[1][..., inner], expected[..., inner], atol=1e-3)
    assert np.abs(answers[1] - answers[0]).max() > 0.02


def test_what_is_turned_and_turned_back_stays_where_it_was():
    volume = np.zeros((2, 21, 31, 3), np.float32)
    volume[:, 7:14, 9:17] = 1.0
    quarter = turned(volume[:, :, 5:26], 90)
    np.testing.assert_allclose(quarter, np.rot90(volume[:, :, 5:26], 1, (1, 2)), atol=1e-4)
    back = turned(turned(volume, 10), -10)
    assert np.abs(back - volume).mean() < 0.02
    middles = [(part[0].sum(axis=(0, 2)) @ np.arange(31.0)) / part[0].sum() for part in (back, volume)]
    assert abs(middles[0] - middles[1]) < 0.05


def test_where_no_slice_is_warm_the_result_is_absent_and_says_why(trained, monkeypatch):
    stage = trained.stages[0]
    monkeypatch.setattr(stage, "run", lambda images, warm=stage.run: warm(images) - 100)
    result = trained(cord_case(9))
    assert result.status == "absent"
    assert "no line of cord was found" in result.reason
    assert result.mask is not None
    assert not result.mask.any()
    assert result.centerline is None


def test_islands_and_holes_are_mended_and_flagged_where_they_are_much_of_it(recipe):
    stage = build_learner(recipe.stages[1], recipe).applied()
    mask = np.zeros((20, 20, 6), dtype=np.uint8)
    mask[4:12, 4:12] = 1
    mask[7:9, 7:9] = 0
    mask[16, 16, 2] = 1
    maps = np.zeros((2, *mask.shape))
    flags = stage.tidy(mask, maps)
    assert mask.sum() == 8 * 8 * 6
    assert flags == ["cord: holes in it were filled, more than 5% of it"]
    mask[16:, 14:] = 1
    assert stage.tidy(mask, maps) == ["cord: what lay apart from its largest island was left out, more than 5% of it"]
    assert mask.sum() == 8 * 8 * 6


def test_a_network_for_pictures_sees_slices_with_their_neighbors(prepared):
    settings = [
        *SETTINGS[:2],
        *SETTINGS[3:],
        "stages.cord.slices=3",
        "stages.cord.network={name: light-unet, options: {width: 8}}",
    ]
    recipe = read_recipe("spinal-cord", settings)
    stage = build_learner(recipe.stages[1], recipe).eval()
    volume = torch.randn(1, 1, 24, 24, 5)
    answer = stage.logits(volume)
    assert answer.shape == (1, 2, 24, 24, 5)
    changed = volume.clone()
    changed[..., 4] += 1.0
    difference = (stage.logits(changed) - answer).abs().amax(dim=(0, 1, 2, 3))
    assert (difference > 0).tolist() == [False, False, False, True, True]


def test_without_a_line_the_whole_volume_is_segmented(prepared):
    settings = [
        "stages.cord.along=''",
        "stages.cord.spacing_mm=[2, 2, 2]",
        "stages.cord.network.options={width: 4, stride: [1, 1, 1]}",
    ]
    recipe = read_recipe("spinal-cord", [*SETTINGS[:2], *SETTINGS[3:], *settings])
    recipe = recipe.model_copy(update={"stages": recipe.stages[1:]})
    stage = build_learner(recipe.stages[0], recipe)
    sample = stage.samples(prepared, 0)[0]
    assert sample["truth"].shape == (2, 24, 24, 12)
    result = Pipeline(recipe, [stage.applied()])(cord_case(3))
    assert result.mask is not None
    assert result.mask.shape == cord_case(3).grid.shape
