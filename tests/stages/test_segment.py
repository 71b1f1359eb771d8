"""A mask is decided from probabilities by the recipe's rule."""

import numpy as np
import pytest

from gracile.learning.learners import build_learner
from gracile.recipe import read_recipe
from gracile.stages.decisions import decide
from gracile.transforms import Prepared


def rule(**more):
    spec = read_recipe("structure-2d").stages[0].decision
    return spec.model_copy(update={"rule": "argmax", "smallest": 0, **more})


def shares(mask: np.ndarray) -> np.ndarray:
    """Two classes beside the background, 0.9 where the mask says so."""
    return np.where(np.arange(3)[:, None, None] == mask, 0.9, 0.05).astype(np.float32)


@pytest.mark.parametrize("smallest", [3, 4, 5])
def test_an_island_of_as_many_pixels_as_asked_for_stays_and_one_less_is_dropped(smallest):
    mask = np.zeros((9, 30), np.uint8)
    mask[1, 1 : 1 + smallest] = 1
    mask[4, 1:smallest] = 2
    mask[7, 10], mask[8, 11 : 10 + smallest] = 1, 2  # one island of two classes, joined at a corner
    found = decide(shares(mask), rule(smallest=smallest))
    expected = mask.copy()
    expected[4] = 0
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(decide(shares(mask), rule()), mask)


def test_of_foreground_first_the_threshold_counts_all_structures_together():
    probabilities = np.array([0.4, 0.35, 0.25], np.float32)[:, None, None]
    assert decide(probabilities, rule()).item() == 0
    assert decide(probabilities, rule(rule="foreground-first", threshold=0.5)).item() == 1
    assert decide(probabilities, rule(rule="foreground-first", threshold=0.7)).item() == 0
    assert decide(np.full((3, 1, 1), 0.5, np.float32), rule(rule="foreground-first", threshold=0.5)).item() == 1


@pytest.mark.parametrize("positives_only", [False, True])
def test_a_case_without_the_structure_is_learned_from_unless_only_positives_are(positives_only):
    network = "stages.segment.network={name: light-unet, options: {}}"
    recipe = read_recipe("structure-2d", [network, f"stages.segment.positives_only={str(positives_only).lower()}"])
    stage = build_learner(recipe.stages[0], recipe)
    image, inside = np.zeros((3, 4, 5), np.float32), np.ones((4, 5), bool)
    empty = np.stack([inside, ~inside]).astype(np.float32)
    assert stage.learns_from(Prepared(image, inside, None, truth=empty)) != positives_only
    assert stage.learns_from(Prepared(image, inside, None, truth=empty[::-1]))
    assert not stage.learns_from(Prepared(image, inside, None))


def test_regions_are_written_in_their_order_where_each_reaches_the_threshold():
    maps = np.array([[0.4, 0.1, 0.05, 0.2], [0.6, 0.9, 0.3, 0.49], [0.2, 0.7, 0.95, 0.1]], np.float32)[:, None]
    np.testing.assert_array_equal(decide(maps, rule(), [1, 2]), [[1, 2, 2, 0]])
    np.testing.assert_array_equal(decide(maps, rule(threshold=0.65), [1, 2]), [[0, 2, 2, 0]])
    np.testing.assert_array_equal(decide(maps, rule(), [2, 1]), [[2, 1, 1, 0]])
