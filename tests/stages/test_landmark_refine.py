"""Landmarks looked at closely: they move to what their patches show, and mirror images teach their opposites."""

import numpy as np
import pytest
import torch

from gracile.geometry.similarity import fit_similarity
from gracile.learning.learners import build_learner
from gracile.recipe import Recipe, read_recipe
from gracile.result import Landmark
from gracile.stages import Finding
from gracile.transforms import Prepared, prepare
from tests.stages.spots import NAMES, SETTINGS, SHAPE, SPACING, head, heat_at, read

OPPOSITES = {"a": "b", "b": "a", "c": "c", "d": "", "e": "e", "f": "f"}
BILATERAL = np.array([[5.0, 5, 5], [14, 5, 5], [9.5, 16, 7], [13, 15, 12], [9.5, 9, 13], [9.5, 12, 4]])


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("skull-landmarks", SETTINGS)


@pytest.fixture(scope="module")
def prepared(recipe) -> list[Prepared]:
    return [prepare(head(seed), recipe)[0] for seed in range(4)]


def light_is_heat(patches: torch.Tensor, only: torch.Tensor | None = None) -> torch.Tensor:
    """What a network that has learned the spots would answer."""
    brightest = patches.amax(dim=(2, 3, 4), keepdim=True)
    return (4 * patches / brightest).square().expand(-1, 6, -1, -1, -1)


def blank(patches: torch.Tensor, only: torch.Tensor | None = None) -> torch.Tensor:
    """What a network answers that sees nothing."""
    return torch.zeros(1, 6, 13, 13, 13).expand(len(patches), -1, -1, -1, -1)


def test_points_move_to_what_the_patches_show_whatever_the_axes(recipe, prepared):
    stage = build_learner(recipe.stages[1], recipe)
    stage.samples(prepared, seed=0)
    for codes in ("RAS", "LPS"):
        case = head(21, codes)
        volume, _ = prepare(case, recipe)
        stage.logits = light_is_heat
        random = np.random.default_rng(0)
        found = [Landmark(name, case.points[name] + random.normal(0, 0.3, 3), 0.9) for name in NAMES]
        before = np.array([np.linalg.norm(part.point_mm - case.points[part.name]) for part in found])
        finding = stage.applied().find(volume, Finding(landmarks=found))
        after = np.array([np.linalg.norm(part.point_mm - case.points[part.name]) for part in finding.landmarks])
        assert after.mean() < 0.5 * before.mean()
        assert finding.landmark_maps is not None
        maps = np.stack([finding.landmark_maps(number) for number in range(6)])
        assert maps.shape == (6, *SHAPE)
        np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)), 1, atol=0.1)


def test_a_landmark_that_others_placed_loses_its_note_once_its_patch_shows_it(recipe, prepared):
    stage = build_learner(recipe.stages[1], recipe)
    stage.samples(prepared, seed=0)
    case = head(22)
    found = [Landmark(name, case.points[name], 0.4, note="placed by the other landmarks") for name in NAMES]
    for logits, left in ((lambda patches, only: 20 * light_is_heat(patches), 0), (blank, 6)):
        stage.logits = logits
        after = stage.applied().find(prepare(case, recipe)[0], Finding(landmarks=list(found))).landmarks
        assert sum(bool(landmark.note) for landmark in after) == left


def test_patches_that_show_nothing_leave_the_mean_shape(recipe, prepared):
    stage = build_learner(recipe.stages[1].model_copy(update={"prior": 1.0}), recipe)
    stage.samples(prepared, seed=0)
    stage.logits = blank
    case = head(22)
    volume, _ = prepare(case, recipe)
    found = [Landmark(name, case.points[name], 0.9) for name in NAMES]
    after = stage.applied().find(volume, Finding(landmarks=found)).landmarks
    middle = np.mean([case.points[name] for name in NAMES], axis=0)
    shape = fit_similarity(stage.configuration.mean, np.array([case.points[name] for name in NAMES]) - middle)
    placed = shape.apply(stage.configuration.mean) + middle
    np.testing.assert_allclose([part.point_mm for part in after], placed, atol=0.35)


def test_without_a_landmark_there_is_nothing_to_refine(recipe, prepared):
    stage = build_learner(recipe.stages[1], recipe)
    none = [Landmark(name, None, 0.1) for name in NAMES]
    finding = stage.applied().find(prepared[0], Finding(landmarks=none))
    assert finding.landmarks == none
    assert "had too few landmarks to look at" in finding.flags[0]


