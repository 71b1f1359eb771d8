"""The protocol of points: errors over what was found, success over everything, missed points counted apart."""

import json

import numpy as np
import pytest

from gracile import names
from gracile.api.landmarks import evaluate_points
from gracile.errors import DataError, UsageError
from gracile.evaluation import PROTOCOLS, TruePoints, evaluate, evaluate_landmarks
from gracile.evaluation.point_scores import RADII, Met, point_scores
from gracile.evaluation.point_sources import read_true_points
from gracile.geometry import PointList
from gracile.io import write_points
from gracile.recipe import read_recipe
from tests.volumes_on_disk import write_nifti

AFFINE = np.diag([0.5, 0.5, 2.0, 1.0])
TRUE = {"a": np.array([0.0, 0, 0]), "b": np.array([10.0, 0, 0]), "c": np.array([0.0, 10, 0])}
OFFSETS = {
    "one": {"a": (0.3, 0, 0), "b": (0, 0, 2.0), "c": (0, 0, 0)},
    "two": {"a": (9.0, 0, 0), "b": None, "c": (0, 3.0, 4.0)},
}


@pytest.fixture
def folders(tmp_path):
    """Two cases: errors 0.3, 2, 0 and 9, missed, 5 mm; point a of the second is nearest to b."""
    for case, offsets in OFFSETS.items():
        places = [np.full(3, np.nan) if o is None else TRUE[n] + o for n, o in offsets.items()]
        (tmp_path / "found").mkdir(exist_ok=True)
        (tmp_path / "true").mkdir(exist_ok=True)
        write_points(tmp_path / "found" / f"{case}.mrk.json", PointList(np.stack(places), list(offsets)))
        write_points(tmp_path / "true" / f"{case}.fcsv", PointList(np.stack(list(TRUE.values())), list(TRUE)))
    return tmp_path


def truth(affine: np.ndarray | None = AFFINE) -> dict[str, TruePoints]:
    return {case: TruePoints(TRUE, affine) for case in OFFSETS}


def means(evaluation) -> dict[str, float]:
    return {name: entry["mean"] for name, entry in evaluation.summary.items()}


def test_every_score_by_hand(folders):
    evaluation = evaluate_landmarks([folders / "found"], truth())
    scores = means(evaluation)
    errors = [0.3, 2.0, 0.0, 9.0, 5.0]
    assert scores["mean_error_mm"] == pytest.approx(np.mean(errors))
    assert scores["median_error_mm"] == pytest.approx(2.0)
    assert scores["sd_error_mm"] == pytest.approx(np.std(errors, ddof=1))
    assert scores["p95_error_mm"] == pytest.approx(np.percentile(errors, 95))
    assert scores["max_error_mm"] == pytest.approx(9.0)
    within = {0.5: 2, 1: 2, 2: 3, 2.5: 3, 3: 3, 4: 3}
    assert {radius: scores[f"within_{radius:g}_mm"] * 6 for radius in RADII} == pytest.approx(within)
    voxels = [0.6, 1.0, 0.0, 18.0, np.hypot(6.0, 2.0)]
    assert scores["mean_error_voxels"] == pytest.approx(np.mean(voxels))
    assert scores["within_0.5_voxels"] == pytest.approx(1 / 6)
    assert scores["within_1_voxels"] == pytest.approx(3 / 6)
    assert scores["identified"] == pytest.approx(4 / 6)
    assert scores["found"] == pytest.approx(5 / 6)
    assert evaluation.summary["missed"]["total"] == 1
    low, high = evaluation.summary["mean_error_mm"]["interval95"]
    assert low <= scores["mean_error_mm"] <= high
    assert set(PROTOCOLS["landmarks"].headline) <= set(scores)


