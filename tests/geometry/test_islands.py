"""A point is read from the largest island of a probability map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.geometry.islands import largest_island

SPACING = np.array([0.5, 0.5, 2.0])


def blob(shape, center, width, height=0.9):
    axes = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    squares = sum(((axis - c) * s / width) ** 2 for axis, c, s in zip(axes, center, SPACING, strict=True))
    return height * np.exp(-squares / 2)


@given(st.tuples(st.floats(12, 17), st.floats(12, 17), st.floats(8, 11)))
def test_the_center_of_a_blob_is_found_between_voxels(center):
    island = largest_island(blob((30, 30, 20), center, 2.0), 0.2, SPACING)
    assert island is not None
    # Cut at a threshold, a blob has no voxels half: its center is off by less than a tenth of a voxel.
    assert np.abs(island.center - center).max() < 0.1


def test_the_spread_is_the_root_mean_square_distance_in_millimeters():
    probability = np.zeros((9, 9, 9))
    probability[2:7, 4, 4] = 1.0
    island = largest_island(probability, 0.5, SPACING)
    assert island is not None
    assert island.center.tolist() == [4, 4, 4]
    assert island.spread_mm == pytest.approx(0.5 * np.sqrt(2))
    assert (island.voxels, island.share, island.probability) == (5, 1.0, 1.0)


def test_the_island_of_most_voxels_wins_and_its_share_is_told():
    shape = (30, 30, 20)
    probability = np.maximum(blob(shape, (7, 7, 6), 1.5, 0.7), blob(shape, (22, 22, 13), 1.0, 1.0))
    island = largest_island(probability, 0.5, SPACING)
    assert island is not None
    assert np.abs(island.center - (22, 22, 13)).max() < 0.1
    lower = largest_island(probability, 0.2, SPACING)
    assert lower is not None
    assert np.abs(lower.center - (7, 7, 6)).max() < 0.1
    assert 0.5 < lower.share < 1.0


def test_what_touches_at_a_corner_is_one_island():
    probability = np.zeros((4, 4, 4))
    probability[0, 0, 0] = probability[1, 1, 1] = 1.0
    island = largest_island(probability, 0.5, SPACING)
    assert island is not None
    assert island.voxels == 2


def test_a_voxel_at_the_threshold_reaches_it():
    probability = np.zeros((4, 4, 4))
    probability[1, 1, 1:3] = 0.5
    island = largest_island(probability, 0.5, SPACING)
    assert island is not None
    assert island.voxels == 2


def test_below_the_threshold_nothing_is_found():
    assert largest_island(blob((20, 20, 20), (9, 9, 9), 2.0, 0.4), 0.5, SPACING) is None
