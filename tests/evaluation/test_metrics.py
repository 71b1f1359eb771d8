"""Scores agree with hand-computed cases and with scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from gracile.errors import DataError
from gracile.evaluation.metrics import Counts, auc, cl_dice, confusion, counts_of, dice
from gracile.evaluation.surfaces import surface_distances


def test_scores_of_known_counts():
    scores = Counts(true_positive=6, false_positive=2, false_negative=4, true_negative=88).scores()
    assert scores == pytest.approx(
        {
            "accuracy": 0.94,
            "sensitivity": 0.6,
            "specificity": 88 / 90,
            "precision": 0.75,
            "f1": 12 / 18,
            "iou": 0.5,
        }
    )


def test_undefined_scores_are_zero():
    scores = Counts(0, 0, 0, 5).scores()
    assert scores["precision"] == scores["sensitivity"] == scores["f1"] == scores["iou"] == 0
    assert scores["accuracy"] == scores["specificity"] == 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(2, 60), classes=st.integers(2, 5))
def test_counts_agree_with_scikit_learn(seed, size, classes):
    truth, prediction = np.random.default_rng(seed).integers(0, classes, (2, size)).astype(np.uint8)
    matrix = confusion(truth, prediction, classes)
    np.testing.assert_array_equal(matrix, confusion_matrix(truth, prediction, labels=range(classes)))
    for index in range(classes):
        scores = counts_of(matrix, index).scores()
        pair = truth == index, prediction == index
        for name, reference in (
            ("f1", f1_score),
            ("precision", precision_score),
            ("sensitivity", recall_score),
            ("iou", jaccard_score),
        ):
            assert scores[name] == pytest.approx(reference(*pair, zero_division=0)), name


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(4, 200),
    levels=st.sampled_from([2, 5, 100, 10**6]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_areas_agree_with_scikit_learn_ties_included(seed, size, levels, dtype):
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < 0.3
    truth[:2] = True, False
    scores = (rng.integers(0, levels, size) / levels).astype(dtype)
    roc, precision_recall = auc(truth, scores)
    assert roc == pytest.approx(roc_auc_score(truth, scores.astype(np.float64)), abs=1e-9)
    assert precision_recall == pytest.approx(average_precision_score(truth, scores.astype(np.float64)), abs=1e-9)


def test_areas_at_the_edges():
    scores = np.array([0.1, 0.9], np.float32)
    assert auc(np.array([False, True]), scores) == (1, 1)
    assert auc(np.array([True, False]), scores) == (0, 0.5)
    assert auc(np.array([False, False]), scores) == (0, 0)
    assert auc(np.array([True, True]), scores) == (0, 1)
    with pytest.raises(DataError, match="not finite"):
        auc(np.array([True, False]), np.array([np.nan, 0.5]))


def test_dice_rules_for_empty_masks():
    empty, full = np.zeros(4, bool), np.ones(4, bool)
    half = np.array([True, True, False, False])
    assert dice(empty, empty) == 1
    assert dice(empty, full) == dice(full, empty) == 0
    assert dice(full, half) == pytest.approx(4 / 6)


def test_cldice_counts_the_centerline_not_the_width():
    truth = np.zeros((30, 60), bool)
    truth[13:18, 5:55] = True
    thin = np.zeros_like(truth)
    thin[15, 5:55] = True
    assert dice(truth, thin) < 0.4
    assert cl_dice(truth, thin) > 0.97
    half = truth.copy()
    half[:, 30:] = False
    # Every point of the half's skeleton is right; half of the true skeleton is found.
    assert cl_dice(truth, half) == pytest.approx(2 / 3, abs=0.03)
    assert cl_dice(truth, np.zeros_like(truth)) == cl_dice(np.zeros_like(truth), truth) == 0
    assert cl_dice(np.zeros_like(truth), np.zeros_like(truth)) == 1


def test_distances_of_shifted_squares():
    truth, prediction = np.zeros((2, 20, 20), bool)
    truth[5:10, 5:10] = True
    prediction[5:10, 8:13] = True
    hd95, mean = surface_distances(truth, prediction)
    assert hd95 == 3
    assert 0 < mean < 3
    assert surface_distances(truth, truth) == (0, 0)
    assert surface_distances(truth, prediction, (1.0, 0.5))[0] == pytest.approx(1.5)
    assert surface_distances(truth, np.zeros_like(truth)) is None
    assert surface_distances(np.zeros_like(truth), truth) is None


def test_mean_distance_is_over_both_surfaces_and_hd95_is_the_larger_percentile():
    truth, prediction = np.zeros((2, 1, 12), bool)
    truth[0, 0] = prediction[0, 0] = prediction[0, 10] = True
    hd95, mean = surface_distances(truth, prediction)
    assert mean == pytest.approx(10 / 3)
    assert hd95 == pytest.approx(np.percentile([0, 10], 95))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_distances_agree_with_every_pair_of_points(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.random((2, 9, 11)) < 0.5
    if not (truth.any() and prediction.any()):
        return
    spacing = np.array([0.7, 1.3])

    def surface(mask):
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        return np.argwhere(mask & ~inner) * spacing

    between = np.linalg.norm(surface(truth)[:, None] - surface(prediction)[None], axis=-1)
    back, out = between.min(axis=1), between.min(axis=0)
    hd95, mean = surface_distances(truth, prediction, tuple(spacing))
    assert hd95 == pytest.approx(max(np.percentile(out, 95), np.percentile(back, 95)))
    assert mean == pytest.approx(np.concatenate([out, back]).mean())


def test_cldice_counts_a_line_that_is_not_there_as_much_as_one_that_was_missed():
    one, both = np.zeros((30, 60), bool), np.zeros((30, 60), bool)
    one[8, 5:55] = both[8, 5:55] = both[20, 5:55] = True
    assert cl_dice(both, one) == pytest.approx(2 / 3)  # all that was found is right, half is found
    assert cl_dice(one, both) == pytest.approx(2 / 3)  # all is found, half of it is right
