"""Figures of predicted qualities, by hand and against scipy, and the same whatever way a case counts twice."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from gracile.evaluation.trust import aurc, normalized_aurc
from gracile.evaluation.trust_scores import Judged, trust_scores

NAN = np.nan


def judged(truths, predicted, *, errors=False, low=None, high=None, band=None, unlike=None, failures=None, shares=None):
    count = len(truths)
    nothing = [NAN] * count
    return Judged(
        np.array(truths, float), errors, np.array(predicted, float), np.array(low or nothing, float),
        np.array(high or nothing, float), np.array(band or nothing, float), np.array(unlike or nothing, float),
        np.array(failures if failures is not None else [False] * count), np.array(shares or [1.0] * count),
    )  # fmt: skip


def once(cases: Judged) -> dict[str, float]:
    return {name: float(value[0]) for name, value in trust_scores(cases, np.ones((1, len(cases.truths)))).items()}


def drawn(seed: int = 0, count: int = 40):
    """Scores and predictions with many ties."""
    random = np.random.default_rng(seed)
    truths = random.integers(0, 12, count) / 12
    return truths, np.round(0.5 * truths + 0.5 * random.random(count), 1)


def test_figures_of_four_cases_by_hand():
    cases = judged(
        [0.9, 0.8, 0.6, 0.2], [0.85, 0.9, 0.6, 0.5], low=[0.8, 0.85, 0.5, 0.3], high=[0.95, 0.95, 0.7, 0.7],
        band=[1, 1, NAN, 0], unlike=[0.1, 2.0, 0.3, 1.5], failures=[False, False, False, True],
    )  # fmt: skip
    figures = once(cases)
    # ranked: risks 0.2, 0.1, 0.4, 0.8
    assert figures["aurc"] == pytest.approx((0.2 + 0.15 + 0.7 / 3 + 1.5 / 4) / 4)
    assert figures["aurc_best"] == pytest.approx((0.1 + 0.15 + 0.7 / 3 + 1.5 / 4) / 4)
    assert figures["aurc_random"] == pytest.approx(1.5 / 4)
    assert figures["spearman"] == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert figures["mean_absolute_error"] == pytest.approx((0.05 + 0.1 + 0 + 0.3) / 4)
    assert figures["mean_difference"] == pytest.approx((-0.05 + 0.1 + 0 + 0.3) / 4)
    assert figures["interval_coverage"] == pytest.approx(0.5)
    assert figures["interval_width"] == pytest.approx((0.15 + 0.1 + 0.2 + 0.4) / 4)
    assert figures["band_coverage"] == pytest.approx(2 / 3)
    assert figures["failures_seen"] == pytest.approx(0.4)  # of four cases a tenth is 0.4 of the most doubtful
    assert figures["failures_seen_at_best"] == pytest.approx(0.4)
    assert figures["auroc_of_failures"] == pytest.approx(1)
    assert figures["auroc_of_failures_unlike"] == pytest.approx(2 / 3)


def test_of_errors_in_mm_less_is_better():
    figures = once(judged([1.0, 2.0, 5.0], [1.5, 1.9, 4.0], errors=True, failures=[False, False, True]))
    assert figures["normalized_aurc"] == pytest.approx(0)
    assert figures["spearman"] == pytest.approx(1)
    assert figures["aurc_random"] == pytest.approx(8 / 3)
    assert figures["mean_absolute_error"] == pytest.approx((0.5 + 0.1 + 1) / 3)


def test_areas_are_those_of_the_functions_for_everyone():
    truths, predicted = drawn()
    figures = once(judged(truths, predicted))
    assert figures["aurc"] == pytest.approx(aurc(1 - truths, predicted))
    assert figures["normalized_aurc"] == pytest.approx(normalized_aurc(1 - truths, predicted))
    assert figures["spearman"] == pytest.approx(spearmanr(truths, predicted).statistic)


def test_a_case_drawn_twice_is_two_cases():
    truths, predicted = drawn()
    counts = np.random.default_rng(1).integers(0, 4, (5, len(truths)))
    failures = truths < 0.2
    rounds = trust_scores(judged(truths, predicted, failures=failures), counts.astype(float))
    for number, count in enumerate(counts):
        same = once(judged(*(np.repeat(v, count) for v in (truths, predicted)), failures=np.repeat(failures, count)))
        assert {name: values[number] for name, values in rounds.items()} == pytest.approx(same, nan_ok=True)


def test_a_subject_with_many_equal_cases_counts_as_one():
    few = once(judged([0.9, 0.5, 0.1], [0.8, 0.6, 0.7], failures=[False, False, True]))
    many = judged(
        [0.9, 0.5, *[0.1] * 10], [0.8, 0.6, *[0.7] * 10], failures=[False, False, *[True] * 10],
        shares=[1, 1, *[0.1] * 10],
    )  # fmt: skip
    same = once(many)
    for name in ("aurc_random", "mean_absolute_error", "failures_seen", "spearman", "auroc_of_failures"):
        assert same[name] == pytest.approx(few[name], nan_ok=True)
    assert same["aurc"] == pytest.approx(aurc(many.risks, many.predicted, weights=many.shares))


def test_equal_scores_leave_the_order_undefined():
    figures = once(judged([0.7, 0.7, 0.7], [0.6, 0.7, 0.8]))
    assert np.isnan(figures["normalized_aurc"])
    assert np.isnan(figures["spearman"])
    assert figures["aurc"] == pytest.approx(0.3)
    assert np.isnan(figures["failures_seen"])


def test_what_was_not_predicted_is_most_doubtful_and_has_no_error():
    cases = judged([0.9, 0.1, 0.5], [0.8, NAN, 0.4], failures=[False, True, False])
    figures = once(cases)
    assert figures["normalized_aurc"] == pytest.approx(0)
    assert figures["mean_absolute_error"] == pytest.approx(0.1)
    assert figures["auroc_of_failures"] == 1


def test_failures_among_equal_doubts_are_seen_in_part():
    # ten cases, one looked at; two of equal doubt lead, one of them a failure
    predicted = [0.1, 0.1, *np.linspace(0.5, 0.9, 8)]
    failures = [True, False, *[False] * 7, True]
    figures = once(judged(np.linspace(0, 0.9, 10), predicted, failures=failures))
    assert figures["failures_seen"] == pytest.approx(0.25)
    assert figures["failures_seen_at_best"] == pytest.approx(0.5)
