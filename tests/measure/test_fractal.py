import numpy as np
import pytest

from gracile.measure.fractal import box_counts, box_sizes, fractal_dimension


def test_a_square_has_dimension_two_and_a_line_one():
    sizes = (2, 4, 8, 16, 32)
    line = np.zeros((512, 512), bool)
    line[100] = True
    assert fractal_dimension(np.ones((512, 512), bool), sizes) == pytest.approx(2, abs=0.03)
    assert fractal_dimension(line, sizes) == pytest.approx(1, abs=0.03)


def test_the_sierpinski_triangle():
    rows, columns = np.mgrid[:512, :512]
    assert fractal_dimension((rows & columns) == 0, (1, 2, 4, 8, 16, 32, 64)) == pytest.approx(np.log2(3), abs=0.03)


def test_an_empty_mask_has_no_dimension():
    assert fractal_dimension(np.zeros((64, 64), bool), (2, 4)) is None


def test_boxes_follow_the_extent():
    assert box_sizes(512) == (4, 8, 16, 32, 64)
    assert box_counts(np.ones((8, 8), bool), (1, 2, 8)).tolist() == [64, 16, 1]


def test_as_many_boxes_cover_a_square_wherever_it_lies():
    for place in range(0, 33, 4):  # quarters of a box of 16
        square = np.zeros((64, 64), bool)
        square[place : place + 16, place : place + 16] = True
        assert box_counts(square, (16,)).tolist() == [1]
