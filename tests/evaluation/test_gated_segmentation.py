"""Masks of what is often absent: empty pictures, false alarms and misses each count where they should."""

from dataclasses import dataclass

import numpy as np
import pytest

from gracile.errors import DataError, UsageError
from gracile.evaluation import evaluate, gate_value
from gracile.evaluation.gated_segmentation import score_case
from gracile.io import write_labels

NAMES = ("background", "nerve", "vessel")


@dataclass(frozen=True)
class Entry:
    name: str
    colors: tuple[tuple[int, int, int], ...] = ()
    values: tuple[int, ...] = ()


CLASSES = (Entry("background"), Entry("nerve"))


def band(rows, label=1):
    mask = np.zeros((10, 10), np.uint8)
    mask[slice(*rows)] = label
    return mask


EMPTY = band((0, 0))
CASES = {
    "hit": (band((2, 4)), band((2, 4))),
    "half": (band((2, 4)), band((3, 5))),
    "miss": (band((2, 4)), EMPTY),
    "quiet": (EMPTY, EMPTY),
    "alarm": (EMPTY, band((0, 3))),
    "calm": (EMPTY, EMPTY),
}
"""Truth and mask: Dice 1, 0.5, 0, 1, 0, 1."""


@pytest.fixture
def folders(tmp_path):
    for name, (truth, mask) in CASES.items():
        write_labels(tmp_path / "truth" / f"{name}.png", truth)
        write_labels(tmp_path / "gated" / f"{name}.png", mask)
        write_labels(tmp_path / "ungated" / f"{name}.png", band((3, 5)))
    return tmp_path


def score(folders, run="gated", **options):
    runs = folders / run if isinstance(run, str) else [folders / each for each in run]
    return evaluate(runs, folders / "truth", "gated-segmentation", classes=CLASSES, **options)


def means(scored):
    return {name: entry["mean"] for name, entry in scored.summary.items()}


def test_the_rules_of_empty_masks_by_hand(folders):
    mean = means(score(folders))
    assert mean["dice"] == pytest.approx(3.5 / 6)
    assert mean["dice_on_positives"] == pytest.approx(1.5 / 3)
    assert mean["false_alarm_rate"] == pytest.approx(1 / 3)
    assert mean["miss_rate"] == pytest.approx(1 / 3)
    assert mean["false_alarm_area_px"] == 30
    assert {name: mean[f"{name}_nerve"] for name in ("dice", "miss_rate")} == {
        "dice": mean["dice"], "miss_rate": mean["miss_rate"]
    }  # fmt: skip


def test_where_all_are_empty_or_none_is_the_other_side_is_undefined(folders):
    scored = evaluate(
        folders / "truth" / "hit.png", folders / "truth" / "hit.png", "gated-segmentation", classes=CLASSES
    )
    assert means(scored) == pytest.approx(
        {"dice": 1, "dice_on_positives": 1, "miss_rate": 0, "dice_nerve": 1, "dice_on_positives_nerve": 1,
         "miss_rate_nerve": 0, "false_alarm_rate": None, "false_alarm_area_px": None, "false_alarm_rate_nerve": None,
         "iou": 1, "hd95_px": 0, "mean_surface_distance_px": 0, "normalized_surface_distance": 1}
    )  # fmt: skip


def test_each_structure_for_itself_and_the_picture_as_a_whole():
    truth, mask = band((0, 2)), band((0, 2)) + band((5, 8), 2)
    scored = score_case(truth, mask, NAMES)
    nerve, vessel = scored.classes
    assert (nerve["dice"], nerve["miss_rate"], nerve["false_alarm_rate"]) == (1, 0, None)
    assert (vessel["dice"], vessel["miss_rate"], vessel["false_alarm_rate"]) == (0, None, 1)
    assert vessel["false_alarm_area_px"] == 30
    assert scored.scores["dice"] == 0.5
    assert scored.scores["dice_on_positives"] == 1
    assert scored.scores["false_alarm_rate"] is None  # the picture shows something
    assert scored.scores["false_alarm_rate_vessel"] == 1


def test_areas_are_in_square_millimeters_where_the_spacing_is_known():
    scored = score_case(EMPTY, band((0, 3)), NAMES, spacing_mm=(0.5, 0.2))
    assert scored.scores["false_alarm_area_mm2"] == pytest.approx(3.0)
    region = np.zeros((10, 10), bool)
    assert score_case(EMPTY, band((0, 3)), NAMES, region=region).scores["dice"] == 1
    with pytest.raises(DataError, match="no class"):
        score_case(EMPTY, EMPTY, NAMES[:1])


def test_a_missing_mask_has_the_worst_score_of_what_it_is_about(folders):
    (folders / "gated" / "quiet.png").unlink()
    (folders / "gated" / "hit.png").unlink()
    mean = means(score(folders, missing="worst"))
    assert mean["dice"] == pytest.approx(1.5 / 6)
    assert mean["false_alarm_rate"] == pytest.approx(2 / 3)
    assert mean["miss_rate"] == pytest.approx(2 / 3)
    assert mean["dice_on_positives"] == pytest.approx(0.5 / 3)


def test_intervals_are_by_case_or_by_subject(folders):
    plain = score(folders).summary["dice"]["interval95"]
    assert plain[0] < 3.5 / 6 < plain[1]
    table = folders / "groups.csv"
    table.write_text("name,group\n" + "".join(f"{name}.png,{name[0] in 'hm'}\n" for name in CASES))
    assert score(folders, groups=table).summary["dice"]["interval95"] != plain
    segmentation = evaluate(folders / "gated", folders / "truth", "segmentation", classes=CLASSES, absent="count")
    assert segmentation.summary["dice"]["interval95"] == plain
    with pytest.raises(UsageError, match="min-area"):
        score(folders, min_area=5)


def test_the_value_of_a_gate_stands_side_by_side(folders):
    gated, ungated = score(folders), score(folders, "ungated")
    value = gate_value(gated, ungated)
    rows = {row["score"]: row for row in value.rows}
    assert (rows["dice"]["gated"], rows["dice"]["ungated"]) == pytest.approx((3.5 / 6, 1.5 / 6))
    assert rows["dice"]["difference"] == pytest.approx(2 / 6)
    assert rows["false_alarm_rate"]["difference"] == pytest.approx(-2 / 3)
    low, high = rows["dice"]["interval95"]
    assert low < 2 / 6 < high
    assert rows["false_alarm_area_px"]["interval95"] is None
    assert "| false_alarm_rate | 0.3333 | 1.0000 | -0.6667 |" in value.markdown()
    assert value.table().row_count == len(value.rows)


def test_what_cannot_be_compared_is_refused(folders):
    gated = score(folders)
    with pytest.raises(UsageError, match="cannot be compared"):
        gate_value(gated, evaluate(folders / "gated", folders / "truth", "segmentation", classes=CLASSES))
    (folders / "truth" / "calm.png").unlink()
    with pytest.raises(DataError, match="calm"):
        gate_value(gated, score(folders))