def test_each_landmark_and_each_point_has_its_own_row(folders):
    evaluation = evaluate_landmarks([folders / "found"], truth())
    rows = {row["landmark"]: row for row in evaluation.details["landmarks"]}
    assert (rows["b"]["points"], rows["b"]["missed"], rows["b"]["found"]) == (2, 1, 0.5)
    assert rows["a"]["median_error_mm"] == pytest.approx((0.3 + 9) / 2)
    points = {(row["case"], row["class"]): row for row in evaluation.classes}
    assert points["two", "a"]["nearest"] == "b"
    assert (points["two", "b"]["error_mm"], points["two", "b"]["found"]) == (None, 0)
    assert [row["missed"] for row in evaluation.cases] == [0, 1]
    json.dumps(evaluation.as_dict())
    assert [row["landmark"] for row in evaluation.tables["by landmark"]] == ["a", "b", "c"]


def test_giving_up_does_not_raise_success():
    good = Met(np.array([0.2, 5.0]), None, np.array([True, True])).once()
    gave_up = Met(np.array([0.2, np.nan]), None, np.array([True, False])).once()
    assert gave_up["mean_error_mm"] < good["mean_error_mm"]
    assert gave_up["within_0.5_mm"] == good["within_0.5_mm"]
    assert gave_up["found"] == 0.5
    assert "mean_error_voxels" not in good
    nothing = Met(np.array([np.nan]), np.array([np.inf]), np.array([False])).once()
    assert nothing["mean_error_mm"] is None
    assert (nothing["missed"], nothing["within_4_voxels"]) == (1, 0)


def test_weighted_scores_are_those_of_repeated_points():
    random = np.random.default_rng(0)
    errors = np.where(random.random(30) < 0.2, np.nan, random.exponential(1.0, 30))
    met = Met(errors, 2 * errors, random.random(30) < 0.5)
    counts = np.vstack([random.integers(0, 4, (5, 30)), np.zeros((1, 30), int), np.isnan(errors)[None].astype(int)])
    together = point_scores(met, counts.astype(float))
    for row, times in enumerate(counts):
        alone = Met(*(np.repeat(a, times) for a in (met.error_mm, met.error_voxels, met.identified))).once()
        for name, values in together.items():
            assert np.isnan(values[row]) if alone[name] is None else values[row] == pytest.approx(alone[name]), name
    own = np.repeat(errors, counts[0])
    own = own[np.isfinite(own)]
    assert together["median_error_mm"][0] == pytest.approx(np.median(own))
    assert together["p95_error_mm"][0] == pytest.approx(np.percentile(own, 95))
    assert together["sd_error_mm"][0] == pytest.approx(own.std(ddof=1))
    assert together["max_error_mm"][0] == own.max()


def test_only_the_named_landmarks_count(folders):
    evaluation = evaluate_landmarks([folders / "found"], truth(), ["c"])
    assert means(evaluation)["mean_error_mm"] == pytest.approx(2.5)
    with pytest.raises(DataError, match="none of the landmarks"):
        evaluate_landmarks([folders / "found"], truth(), ["z"])


def test_without_volumes_there_are_no_voxels_and_it_is_said(folders):
    evaluation = evaluate_landmarks([folders / "found"], truth(None))
    assert not any("voxels" in name for name in evaluation.summary)
    assert any("no errors in voxels" in note for note in evaluation.notes)


def test_voxels_are_those_of_the_cases_whose_volume_is_known(folders):
    known = {"one": TruePoints(TRUE, None), "two": TruePoints(TRUE, AFFINE)}
    scores = means(evaluate_landmarks([folders / "found"], known))
    assert scores["mean_error_voxels"] == pytest.approx((18.0 + np.hypot(6.0, 2.0)) / 2)
    assert scores["within_4_voxels"] == 0
    scores = means(
        evaluate_landmarks([folders / "found"], {**known, "one": TruePoints(TRUE, AFFINE), "two": TruePoints(TRUE)})
    )
    assert scores["within_1_voxels"] == 1


