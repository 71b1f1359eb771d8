"""Scores joined with predicted qualities: which is compared with which, and what is said of cases that lack either."""

import csv

import numpy as np
import pytest
from PIL import Image

from gracile.errors import DataError, UsageError
from gracile.evaluation import TruePoints, evaluate, evaluate_landmarks
from gracile.geometry import PointList
from gracile.io import write_points
from gracile.recipe import read_recipe
from tests.evaluation.predicted_qualities import quality, write_records
from tests.volumes_on_disk import write_nifti

CLASSES = read_recipe("structure-2d").classes
SHIFTS = {"a": 0, "b": 1, "c": 3, "d": 8}
DICE = {"a": 1.0, "b": 0.9, "c": 0.7, "d": 0.2}  # a bar of ten rows, moved by some
PREDICTED = {
    "a": quality(0.95, 0.8, 1.0, band=1, band_unit="px"),
    "b": quality(0.7, 0.6, 0.8, band=1, band_unit="px"),
    "c": quality(0.8, 0.6, 0.9, band=1, band_unit="px"),
    "d": quality(0.3, 0.1, 0.5, band=8, band_unit="px"),
}


@pytest.fixture
def folders(tmp_path):
    for name in ("truth", "run"):
        (tmp_path / name).mkdir()
    for name, shift in SHIFTS.items():
        truth = np.zeros((40, 40), np.uint8)
        truth[10:20, 5:35] = 1
        Image.fromarray(truth).save(tmp_path / "truth" / f"{name}.png")
        Image.fromarray(np.roll(truth, shift, axis=0)).save(tmp_path / "run" / f"{name}.png")
    write_records(tmp_path / "run", PREDICTED)
    return tmp_path


def judge(folders, protocol="segmentation", runs=("run",), **options):
    predictions = [folders / run for run in runs]
    return evaluate(predictions, folders / "truth", protocol, classes=CLASSES, trust=True, **options)


def figures(evaluation) -> dict[str, float]:
    return {name: entry["mean"] for name, entry in evaluation.details["trust"]["figures"].items()}


@pytest.mark.parametrize("protocol", ["segmentation", "gated-segmentation"])
def test_figures_of_four_masks_by_hand(folders, protocol):
    evaluation = judge(folders, protocol)
    told = figures(evaluation)
    # by predicted quality a, c, b, d: risks 0, 0.3, 0.1, 0.8
    area, best, mean = (0 + 0.15 + 0.4 / 3 + 0.3) / 4, (0 + 0.05 + 0.4 / 3 + 0.3) / 4, 0.3
    assert told["aurc"] == pytest.approx(area)
    assert told["normalized_aurc"] == pytest.approx((area - best) / (mean - best))
    assert told["spearman"] == pytest.approx(0.8)
    assert told["mean_absolute_error"] == pytest.approx((0.05 + 0.2 + 0.1 + 0.1) / 4)
    assert told["interval_coverage"] == pytest.approx(0.75)
    assert told["band_coverage"] == pytest.approx(0.75)
    assert told["auroc_of_failures"] == 1
    trust = evaluation.details["trust"]
    assert trust["runs"][0]["failures"] == ["d"]
    assert trust["runs"][0]["curve"]["risk"] == pytest.approx([0, 0.15, 0.4 / 3, 0.3])
    assert "auroc_of_failures_unlike" not in told


def test_rows_say_what_was_predicted_and_whether_it_held(folders):
    rows = {row["case"]: row for row in judge(folders).cases}
    assert rows["b"]["predicted"] == 0.7
    assert [rows[name]["inside"] for name in "abcd"] == [1, 0, 1, 1]
    assert [rows[name]["band_holds"] for name in "abcd"] == [1, 1, 0, 1]
    path = folders / "cases.csv"
    judge(folders).to_csv(path)
    with path.open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert {"predicted", "low", "high", "inside", "band_holds"} <= set(first)


def test_a_case_whose_quality_cannot_be_told_is_most_doubtful_and_said(folders):
    write_records(folders / "run", PREDICTED | {"a": None})
    evaluation = judge(folders)
    told = figures(evaluation)
    assert told["aurc"] == pytest.approx((0.3 + 0.2 + 0.4 + 0.3) / 4)  # c, b, d, and a last
    assert told["mean_absolute_error"] == pytest.approx((0.2 + 0.1 + 0.1) / 3)
    assert evaluation.details["trust"]["figures"]["mean_absolute_error"]["cases"] == 3
    assert any("1 of 4 cases carry no predicted quality" in note for note in evaluation.notes)


