"""A band holds the true outline or not, each structure by its own."""

import numpy as np
import pytest

from gracile.evaluation.bands import share_in_band


def square(row: int, column: int, label: int = 1, size: int = 10) -> np.ndarray:
    labels = np.zeros((40, 40), np.uint8)
    labels[row : row + size, column : column + size] = label
    return labels


@pytest.mark.parametrize(("band", "share"), [(0, 18 / 36), (1, 1), (3, 1)])
def test_an_outline_moved_by_one_lies_in_a_band_of_one(band, share):
    # ten by ten has 36 samples of outline; moved by one row, those of both sides but one corner each still lie on it
    assert share_in_band(square(5, 5), square(6, 5), 2, band) == pytest.approx(share)


def test_spacing_counts_in_mm():
    truth, moved = square(5, 5), square(6, 5)
    assert share_in_band(truth, moved, 2, 1, spacing=(2.0, 2.0)) < 0.95
    assert share_in_band(truth, moved, 2, 2, spacing=(2.0, 2.0)) == 1


def test_only_true_samples_count():
    # a long false arm spoils no band: it holds the true outline all the same
    painted = square(5, 5)
    painted[9:11, 15:38] = 1
    assert share_in_band(square(5, 5), painted, 2, 2) == 1


def test_each_structure_has_its_own_outline():
    truth = square(5, 5) + square(25, 25, 2)
    swapped = square(5, 5, 2) + square(25, 25)
    assert share_in_band(truth, truth, 3, 0) == 1
    assert share_in_band(truth, swapped, 3, 5) == 0


def test_a_missed_structure_lies_in_no_band_and_a_false_one_has_no_true_outline():
    empty = np.zeros((40, 40), np.uint8)
    assert share_in_band(square(5, 5), empty, 2, 50) == 0
    assert share_in_band(empty, square(5, 5), 2, 50) is None
    assert share_in_band(square(5, 5) + square(25, 25, 2), square(5, 5), 3, 50) == 0.5
    assert share_in_band(square(5, 5), square(5, 5) + square(25, 25, 2), 3, 50) == 1
    assert share_in_band(empty, empty, 2, 50) is None


def test_what_lies_outside_the_region_is_no_outline():
    region = np.zeros((40, 40), bool)
    region[:20] = True
    truth = square(5, 5) + square(25, 25)
    assert share_in_band(truth, square(5, 5), 2, 0, region=region) == 1