def test_a_missing_case_is_an_error_or_all_missed(folders):
    (folders / "found" / "two.mrk.json").unlink()
    with pytest.raises(DataError, match="1 of 2 cases have no predicted points: two"):
        evaluate_landmarks([folders / "found"], truth())
    evaluation = evaluate_landmarks([folders / "found"], truth(), missing="worst")
    assert means(evaluation)["found"] == 0.5
    assert evaluation.summary["missed"]["mean"] == 3
    assert [row["status"] for row in evaluation.cases] == ["scored", "missing"]


def test_several_runs_are_averaged(folders):
    evaluation = evaluate_landmarks([folders / "found", folders / "true"], truth())
    assert means(evaluation)["mean_error_mm"] == pytest.approx(np.mean([0.3, 2.0, 0.0, 9.0, 5.0]) / 2)
    assert means(evaluation)["found"] == pytest.approx((5 / 6 + 1) / 2)
    assert evaluation.summary["found"]["sd_runs"] is not None


def test_groups_are_resampled_as_a_whole(folders):
    (folders / "groups.csv").write_text("name,group\none,x\ntwo,x\n")
    evaluation = evaluate_landmarks([folders / "found"], truth(), groups=folders / "groups.csv")
    assert evaluation.summary["mean_error_mm"]["interval95"] is None


def test_a_side_s_case_meets_the_file_of_its_volume_where_that_is_one(folders):
    one = {"one-left": TruePoints(TRUE, AFFINE, "one")}
    assert means(evaluate_landmarks([folders / "found"], one))["missed"] == 0
    both = one | {"one-right": TruePoints(TRUE, AFFINE, "one")}
    with pytest.raises(DataError, match="no predicted points"):
        evaluate_landmarks([folders / "found"], both)


def test_truth_files_are_read_once_in_the_preferred_format_and_curves_may_repeat_names(folders):
    places = np.stack([*TRUE.values(), TRUE["a"]])
    write_points(folders / "true" / "one.csv", PointList(places[:1], ["a"]))
    found = read_true_points(folders / "true", ["a", "b"])
    assert list(found) == ["one", "two"]
    assert list(found["one"]) == ["a", "b"]
    write_points(folders / "true" / "two.fcsv", PointList(places, ["a", "b", "n", "n"]))
    assert set(read_true_points(folders / "true", ["a", "b"])["two"]) == {"a", "b"}
    with pytest.raises(DataError, match="'n' twice"):
        read_true_points(folders / "true", [])


def test_a_table_of_all_cases_is_a_run_too(folders):
    rows = "".join(f"{case},{n},{p[0]},{p[1]},{p[2]}\n" for case in OFFSETS for n, p in TRUE.items())
    (folders / "table.csv").write_text("case,label,ras_x_mm,ras_y_mm,ras_z_mm\n" + rows)
    assert means(evaluate_landmarks([folders / "table.csv"], truth()))["max_error_mm"] == 0.0


def in_voxels(offset: np.ndarray | float = 0.0) -> dict[str, list[float]]:
    back = np.linalg.inv(AFFINE)
    return {name: [float(v) for v in back[:3, :3] @ (p + offset) + back[:3, 3]] for name, p in TRUE.items()}


def test_nnlandmark_s_predictions_are_scored_in_millimeters_of_their_volumes(folders):
    run = folders / "run"
    run.mkdir()
    for case, offset in (("one", 0.0), ("two_0000", np.array([0, 0.3, 0]))):
        marks = {str(n): {"coordinates": p, "likelihood": 0.9} for n, p in enumerate(in_voxels(offset).values(), 1)}
        marks["1"] = {"coordinates": [None] * 3, "likelihood": 0.0}
        (run / f"{case}.json").write_text(json.dumps(marks))
    (run / "dataset.json").write_text(json.dumps({"labels": {name: n for n, name in enumerate(TRUE, 1)}}))
    cases = {"one": TruePoints(TRUE, AFFINE), "two": TruePoints(TRUE, AFFINE, "two_0000")}
    scores = means(evaluate_landmarks([run], cases))
    assert scores["mean_error_mm"] == pytest.approx(0.15)
    assert scores["missed"] == 2
    whole = folders / "prediction_all_landmark_voxel.json"
    whole.write_text(json.dumps({"one": in_voxels(), "two": in_voxels(), "else": in_voxels()}))
    assert means(evaluate_landmarks([whole], cases))["max_error_mm"] == pytest.approx(0)
    for source in (run, whole):
        with pytest.raises(DataError, match="counts in voxels"):
            evaluate_landmarks([source], {"one": TruePoints(TRUE)})


