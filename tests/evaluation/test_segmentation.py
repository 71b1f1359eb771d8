"""Overlap and distance per structure, with missed structures and false alarms in plain sight."""

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.evaluation.segmentation import score_case

NAMES = ("background", "nerve", "vessel")


def squares(*corners):
    mask = np.zeros((20, 20), np.uint8)
    for label, (row, column) in enumerate(corners, start=1):
        mask[row : row + 4, column : column + 4] = label
    return mask


def test_hand_computed_case():
    scored = score_case(squares((2, 2), (10, 10)), squares((2, 4), (10, 10)), NAMES, spacing_mm=(0.5, 0.5))
    nerve, vessel = scored.classes
    assert (nerve["dice"], nerve["iou"], nerve["sensitivity"], nerve["precision"]) == pytest.approx(
        (0.5, 1 / 3, 0.5, 0.5)
    )
    assert nerve["pixels"] == 16
    assert nerve["hd95_mm"] == 1
    assert vessel["dice"] == 1
    assert vessel["hd95_mm"] == vessel["mean_surface_distance_mm"] == 0
    assert scored.scores["dice"] == pytest.approx(0.75)
    assert scored.scores["dice_nerve"] == pytest.approx(0.5)
    assert scored.scores["hd95_mm"] == 0.5


def test_missing_a_structure_does_not_improve_the_distance_unseen():
    scored = score_case(squares((2, 2), (10, 10)), squares((2, 2)), NAMES)
    assert scored.classes[1]["hd95_px"] is None
    assert scored.classes[1]["precision"] is None
    assert scored.scores["hd95_px"] == 0
    assert (scored.scores["missed"], scored.scores["false_alarms"]) == (1, 0)
    assert scored.scores["dice"] == 0.5


def test_false_alarm_counts_zero_and_both_empty_one():
    alarm = score_case(squares(), squares((2, 2)), NAMES)
    assert [row["dice"] for row in alarm.classes] == [0, 1]
    assert (alarm.scores["missed"], alarm.scores["false_alarms"]) == (0, 1)
    empty = score_case(squares(), squares(), NAMES, absent="count")
    assert empty.scores["dice"] == empty.scores["iou"] == 1
    assert empty.scores["sensitivity"] is None
    assert empty.scores["hd95_px"] is None
    assert empty.scores["missed"] == empty.scores["false_alarms"] == 0


def test_a_class_on_neither_side_is_left_out_of_means_unless_it_shall_count():
    truth, found = squares((2, 2)), squares((2, 4))
    left_out, counted = (score_case(truth, found, NAMES, absent=absent).scores for absent in ("leave-out", "count"))
    assert (left_out["dice"], left_out["dice_vessel"], left_out["absent"]) == (0.5, None, 1)
    assert (counted["dice"], counted["dice_vessel"], counted["absent"]) == (0.75, 1, 1)
    assert score_case(squares(), squares(), NAMES).scores["dice"] is None


def test_a_structure_on_one_side_has_no_distance_and_nothing_within_any_tolerance():
    for truth, found in ((squares((2, 2)), squares()), (squares(), squares((2, 2)))):
        (row,) = score_case(truth, found, NAMES[:2], tolerance=100).classes
        assert row["normalized_surface_distance"] == 0
        assert row["hd95_px"] is row["mean_surface_distance_px"] is None


def test_errors_of_size_have_a_sign_and_the_unit_of_the_input():
    truth, found = np.zeros((2, 10, 10, 10), np.uint8)
    truth[2:6, 2:7, 2:7] = found[2:5, 2:7, 2:7] = 1
    volume = score_case(truth, found, NAMES[:2], spacing_mm=(1, 2, 5)).classes[0]
    assert (volume["volume_error_ml"], volume["volume_error_percent"]) == pytest.approx((-0.25, -25))
    picture = score_case(truth[3], found[3] * 0, NAMES[:2]).classes[0]
    assert (picture["area_error_px"], picture["area_error_percent"]) == (-25, -100)
    alarm = score_case(truth[3] * 0, found[3], NAMES[:2], spacing_mm=(0.5, 0.5)).classes[0]
    assert (alarm["area_error_mm2"], alarm["area_error_percent"]) == (6.25, None)


def test_region_limits_what_counts():
    region = np.zeros((20, 20), bool)
    region[:8] = True
    scored = score_case(squares((2, 2), (10, 10)), squares((2, 2)), NAMES, region=region)
    assert scored.scores["dice"] == 1
    assert scored.scores["missed"] == 0


def test_volumes_are_scored_alike():
    truth, found = np.zeros((2, 8, 9, 10), np.uint8)
    truth[2:5, 2:5, 2:5] = found[2:5, 2:5, 3:6] = 1
    scored = score_case(truth, found, NAMES[:2], spacing_mm=(1, 1, 2.5))
    assert scored.scores["dice"] == pytest.approx(2 / 3)
    assert scored.scores["hd95_mm"] == 2.5
    assert scored.classes[0]["voxels"] == 27


def test_background_alone_is_refused():
    with pytest.raises(DataError, match="no class"):
        score_case(squares(), squares(), NAMES[:1])
