"""Pieces, loops and swaps of trees, on drawn ones whose numbers are known."""

import numpy as np
import pytest

from gracile.evaluation.topology import betti_errors, betti_numbers, wrong_tree


def test_pieces_and_loops_are_counted_by_eight_and_four_neighbors():
    mask = np.zeros((40, 40), bool)
    mask[5:20, 5:20] = True
    mask[8:14, 8:14] = False
    mask[20:30, 20:30] = True  # touches at a corner: one piece
    assert betti_numbers(mask) == (1, 1)
    mask[35:39, 2:6] = True
    assert betti_numbers(mask) == (2, 1)
    assert betti_numbers(~mask[:1]) == (1, 0)


def test_specks_and_pinholes_count_for_nothing():
    mask = np.zeros((40, 40), bool)
    mask[5:20, 5:20] = True
    clean = betti_numbers(mask)
    mask[10, 10], mask[30, 30:35] = False, True
    assert betti_numbers(mask) == clean == (1, 0)


def test_errors_are_differences_in_either_direction():
    one, three = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    one[5:10, 5:35] = True
    three[5:10, 5:13] = three[5:10, 15:23] = three[5:10, 25:35] = True
    assert betti_errors(one, three) == betti_errors(three, one) == (2, 0)
    assert betti_errors(one, np.zeros_like(one)) == (1, 0)


def test_a_third_of_an_artery_that_is_called_vein():
    truth = np.zeros((60, 110), np.uint8)
    truth[10:13, 10:100] = 1
    truth[40:43, 10:100] = 2
    found = truth.copy()
    found[10:13, 70:100] = 2
    length, swaps = wrong_tree(truth, found, (1, 2))
    assert length == pytest.approx(1 / 6, abs=0.01)
    assert swaps == 0
    found[10:13, 40:100] = 2
    assert wrong_tree(truth, found, (1, 2))[1] == 50


def test_only_what_was_found_counts():
    truth = np.zeros((60, 110), np.uint8)
    truth[10:13, 10:100] = 1
    found = truth.copy()
    found[:, 50:] = 0
    assert wrong_tree(truth, found, (1, 2)) == (0, 0)
    assert wrong_tree(truth, np.zeros_like(truth), (1, 2)) == (None, None)