def test_missing_predictions_are_most_doubtful_failures(folders):
    (folders / "run" / "a.png").unlink()
    evaluation = judge(folders, missing="worst")
    assert evaluation.details["trust"]["runs"][0]["failures"] == ["a"]
    assert figures(evaluation)["failures_seen"] == pytest.approx(0.4)
    assert next(row for row in evaluation.cases if row["case"] == "a")["predicted"] is None


def test_folders_without_predicted_quality_are_refused_with_the_remedy(folders):
    write_records(folders / "run", dict.fromkeys(SHIFTS))
    with pytest.raises(DataError, match=r"no predicted quality for any case.*calibrate"):
        judge(folders)
    (folders / "run" / "predictions.json").unlink()
    with pytest.raises(DataError, match=r"carries no predicted quality.*predicted_quality"):
        judge(folders)


def test_another_programs_table_is_enough(folders):
    (folders / "run" / "predictions.json").unlink()
    lines = ["case,predicted_quality,note", "a,0.95,x", "b,0.7,x", "c,,x", "d,0.3,x"]
    (folders / "run" / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    evaluation = judge(folders)
    assert figures(evaluation)["interval_coverage"] is None
    assert figures(evaluation)["mean_absolute_error"] == pytest.approx((0.05 + 0.2 + 0.1) / 3)
    assert any("does not say which score" in note and "dice" in note for note in evaluation.notes)


def test_numbers_that_are_none_are_refused(folders):
    (folders / "run" / "predictions.json").unlink()
    (folders / "run" / "cases.csv").write_text("case,predicted_quality\na,good\n", encoding="utf-8")
    with pytest.raises(DataError, match="predicted_quality of a is 'good'"):
        judge(folders)


def test_another_score_is_compared_and_said(folders):
    write_records(folders / "run", {name: one | {"score": "f1"} for name, one in PREDICTED.items()})
    evaluation = judge(folders)
    assert evaluation.details["trust"]["scored"] == "dice"
    assert any(note.startswith("predicted is f1, compared with dice") for note in evaluation.notes)


def test_the_score_that_is_predicted_is_the_one_compared(folders):
    write_records(folders / "run", {name: one | {"score": "iou"} for name, one in PREDICTED.items()})
    evaluation = judge(folders)
    assert evaluation.details["trust"]["scored"] == "iou"
    assert not any("compared" in note for note in evaluation.notes)


def test_errors_in_mm_are_no_scores_of_masks(folders):
    write_records(folders / "run", {name: one | {"score": "mm"} for name, one in PREDICTED.items()})
    with pytest.raises(UsageError, match="--protocol landmarks"):
        judge(folders)


def test_two_scores_in_one_folder_are_refused(folders):
    write_records(folders / "run", PREDICTED | {"a": PREDICTED["a"] | {"score": "f1"}})
    with pytest.raises(DataError, match="several scores: dice, f1"):
        judge(folders)


def test_a_stated_threshold_tells_failures(folders):
    evaluation = judge(folders, failure=0.7)
    assert evaluation.details["trust"]["runs"][0]["failures"] == ["d"]
    assert judge(folders, failure=0.75).details["trust"]["runs"][0]["failures"] == ["c", "d"]
    none = judge(folders, failure=0.1)
    assert figures(none)["failures_seen"] is None
    assert any("nothing to find" in note for note in none.notes)


@pytest.mark.parametrize(("failure", "protocol", "trust"), [
    (3, "segmentation", True), (0, "segmentation", True), (0.5, "segmentation", False), (None, "classification", True),
])  # fmt: skip
def test_thresholds_and_protocols_that_make_no_sense_are_refused(folders, failure, protocol, trust):
    with pytest.raises(UsageError):
        evaluate(folders / "run", folders / "truth", protocol, classes=CLASSES, trust=trust, failure=failure)


def test_equal_scores_leave_the_order_undefined_and_say_so(folders):
    for name in SHIFTS:
        (folders / "run" / f"{name}.png").write_bytes((folders / "truth" / f"{name}.png").read_bytes())
    evaluation = judge(folders)
    assert figures(evaluation)["normalized_aurc"] is None
    assert any("all scores are equal" in note for note in evaluation.notes)


def test_undefined_scores_are_left_out_and_counted(folders):
    for folder in ("truth", "run"):
        Image.fromarray(np.zeros((40, 40), np.uint8)).save(folders / folder / "e.png")
    evaluation = judge(folders)
    assert evaluation.details["trust"]["cases"] == 4
    assert any("1 of 5 cases have no dice" in note for note in evaluation.notes)
    assert next(row for row in evaluation.cases if row["case"] == "e")["inside"] is None


def test_subjects_count_once_and_are_drawn_as_a_whole(folders):
    evaluation = judge(folders, groups={"a": "1", "b": "1", "c": "1", "d": "2"})
    assert figures(evaluation)["aurc_random"] == pytest.approx((0.4 / 3 + 0.8) / 2)
    assert figures(evaluation)["mean_absolute_error"] == pytest.approx((0.35 / 3 + 0.1) / 2)
    assert evaluation.details["trust"]["subjects"] == 2
    assert "trust in the predicted quality, 2 subjects that count alike" in evaluation.tables
    low, high = evaluation.details["trust"]["figures"]["aurc_random"]["interval95"]
    assert (low, high) == pytest.approx((0.4 / 3, 0.8))  # either subject alone


def test_unlike_finds_failures_in_a_row_of_its_own(folders):
    write_records(folders / "run", PREDICTED, unlike={"a": 0.1, "b": 2.0, "c": 0.3, "d": 1.5})
    evaluation = judge(folders)
    assert figures(evaluation)["auroc_of_failures_unlike"] == pytest.approx(2 / 3)
    assert evaluation.cases[0]["unlike"] == 0.1


def test_bands_in_mm_need_a_pixel_size(folders):
    write_records(folders / "run", {name: one | {"band_unit": "mm"} for name, one in PREDICTED.items()})
    evaluation = judge(folders)
    assert figures(evaluation)["band_coverage"] is None
    assert any("4 of 4 bands are not checked" in note for note in evaluation.notes)


def test_the_pixel_size_is_that_of_the_picture_that_was_predicted(folders):
    told = {name: one | {"band": 1.5, "band_unit": "mm"} for name, one in PREDICTED.items()}
    write_records(folders / "run", told, images=folders / "truth")
    for name in SHIFTS:
        (folders / "truth" / f"{name}.json").write_text('{"pixel_spacing_mm": [0.5, 0.5]}', encoding="utf-8")
    rows = {row["case"]: row for row in judge(folders).cases}
    assert [rows[name]["band_holds"] for name in "abcd"] == [1, 1, 1, 0]  # moved by 0, 0.5, 1.5 and 4 mm


def test_bands_of_volumes_are_in_their_mm(tmp_path):
    for folder, first in (("truth", 4), ("run", 6)):
        labels = np.zeros((16, 16, 16), np.uint8)
        labels[first : first + 6, 4:10, 4:10] = 1
        (tmp_path / folder).mkdir()
        for name in "ab":
            write_nifti(tmp_path / folder / f"{name}.nii.gz", labels, np.diag([2.0, 1, 1, 1]))
    write_records(tmp_path / "run", {
        name: quality(0.7, 0.5, 0.9, band=band, band_unit="mm") for name, band in {"a": 3.0, "b": 4.0}.items()
    })  # fmt: skip
    assert [row["band_holds"] for row in judge(tmp_path).cases] == [0, 1]  # moved by two voxels of 2 mm


def test_several_runs_are_averaged(folders):
    (folders / "other").mkdir()
    for name in SHIFTS:
        (folders / "other" / f"{name}.png").write_bytes((folders / "run" / f"{name}.png").read_bytes())
    write_records(folders / "other", {name: quality(dice, dice, dice) for name, dice in DICE.items()})
    evaluation = judge(folders, runs=("run", "other"))
    entry = evaluation.details["trust"]["figures"]["mean_absolute_error"]
    assert entry["mean"] == pytest.approx(0.1125 / 2)
    assert entry["sd_runs"] == pytest.approx(0.1125 / 2**0.5)
    assert len(evaluation.details["trust"]["runs"]) == 2


def test_errors_of_landmarks_in_mm(tmp_path):
    truth = {name: TruePoints({"tip": np.zeros(3), "base": np.ones(3)}) for name in ("a", "b", "c")}
    for name, away in {"a": 1.0, "b": 2.0, "c": 6.0}.items():
        places = np.array([[away, 0, 0], [1 + away, 1, 1]])
        write_points(tmp_path / "run" / f"{name}.mrk.json", PointList(places, ["tip", "base"]))
    told = {"a": quality(1.5, 0.5, 2, score="mm"), "b": quality(1.0, 0.5, 1.5, score="mm"), "c": None}
    write_records(tmp_path / "run", told)
    evaluation = evaluate_landmarks([tmp_path / "run"], truth, trust=True, failure=3)
    trust = evaluation.details["trust"]
    assert (trust["scored"], trust["unit"], trust["runs"][0]["failures"]) == ("mean_error_mm", "mm", ["c"])
    assert figures(evaluation)["aurc"] == pytest.approx((2 + 1.5 + 3) / 3)
    assert figures(evaluation)["mean_absolute_error"] == pytest.approx(0.75)
    assert [row["inside"] for row in evaluation.cases] == [1, 0, None]
    write_records(tmp_path / "run", {"a": quality(0.9, 0.8, 1)})
    with pytest.raises(UsageError, match="predicts the score dice"):
        evaluate_landmarks([tmp_path / "run"], truth, trust=True)