def test_nnlandmark_s_truth_is_that_of_the_cases_whose_volume_is_there(folders):
    volumes = folders / "imagesTs"
    write_nifti(volumes / "one_0000.nii.gz", np.zeros((24, 24, 4), np.int16), AFFINE)
    path = folders / "all_landmarks_voxel.json"
    path.write_text(json.dumps({"one": in_voxels(), "training": in_voxels()}))
    evaluation = evaluate_points([folders / "found"], path, None, images=volumes)
    assert [row["case"] for row in evaluation.cases] == ["one"]
    expected = means(evaluate_landmarks([folders / "found"], {"one": TruePoints(TRUE, AFFINE)}))
    assert means(evaluation)["mean_error_voxels"] == pytest.approx(expected["mean_error_voxels"], abs=1e-3)
    with pytest.raises(DataError, match="counts in voxels"):
        evaluate_points([folders / "found"], path, None)
    recipe = read_recipe("cochlea-landmarks-published", ["landmarks=[{name: a}, {name: b}]"])
    volumes.rename(folders / "imagesTr")
    from_data_set = evaluate_points([folders / "found"], folders, recipe)
    assert [row["case"] for row in from_data_set.cases] == ["one"]


def test_a_data_set_whose_points_are_one_table_is_truth_too(folders):
    for seed, case in enumerate(OFFSETS):
        noise = np.random.default_rng(seed).integers(0, 9, (24, 24, 4)).astype(np.int16)
        write_nifti(folders / "set" / "volumes" / f"{case}.nii.gz", noise, AFFINE)
    rows = "".join(f"{case},{n},{p[0]},{p[1]},{p[2]}\n" for case in OFFSETS for n, p in TRUE.items())
    (folders / "set" / "landmarks.csv").write_text("case,label,ras_x_mm,ras_y_mm,ras_z_mm\n" + rows)
    recipe = read_recipe("cochlea-landmarks", ["landmarks=[{name: a}, {name: b}, {name: c}]", "measure=[]"])
    evaluation = evaluate_points([folders / "found"], folders / "set", recipe)
    expected = means(evaluate_landmarks([folders / "found"], truth()))
    assert means(evaluation)["mean_error_voxels"] == pytest.approx(expected["mean_error_voxels"], abs=1e-3)


def test_points_that_lie_a_whole_radius_apart_are_within_it(folders):
    places = {"a": (5.0, 10, 10), "b": (0.1, 0.2, 0.3)}
    found = {"a": (5.3, 10.4, 10), "b": (0.1, 0.2, 0.3 + 1)}
    write_points(folders / "one.csv", PointList(np.array(list(found.values())), list(found)))
    true = TruePoints({name: np.array(place) for name, place in places.items()})
    scores = means(evaluate_landmarks([folders / "one.csv"], {"one": true}))
    assert (scores["within_0.5_mm"], scores["within_1_mm"]) == (0.5, 1)


@pytest.mark.parametrize("suffix", [".mrk.json", ".csv"])
def test_one_file_is_one_case(folders, suffix):
    path = folders / f"one{suffix}"
    write_points(path, PointList(np.stack(list(TRUE.values())), list(TRUE)))
    assert list(read_true_points(path, [])) == ["one"]
    scored = evaluate_landmarks([path], {"one": TruePoints(TRUE)})
    assert means(scored)["max_error_mm"] == 0.0


def test_masks_are_not_scored_by_it(folders):
    assert "landmarks" in names.PROTOCOLS
    with pytest.raises(UsageError, match="scores points"):
        evaluate(folders / "found", folders / "true", "landmarks", classes=[])
