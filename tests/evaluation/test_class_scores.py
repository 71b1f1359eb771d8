"""Scores of classes equal scikit-learn's, weighted cases equal repeated ones."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from gracile.evaluation.class_scores import Classified, class_scores, confusion_matrices, reliability
from gracile.evaluation.ranking import areas, curves


@st.composite
def classified(draw, most=4):
    count, cases = draw(st.integers(2, most)), draw(st.integers(1, 25))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    probabilities = np.round(random.dirichlet(np.ones(count), cases), 1)  # rounded, so that there are ties
    truth = random.integers(0, count, cases)
    decisions = np.where(random.random(cases) < 0.6, truth, random.integers(0, count, cases))
    return Classified([f"c{index}" for index in range(count)], False, truth, probabilities, decisions)


def presence(truth, probability, decisions=None):
    probability = np.array(probability, dtype=float)
    decided = (probability >= 0.5).astype(int) if decisions is None else np.array(decisions)
    both = np.stack([1 - probability, probability], axis=1)
    return Classified(["absent", "present"], True, np.array(truth), both, decided)


def plain(answered):
    return {name: float(v[0]) for name, v in class_scores(answered, np.ones((1, answered.truth.size))).items()}


@given(classified())
def test_decisions_are_scored_as_scikit_learn_scores_them(answered):
    scores = plain(answered)
    named = dict(zip(range(len(answered.classes)), answered.classes, strict=True))
    truth, decided = ([named[index] for index in side] for side in (answered.truth, answered.decisions))
    report = metrics.classification_report(truth, decided, output_dict=True, zero_division=0)
    for average in ("macro", "weighted"):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert scores[f"{ours}_{average}"] == pytest.approx(report[f"{average} avg"][theirs])
    for name in set(truth) & set(decided):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert scores[f"{ours}_{name}"] == pytest.approx(report[name][theirs])
    assert scores["accuracy"] == scores["f1_micro"] == pytest.approx(metrics.accuracy_score(truth, decided))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = metrics.balanced_accuracy_score(truth, decided)
    assert scores["balanced_accuracy"] == pytest.approx(balanced)
    matrix = confusion_matrices(answered, np.ones((1, answered.truth.size)))[0]
    assert (matrix == metrics.confusion_matrix(truth, decided, labels=answered.classes)).all()


@given(classified())
def test_areas_are_scikit_learns_and_undefined_on_one_side(answered):
    scores = plain(answered)
    for index, name in enumerate(answered.classes):
        positive, probability = answered.truth == index, answered.probabilities[:, index]
        if positive.all() or not positive.any():
            assert np.isnan(scores[f"auc_roc_{name}"])
            assert np.isnan(scores[f"auc_pr_{name}"])
            assert curves(positive, probability) is None
            continue
        assert scores[f"auc_roc_{name}"] == pytest.approx(metrics.roc_auc_score(positive, probability))
        assert scores[f"auc_pr_{name}"] == pytest.approx(metrics.average_precision_score(positive, probability))
        found = curves(positive, probability)
        alarms, recall, thresholds = metrics.roc_curve(positive, probability, drop_intermediate=False)
        assert found.false_alarm_rate == pytest.approx(alarms)
        assert found.recall == pytest.approx(recall)
        assert found.thresholds == pytest.approx(thresholds)
        precision, recall, _ = metrics.precision_recall_curve(positive, probability)
        assert found.precision == pytest.approx(precision[::-1])


@given(classified(), st.integers(0, 1000))
def test_a_weight_counts_as_so_many_cases(answered, seed):
    weights = np.random.default_rng(seed).integers(0, 4, answered.truth.size)
    weights[0] += 1
    again = np.repeat(np.arange(answered.truth.size), weights)
    repeated = Classified(
        answered.classes, False, answered.truth[again], answered.probabilities[again], answered.decisions[again]
    )
    weighted = {name: float(v[0]) for name, v in class_scores(answered, weights[None].astype(float)).items()}
    assert weighted == pytest.approx(plain(repeated), nan_ok=True)


@given(classified(most=2))
def test_brier_of_two_classes_is_the_usual_one(answered):
    answered = presence(answered.truth, answered.probabilities[:, 1])
    scores = plain(answered)
    assert scores["brier"] == pytest.approx(np.mean((answered.probabilities[:, 1] - answered.truth) ** 2))
    assert scores["auc_roc"] == pytest.approx(scores["auc_roc_present"], nan_ok=True)


def test_the_operating_point_by_hand():
    scores = plain(presence([1, 1, 1, 0, 0, 0, 0, 0], [0.9, 0.8, 0.3, 0.7, 0.2, 0.1, 0.1, 0.1]))
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["specificity"] == pytest.approx(4 / 5)
    assert scores["false_alarm_rate"] == pytest.approx(1 / 5)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["auc_roc"] == pytest.approx(14 / 15)


def test_calibration_error_by_hand():
    # Two bins: 0.2 with one of four true, 0.95 with one of two true.
    answered = presence([1, 0, 0, 0, 1, 0], [0.2] * 4 + [0.95] * 2)
    assert plain(answered)["calibration_error"] == pytest.approx((4 * 0.05 + 2 * 0.45) / 6)
    sizes, said, true = (values[0] for values in reliability(answered, np.ones((1, 6))))
    assert sizes.tolist() == [0, 0, 4, 0, 0, 0, 0, 0, 0, 2]
    assert (said[2], true[2], said[9], true[9]) == pytest.approx((0.2, 0.25, 0.95, 0.5))


def test_of_several_classes_the_likeliest_is_calibrated():
    answered = Classified(
        list("abc"), False, np.array([0, 1]), np.array([[0.6, 0.2, 0.2], [0.8, 0.1, 0.1]]), np.array([0, 0])
    )
    assert plain(answered)["calibration_error"] == pytest.approx((0.4 + 0.8) / 2)


def test_rounds_on_one_side_are_undefined_each_for_itself():
    roc, average = areas(np.array([True, False]), np.array([0.9, 0.1]), np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    assert roc.tolist() == pytest.approx([1, np.nan, np.nan], nan_ok=True)
    assert average.tolist() == pytest.approx([1, np.nan, np.nan], nan_ok=True)
