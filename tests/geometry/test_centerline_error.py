"""The error of a line is told slice by slice, and what it missed counts."""

import numpy as np
import pytest

from gracile.errors import GeometryError
from gracile.geometry import Centerline, Grid, centerline_error

AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
GRID = Grid((20, 20, 10), AFFINE)


@pytest.fixture
def mask():
    mask = np.zeros(GRID.shape, dtype=np.uint8)
    mask[8:13, 8:13, 1:9] = 1
    return mask


def upright(x, y, low=2.0, high=16.0):
    return Centerline(np.array([[x, y, low], [x, y, (low + high) / 2], [x, y, high]]))


def test_distances_lie_within_the_slice_and_outside_is_outside(mask):
    error = centerline_error(upright(-10, 10), mask, GRID)
    assert np.array_equal(error.slices, np.arange(1, 9))
    assert np.allclose(error.distances_mm, 0)
    assert (error.share_within(), error.share_outside, error.missed) == (1, 0, 0)
    error = centerline_error(upright(-10, 13), mask, GRID)
    assert np.allclose(error.distances_mm, 3)
    assert (error.share_within(2), error.share_within(3.001), error.share_outside) == (0, 1, 1)


def test_slices_that_the_line_does_not_reach_count_as_wrong(mask):
    error = centerline_error(upright(-10, 10, 2, 8), mask, GRID)
    assert error.missed == 4
    assert error.mean_mm == pytest.approx(0)
    assert (error.share_within(), error.share_outside) == (0.5, 0.5)


def test_slices_of_a_gap_in_the_truth_do_not_count(mask):
    mask[:, :, 4:6] = 0
    error = centerline_error(upright(-10, 10), mask, GRID)
    assert np.array_equal(error.slices, [1, 2, 3, 6, 7, 8])


def test_a_line_can_be_the_truth():
    error = centerline_error(upright(-11, 10), upright(-10, 10), GRID)
    assert np.allclose(error.distances_mm, 1)
    assert error.outside is None
    assert error.share_outside is None


def test_a_line_beside_the_volume_is_outside(mask):
    assert centerline_error(upright(50, 50), mask, GRID).share_outside == 1


def test_sizes_and_grids_must_fit(mask):
    with pytest.raises(GeometryError, match="size"):
        centerline_error(upright(0, 0), mask[1:], GRID)
    with pytest.raises(GeometryError, match="patient"):
        centerline_error(upright(0, 0), mask, Grid(GRID.shape))
