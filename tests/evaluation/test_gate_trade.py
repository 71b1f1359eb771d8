"""Recall against false alarms of a gate, over people, and what the gate buys and costs."""

import numpy as np
import pytest

from gracile.evaluation import GatedFrames, gate_savings, gate_trade

PRESENCE = np.array([0.9, 0.8, 0.3, 0.7, 0.6, 0.2, 0.4, 0.1])
POSITIVE = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
SUBJECTS = np.array(["a", "a", "a", "b", "b", "b", "c", "c"])


def test_recall_is_the_mean_over_people_and_alarms_are_those_of_all_empty_frames():
    trade = gate_trade(PRESENCE, POSITIVE, SUBJECTS, 0.5)
    assert trade.chosen.recall == pytest.approx((2 / 3 + 1) / 2)
    assert trade.chosen.false_alarm_rate == 0.25
    assert (trade.people, trade.empty_frames) == (2, 4)
    low, high = trade.chosen.recall_interval
    assert low <= trade.chosen.recall <= high
    assert (low, high) == (pytest.approx(2 / 3), 1.0)  # of draws without a person who has any there is no recall


def test_the_rows_are_the_highest_thresholds_that_reach_their_recall():
    trade = gate_trade(PRESENCE, POSITIVE, SUBJECTS, 0.5)
    rows = {round(row.threshold, 3): row for row in trade.rows}
    assert set(rows) == {0.7, 0.5, 0.3}  # 0.8 and more; the gate's own; all
    assert rows[0.3].recall == 1
    assert rows[0.3].false_alarm_rate == 0.5
    assert [row.chosen for row in trade.rows] == [False, True, False]


def test_a_curve_goes_from_nothing_to_everything():
    trade = gate_trade(PRESENCE, POSITIVE, SUBJECTS, 0.5)
    assert [point.threshold for point in trade.curve] == sorted(PRESENCE, reverse=True)
    assert (trade.curve[-1].recall, trade.curve[-1].false_alarm_rate) == (1, 1)
    recalls = [point.recall for point in trade.curve]
    assert recalls == sorted(recalls)


def test_where_all_frames_show_it_there_are_no_false_alarms_to_tell():
    trade = gate_trade(PRESENCE[:4], POSITIVE[:4], SUBJECTS[:4], 0.5)
    assert trade.chosen.false_alarm_rate is None
    assert trade.texts()[1][2] == "-"


def test_one_person_says_nothing_of_the_spread():
    trade = gate_trade(PRESENCE[:3], POSITIVE[:3], SUBJECTS[:3], 0.5)
    assert trade.chosen.recall_interval is None


def frames(**changes) -> GatedFrames:
    content = {
        "subjects": SUBJECTS, "positive": POSITIVE, "is_open": PRESENCE >= 0.5, "painted": np.ones(8, bool),
        "gate_seconds": np.full(8, 0.002), "other_seconds": np.full(8, 0.010),
    }  # fmt: skip
    return GatedFrames(**content | changes)


def test_a_gate_buys_less_false_paint_and_time_and_costs_frames():
    rows = {row["score"]: row for row in gate_savings(frames(), clips=True).rows}
    false_paint = rows["false paint, s a minute"]
    assert (false_paint["gated"], false_paint["ungated"]) == (pytest.approx(7.5), pytest.approx(30))
    lost = rows["lost, s a minute"]
    assert (lost["gated"], lost["ungated"]) == (pytest.approx(7.5), 0)
    time = rows["time of a frame, ms"]
    assert (time["gated"], time["ungated"]) == (pytest.approx(7.0), pytest.approx(10))
    low, high = false_paint["interval95"]
    assert low <= false_paint["difference"] <= high <= 0


def test_what_would_not_be_painted_is_neither_bought_nor_lost():
    rows = {row["score"]: row for row in gate_savings(frames(painted=np.zeros(8, bool)), clips=False).rows}
    assert rows["false paint, of 100 frames"]["difference"] == 0
    lost = rows["lost, of 100 frames"]
    assert (lost["gated"], lost["ungated"]) == (50, 50)
