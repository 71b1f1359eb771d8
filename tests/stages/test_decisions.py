"""A decided mask is mended in pictures as in volumes, class by class or all together, and no class is blanked."""

import numpy as np
import pytest

from gracile.errors import RecipeError
from gracile.recipe import DecisionSpec, read_recipe
from gracile.stages.decisions import tidy

NAMES = ["background", "nerve", "vessel"]


def drawn(dimensions: int) -> np.ndarray:
    """Two classes that touch, an island of each, and a hole; in volumes the same in two slices."""
    mask = np.zeros((12, 30), np.uint8)
    mask[2:9, 2:10] = 1
    mask[4, 4] = 0
    mask[2:9, 10:14] = 2
    mask[10, 20:22] = 1
    mask[5, 25] = 2
    return mask if dimensions == 2 else np.stack([mask, mask], axis=-1)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    ("settings", "one", "two", "hole"),
    [
        ({"largest_only": True}, True, True, False),
        ({"largest_only": ["nerve"]}, True, False, False),
        ({"largest_only": "together"}, True, True, False),
        ({"fill_holes": True}, False, False, True),
        ({"fill_holes": ["vessel"]}, False, False, False),
        ({}, False, False, False),
    ],
)
def test_islands_go_and_holes_are_filled_where_asked(dimensions, settings, one, two, hole):
    mask = drawn(dimensions)
    tidy(mask, NAMES, DecisionSpec(**settings))
    assert (mask[10, 20:22] == 0).all() == one
    assert (mask[5, 25] == 0).all() == two
    assert (mask[4, 4] == 1).all() == hole
    assert (mask[2:9, 10:14] == 2).all()


def test_a_class_apart_from_the_largest_island_of_all_stays():
    mask = np.zeros((8, 20), np.uint8)
    mask[1:6, 1:6], mask[3, 15], mask[6, 9] = 1, 2, 1
    assert tidy(mask, NAMES, DecisionSpec(largest_only="together")) == []
    assert mask[3, 15] == 2
    assert mask[6, 9] == 0


def test_much_that_is_left_out_is_flagged():
    mask = np.zeros((8, 20), np.uint8)
    mask[1:4, 1:4], mask[1:3, 8:10] = 1, 1
    (flag,) = tidy(mask, NAMES, DecisionSpec(largest_only=True))
    assert flag.startswith("nerve: what lay apart")


def test_a_class_that_the_recipe_has_not_is_refused():
    with pytest.raises(RecipeError, match="'nerv'"):
        read_recipe("structure-2d", ["stages.segment.decision.largest_only=[nerv]"])
