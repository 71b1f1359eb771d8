import numpy as np
import pytest

from gracile.evaluation.trust import aurc, normalized_aurc, risk_coverage

RISKS = [0.1, 0.4, 0.2, 0.5]


def test_four_cases_by_hand():
    # the order is 0.1, 0.4, 0.2, 0.5
    coverages, selective = risk_coverage(RISKS, [0.9, 0.8, 0.7, 0.6])
    assert coverages == pytest.approx([0.25, 0.5, 0.75, 1])
    assert selective == pytest.approx([0.1, 0.25, 0.7 / 3, 0.3])
    area = (0.1 + 0.25 + 0.7 / 3 + 0.3) / 4
    best = (0.1 + 0.15 + 0.7 / 3 + 0.3) / 4
    assert aurc(RISKS, [0.9, 0.8, 0.7, 0.6]) == pytest.approx(area)
    assert normalized_aurc(RISKS, [0.9, 0.8, 0.7, 0.6]) == pytest.approx((area - best) / (0.3 - best))


def test_best_order_is_0_and_no_order_is_1():
    assert normalized_aurc(RISKS, [-r for r in RISKS]) == 0
    assert normalized_aurc(RISKS, [1, 1, 1, 1]) == pytest.approx(1)
    assert normalized_aurc(RISKS, RISKS) > 1


def test_ties_are_the_expectation_over_their_orders():
    # 0.1 first, then 0.4 and 0.2 in either order, then 0.5
    either = [aurc(RISKS, [4, 3, 2, 1]), aurc(RISKS, [4, 2, 3, 1])]
    assert aurc(RISKS, [4, 2, 2, 1]) == pytest.approx(np.mean(either))


def test_units_of_confidence_do_not_matter():
    random = np.random.default_rng(0)
    risks, confidences = random.random(50), random.random(50)
    assert aurc(risks, confidences) == pytest.approx(aurc(risks, np.exp(7 * confidences) - 100))


def test_equal_risks_leave_nothing_to_rank():
    assert normalized_aurc([0.3, 0.3, 0.3], [3, 2, 1]) is None
    assert normalized_aurc([0.3], [1]) is None
    assert aurc([0.3, 0.3], [2, 1]) == pytest.approx(0.3)


def test_undefined_risks_are_left_out_and_undefined_confidences_come_last():
    assert aurc([0.1, None, 0.2, float("nan")], [2, 9, 1, 9]) == aurc([0.1, 0.2], [2, 1])
    assert aurc(RISKS, [0.9, None, 0.7, 0.6]) == aurc(RISKS, [0.9, -1, 0.7, 0.6])


def test_no_cases_have_no_area():
    assert np.isnan(aurc([], []))
    assert normalized_aurc([], []) is None


def test_every_risk_needs_a_confidence():
    with pytest.raises(ValueError, match="3 risks and 2 confidences"):
        aurc([1, 2, 3], [1, 2])


def test_weights_make_subjects_count_once():
    # two cases of one subject and one of another: the coverage goes 1/4, 1/2, 1
    coverages, selective = risk_coverage([0.2, 0.4, 0.6], [3, 2, 1], weights=[0.5, 0.5, 1])
    assert coverages == pytest.approx([0.25, 0.5, 1])
    assert selective == pytest.approx([0.2, 0.3, 0.45])
    assert aurc([0.2, 0.4, 0.6], [3, 2, 1], weights=[0.5, 0.5, 1]) == pytest.approx((0.2 + 0.3 + 2 * 0.45) / 4)
    assert normalized_aurc([0.2, 0.4, 0.6], [3, 2, 1], weights=[0.5, 0.5, 1]) == 0
