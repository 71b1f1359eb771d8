"""The path is the best one there is, never jumps, and ends where the structure ends."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.errors import GeometryError
from gracile.geometry import best_path
from gracile.geometry.path_search import step_penalties

SPACING = (1.0, 0.8, 1.1)


def worth(scores, path, first, *, stiffness, largest, threshold):
    """What a path of whole places is worth; minus infinity when it may not go there."""
    total = 0.0
    for index, place in enumerate(path):
        total += scores[first + index][place] - threshold
        if index:
            for axis in (0, 1):
                slope = SPACING[1 + axis] / SPACING[0]
                most = max(1, int(largest / slope + 1e-9))
                step = abs(place[axis] - path[index - 1][axis])
                total -= step_penalties(most, slope, stiffness)[step] if step <= most else np.inf
    return total


def best_by_trying(scores, threshold, **rules):
    places = list(product(range(scores.shape[1]), range(scores.shape[2])))
    spans = [(0, len(scores))]
    if threshold is not None:
        spans = [(a, b) for a in range(len(scores)) for b in range(a + 1, len(scores) + 1)]
    return max(
        worth(scores, path, first, threshold=threshold or 0.0, **rules)
        for first, last in spans
        for path in product(places, repeat=last - first)
    )


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(3, 2, 3), (3, 3, 2), (4, 1, 4), (4, 4, 1), (4, 2, 2), (1, 3, 3)]),
    st.floats(0, 1.5),
    st.floats(0.3, 3.0),
    st.sampled_from([None, 0.3, 0.6, 1.2]),
)
def test_no_other_path_is_worth_more(seed, shape, stiffness, largest, threshold):
    scores = np.random.default_rng(seed).random(shape)
    rules = {"stiffness": stiffness, "largest": largest}
    found = best_path(
        scores, spacing_mm=SPACING, stiffness=stiffness, largest_slope=largest, threshold=threshold, window_mm=0
    )
    best = best_by_trying(scores, threshold, **rules)
    inside = np.flatnonzero(found.inside)
    if not len(inside):
        assert best <= 1e-5
        return
    assert np.array_equal(inside, np.arange(inside[0], inside[-1] + 1))
    path = [tuple(place) for place in found.places[inside].astype(int)]
    assert worth(scores, path, inside[0], threshold=threshold or 0.0, **rules) == pytest.approx(best, abs=1e-4)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 3.0), st.floats(0, 6.0), st.sampled_from([None, 0.4]))
def test_the_line_never_jumps_even_in_noise(seed, largest, window, threshold):
    random = np.random.default_rng(seed)
    scores = random.random((12, 9, 11)) ** 3
    found = best_path(
        scores, spacing_mm=SPACING, stiffness=0.05, largest_slope=largest, threshold=threshold, window_mm=window
    )
    limit = np.maximum(1, largest * SPACING[0] / np.array(SPACING[1:]))
    assert (np.abs(np.diff(found.places, axis=0)) <= limit + 1e-9).all()
    assert (found.places >= 0).all()
    assert (found.places <= [8, 10]).all()


def hill(rows, columns, row, column, height, width=2.0):
    return height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))


@pytest.fixture
def course():
    """A weak true path through noise, and its places: 120 slices of 40 x 50 at 1 x 2 x 2 mm."""
    random = np.random.default_rng(3)
    at = np.arange(120)
    places = np.stack([20 + 8 * np.sin(at / 40), 25 + 5 * np.cos(at / 30)], axis=1)
    rows, columns = np.mgrid[:40, :50]
    scores = np.stack([hill(rows, columns, *place, 0.5) for place in places])
    return scores + 0.1 * random.random(scores.shape), places


def test_spikes_stronger_than_the_path_are_not_followed(course):
    scores, places = course
    random = np.random.default_rng(4)
    for index in random.choice(len(scores), 40, replace=False):
        scores[index, random.integers(40), random.integers(50)] = 1.0
    rows, columns = np.mgrid[:40, :50]
    for index in range(50, 54):  # one that lasts for four slices
        scores[index] = np.maximum(scores[index], hill(rows, columns, 5, 45, 1.0))
    found = best_path(scores, spacing_mm=(1, 2, 2))
    assert np.abs(found.places - places).max() < 0.5


def test_places_lie_between_samples(course):
    scores, places = course
    error = np.abs(best_path(scores, spacing_mm=(1, 2, 2)).places - places)
    on_samples = np.abs(best_path(scores, spacing_mm=(1, 2, 2), window_mm=0).places - places)
    assert error.mean() < 0.1
    assert error.mean() < on_samples.mean() / 2


def test_a_broad_plateau_is_followed_along_its_middle():
    scores = np.zeros((30, 20, 24))
    scores[:, 6:13, 10:17] = 0.9
    found = best_path(scores, spacing_mm=(1, 1, 1))
    assert np.allclose(found.places, [9, 13], atol=0.05)


def test_a_structure_that_ends_inside_the_volume_is_followed_to_its_end(course):
    scores, places = course
    random = np.random.default_rng(5)
    for gone in (slice(0, 30), slice(100, None), slice(60, 64)):  # below, above, and a short gap
        scores[gone] = 0.1 * random.random(scores[gone].shape)
    found = best_path(scores, spacing_mm=(1, 2, 2), threshold=0.25)
    inside = np.flatnonzero(found.inside)
    assert abs(inside[0] - 30) <= 1
    assert abs(inside[-1] - 99) <= 1
    there = np.setdiff1d(inside, np.arange(60, 64))
    assert np.abs(found.places - places)[there].max() < 0.5
    assert np.abs(found.places - places)[inside].max() < 1.5
    assert np.array_equal(found.places[0], found.places[inside[0]])
    assert np.array_equal(found.places[-1], found.places[inside[-1]])
    assert found.probabilities[35:55].min() > 0.4
    assert found.probabilities[:25].max() < 0.2


def test_where_nothing_is_no_slice_is_inside():
    found = best_path(np.full((5, 4, 4), 0.1), spacing_mm=(1, 1, 1), threshold=0.5)
    assert not found.inside.any()
    assert found.places.shape == (5, 2)


@pytest.mark.parametrize(
    ("scores", "settings"),
    [
        (np.full((3, 3, 3), np.nan), {}),
        (np.zeros((3, 3)), {}),
        (np.zeros((0, 3, 3)), {}),
        (np.zeros((3, 3, 3)), {"largest_slope": 0}),
        (np.zeros((3, 3, 3)), {"stiffness": -1}),
    ],
)
def test_what_makes_no_sense_is_refused(scores, settings):
    with pytest.raises(GeometryError):
        best_path(scores, spacing_mm=(1, 1, 1), **settings)