def test_two_landmarks_do_not_tell_a_pose_and_are_left_where_they_were(recipe, prepared):
    stage = build_learner(recipe.stages[1], recipe)
    stage.samples(prepared, seed=0)
    case = head(23)
    found = [Landmark(name, case.points[name] if name in "ab" else None, 0.9) for name in NAMES]
    finding = stage.applied().find(prepare(case, recipe)[0], Finding(landmarks=found))
    assert finding.landmarks == found
    assert "had too few landmarks" in finding.flags[0]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("cases", [1, 3])
def test_one_or_two_landmarks_are_found_without_a_shape(count, cases):
    names = NAMES[:count]
    recipe = read_recipe("skull-landmarks", [*SETTINGS, f"landmarks=[{', '.join(f'{{name: {n}}}' for n in names)}]"])
    prepared = [prepare(head(seed), recipe)[0] for seed in range(cases)]
    locate, refine = (build_learner(spec, recipe) for spec in recipe.stages)
    locate.samples(prepared, seed=0)
    refine.samples(prepared, seed=0)
    far = heat_at(np.array([[3.0, 15, 3], [16, 3, 14]])[:count])  # where no training case has them
    found = read(locate.applied(), far)
    np.testing.assert_allclose([part.point_mm for part in found], [[3.0, 15, 3], [16, 3, 14]][:count], atol=0.3)
    refine.logits = light_is_heat
    case = head(24)
    near = [Landmark(name, case.points[name] + 0.3, 0.9) for name in names]
    after = refine.applied().find(prepare(case, recipe)[0], Finding(landmarks=near)).landmarks
    errors = np.array([np.linalg.norm(part.point_mm - case.points[part.name]) for part in after])
    assert (errors < 0.25).all()


@pytest.fixture(scope="module")
def bilateral() -> Recipe:
    named = ", ".join(f"{{name: {name}, opposite: '{one}'}}" for name, one in OPPOSITES.items())
    flips = ["stages.locate.augment.flip=true", "stages.refine.augment.flip=true"]
    return read_recipe("skull-landmarks", [*SETTINGS, f"landmarks=[{named}]", *flips])


def test_mirror_images_teach_the_opposite_landmark(bilateral):
    recipe = bilateral
    case = prepare(head(3), recipe)[0]
    stage = build_learner(recipe.stages[1], recipe)
    plain, mirrored = stage.learned_from([case])
    light = {name: point @ [1, 0, 0] for name, point in zip(NAMES, plain.points_mm, strict=True)}
    assert np.isnan(mirrored.points_mm[NAMES.index("d")]).all()
    for number, name in enumerate(NAMES):
        if name != "d":
            place = mirrored.points_mm[number]
            assert place[0] == pytest.approx((SHAPE[0] - 1) * SPACING - light[OPPOSITES[name]])
            x, y, z = np.round(place / SPACING).astype(int)
            whole = np.asarray(plain.sampled.image)[0]
            window = mirrored.sampled.window((slice(x, x + 1), slice(y, y + 1), slice(z, z + 1)))
            assert window.item() == whole[SHAPE[0] - 1 - x, y, z] > whole.mean()
    samples = stage.samples([case], seed=0)
    numbers = [int(samples[index]["number"]) for index in range(1, 200, 2)]  # those of the mirror image
    assert set(numbers) == {0, 1, 2, 4, 5}
    locate = build_learner(recipe.stages[0], recipe)
    batch = torch.utils.data.default_collate([locate.samples([case], seed=0)[1]])
    assert batch["places"].isnan().any()
    assert locate.losses(batch)["heat"].isfinite()


def test_a_lean_to_one_side_cancels_with_the_mirror_image_s(bilateral):
    stage = build_learner(bilateral.stages[1], bilateral)
    stage.samples([prepare(head(seed, base=BILATERAL), bilateral)[0] for seed in range(4)], seed=0)
    stage.logits = lambda patches, only: light_is_heat(patches).roll(1, dims=2)  # half a mm along the first axis
    case = head(25, base=BILATERAL)
    found = [Landmark(name, case.points[name], 0.9) for name in NAMES]
    finding = stage.applied().find(prepare(case, bilateral)[0], Finding(landmarks=found))
    lean = {part.name: (part.point_mm - case.points[part.name])[0] for part in finding.landmarks}
    assert lean.pop("d") > 0.4  # has no opposite
    assert max(abs(off) for off in lean.values()) < 0.12
    axes = np.stack(np.meshgrid(*[np.arange(n) * SPACING for n in SHAPE], indexing="ij"), axis=-1)
    for number, part in enumerate(finding.landmarks):
        heat = finding.landmark_maps(number)
        middle = (heat[..., None] * axes).sum(axis=(0, 1, 2)) / heat.sum()
        np.testing.assert_allclose(middle + case.grid.affine[:3, 3], part.point_mm, atol=0.1)
