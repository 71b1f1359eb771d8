"""Similarities are recovered, with outliers too, and shapes are averaged whatever their pose."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gracile.geometry.similarity import Similarity, fit_robustly, fit_similarity, mean_shape

RANDOM = np.random.default_rng(5)
POINTS = RANDOM.normal(size=(12, 3)) * 10


def a_similarity(seed: int = 0) -> Similarity:
    random = np.random.default_rng(seed)
    return Similarity(random.uniform(0.8, 1.2), Rotation.random(random_state=seed).as_matrix(), random.normal(size=3))


def same(one: Similarity, other: Similarity) -> bool:
    return np.allclose(one.apply(POINTS), other.apply(POINTS), atol=1e-6)


@pytest.mark.parametrize("count", [3, 4, 12])
def test_a_similarity_is_recovered_and_undone(count):
    true = a_similarity()
    fit = fit_similarity(POINTS[:count], true.apply(POINTS[:count]))
    assert same(fit, true)
    np.testing.assert_allclose(fit.undo(fit.apply(POINTS)), POINTS, atol=1e-9)
    assert np.linalg.det(fit.rotation) == pytest.approx(1)


def test_a_mirrored_shape_is_turned_and_never_mirrored():
    fit = fit_similarity(POINTS, POINTS * [-1, 1, 1])
    assert np.linalg.det(fit.rotation) == pytest.approx(1)


@pytest.mark.parametrize("points", [POINTS[:1], POINTS[:2], np.outer([1.0, 2.0, 5.0], [1, 2, 3])])
def test_points_that_tell_no_rotation_are_shifted(points):
    moved = points + np.array([1.0, 2, 3])
    fit = fit_similarity(points, moved)
    np.testing.assert_allclose(fit.apply(points), moved)
    np.testing.assert_allclose(fit.rotation, np.eye(3))


def test_weights_count():
    target = POINTS.copy()
    target[0] += 100
    weights = np.ones(len(POINTS))
    weights[0] = 0
    assert same(fit_similarity(POINTS, target, weights), Similarity(1.0, np.eye(3), np.zeros(3)))


def test_five_of_twelve_may_lie_anywhere():
    true = a_similarity(1)
    target = true.apply(POINTS)
    target[:5] += RANDOM.normal(size=(5, 3)) * 30
    fit, inside = fit_robustly(POINTS, target, np.ones(12), 0.5)
    assert same(fit, true)
    assert inside.tolist() == [False] * 5 + [True] * 7
    plain = fit_similarity(POINTS, target)
    assert not same(plain, true)


@pytest.mark.parametrize("seed", range(8))
def test_the_points_that_follow_a_fit_are_those_that_it_was_fitted_to(seed):
    random = np.random.default_rng(seed)
    source = random.normal(size=(30, 3)) * 10
    target = a_similarity(seed).apply(source) + random.normal(size=(30, 3)) * random.uniform(0.1, 1.5, (30, 1))
    fit, inside = fit_robustly(source, target, np.ones(30), 1.5)
    assert 3 <= inside.sum() < 30
    np.testing.assert_array_equal(inside, np.linalg.norm(fit.apply(source) - target, axis=1) <= 1.5)
    assert same(fit, fit_similarity(source[inside], target[inside]))


def test_a_mean_shape_forgets_the_poses_and_keeps_the_mean_size():
    shapes = [a_similarity(seed).apply(POINTS) for seed in range(4)]
    mean, moved = mean_shape(shapes)
    np.testing.assert_allclose(moved, np.broadcast_to(mean, moved.shape), atol=1e-6)
    sizes = [np.linalg.norm(shape - shape.mean(axis=0)) for shape in shapes]
    assert np.linalg.norm(mean) == pytest.approx(np.mean(sizes))
    turned = fit_similarity(mean, shapes[0]).rotation
    np.testing.assert_allclose(turned, np.eye(3), atol=1e-6)


def test_triples_on_a_line_or_in_one_place_spoil_no_robust_fit():
    line = np.arange(10.0)[:, None] * (1.0, 2.0, -1.0)
    source = np.concatenate([line, line[:3], [[5.0, -3.0, 2.0], [0.0, 4.0, 9.0], [7.0, 7.0, 7.0]]])
    pose = Similarity(1.2, np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), np.array([3.0, 4.0, 5.0]))
    target = pose.apply(source)
    target[4] += 50
    with np.errstate(all="raise"):
        found, following = fit_robustly(source, target, np.ones(16), 0.5)
    assert following.tolist() == [number != 4 for number in range(16)]
    np.testing.assert_allclose(found.apply(source), pose.apply(source), atol=1e-9)
