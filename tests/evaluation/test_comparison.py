"""Folders are scored against folders; nothing that is missing is dropped in silence."""

import csv
import json
import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from gracile import names
from gracile.errors import DataError, UsageError
from gracile.evaluation import PROTOCOLS, evaluate
from gracile.io import write_labels


@dataclass(frozen=True)
class Entry:
    name: str
    colors: tuple[tuple[int, int, int], ...] = ()
    values: tuple[int, ...] = ()


CLASSES = (
    Entry("background", ((0, 0, 0),)),
    Entry("artery", ((255, 0, 0),)),
    Entry("vein", ((0, 0, 255),)),
    Entry("crossing", ((0, 255, 0), (255, 255, 255))),
)
SIZE = (12, 16)


@pytest.fixture
def folders(tmp_path):
    """Three cases in `labels`, their `fov` beside, and two runs of predictions that are wrong in some pixels."""
    rng = np.random.default_rng(1)
    for case in ("01", "02", "03"):
        truth = rng.integers(0, 4, SIZE).astype(np.uint8)
        write_labels(tmp_path / "labels" / f"{case}_test_AVmanual.png", truth)
        write_labels(tmp_path / "fov" / f"{case}_test_mask.png", np.ones(SIZE, np.uint8))
        for run, wrong in (("run1", 0.2), ("run2", 0.4)):
            found = np.where(rng.random(SIZE) < wrong, rng.integers(0, 4, SIZE), truth).astype(np.uint8)
            write_labels(tmp_path / run / f"{case}_test.png", found)
            maps = (np.eye(4)[found].transpose(2, 0, 1) * 0.9 + 0.025).astype(np.float16)
            (tmp_path / f"{run}-maps").mkdir(exist_ok=True)
            np.savez_compressed(tmp_path / f"{run}-maps" / f"{case}_test.npz", probabilities=maps)
    return tmp_path


def score(folders, *, runs="run1", **options):
    predictions = folders / runs if isinstance(runs, str) else [folders / run for run in runs]
    return evaluate(predictions, folders / "labels", "av-multiclass", classes=CLASSES, **options)


def test_summary_is_the_mean_over_images(folders):
    scored = score(folders)
    assert [row["case"] for row in scored.cases] == ["01_test_AVmanual", "02_test_AVmanual", "03_test_AVmanual"]
    values = [row["f1"] for row in scored.cases]
    assert 0.5 < min(values) < max(values) < 1
    f1 = dict(scored.summary["f1"])
    low, high = f1.pop("interval95")
    assert f1 == pytest.approx({"mean": np.mean(values), "sd_cases": np.std(values, ddof=1), "cases": 3})
    assert low <= f1["mean"] <= high
    assert len(scored.classes) == 9
    assert "auc_roc" not in scored.summary


def test_runs_give_mean_and_deviation_over_runs(folders):
    both, first, second = score(folders, runs=["run1", "run2"]), score(folders), score(folders, runs="run2")
    means = [first.summary["f1"]["mean"], second.summary["f1"]["mean"]]
    assert means[0] > means[1]
    assert both.summary["f1"]["mean"] == pytest.approx(np.mean(means))
    assert both.summary["f1"]["sd_runs"] == pytest.approx(np.std(means, ddof=1))
    assert {row["run"] for row in both.cases} == {1, 2}
    assert len(both.cases) == 6


def test_probabilities_add_the_real_areas(folders):
    scored = score(folders, probabilities=folders / "run1-maps")
    assert 0.5 < scored.summary["auc_roc"]["mean"] <= 1
    assert {"auc_pr", "brier"} <= scored.summary.keys()
    with pytest.raises(UsageError, match="2 runs and 1 folders"):
        score(folders, runs=["run1", "run2"], probabilities=folders / "run1-maps")
    (folders / "run1-maps" / "02_test.npz").unlink()
    with pytest.raises(DataError, match="no probability map for 02_test"):
        score(folders, probabilities=folders / "run1-maps")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other": np.zeros((4, *SIZE), np.float32)}, "cannot be read as probabilities"),
        ({"probabilities": np.zeros((3, *SIZE), np.float32)}, "4 classes"),
        ({"probabilities": np.zeros((4, 5, 5), np.float32)}, "5 x 5 pixels"),
        ({"probabilities": np.full((4, *SIZE), np.nan, np.float32)}, "not finite"),
    ],
)
def test_bad_probability_maps_are_refused(folders, content, message):
    np.savez(folders / "run1-maps" / "02_test.npz", **content)
    with pytest.raises(DataError, match=message):
        score(folders, probabilities=folders / "run1-maps")


def test_missing_prediction_is_an_error_or_the_worst(folders):
    complete = score(folders, probabilities=folders / "run1-maps")
    (folders / "run1" / "02_test.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 cases have no prediction: 02_test_AVmanual\.png"):
        score(folders)
    scored = score(folders, missing="worst", probabilities=folders / "run1-maps")
    lost = scored.cases[1]
    assert lost["status"] == "missing"
    assert lost["f1"] == lost["accuracy"] == 0
    assert lost["mse"] == 1
    kept = [complete.cases[0]["f1"], 0, complete.cases[2]["f1"]]
    assert scored.summary["f1"]["mean"] == pytest.approx(np.mean(kept))
    assert any("1 cases without prediction" in note for note in scored.notes)


def test_missing_prediction_of_a_segmentation_is_a_missed_structure(folders):
    (folders / "run1" / "02_test.png").unlink()
    scored = evaluate(folders / "run1", folders / "labels", "segmentation", classes=CLASSES, missing="worst")
    lost = scored.cases[1]
    assert (lost["dice"], lost["missed"], lost["hd95_px"]) == (0, 3, None)
    assert scored.summary["missed"]["total"] == 3
    assert scored.summary["hd95_px"]["cases"] == 2


def test_prediction_without_truth_is_noted(folders):
    write_labels(folders / "run1" / "99.png", np.zeros(SIZE, np.uint8))
    assert any("99.png" in note for note in score(folders).notes)


def test_field_of_view_is_beside_the_labels_or_given(folders):
    beside = score(folders).summary
    (folders / "fov").rename(folders / "mask")
    assert score(folders).summary == beside
    (folders / "mask").rename(folders / "elsewhere")
    with pytest.raises(DataError, match=r"needs the field of view.*--fov"):
        score(folders)
    assert score(folders, fov=folders / "elsewhere").summary == beside
    (folders / "elsewhere" / "03_test_mask.png").unlink()
    with pytest.raises(DataError, match="no field of view for 03_test"):
        score(folders, fov=folders / "elsewhere")


def test_sizes_must_agree(folders):
    write_labels(folders / "run1" / "02_test.png", np.zeros((5, 6), np.uint8))
    with pytest.raises(DataError, match=r"02_test\.png has 6 x 5 pixels, its truth .* 16 x 12"):
        score(folders)
    write_labels(folders / "fov" / "01_test_mask.png", np.ones((5, 6), np.uint8))
    with pytest.raises(DataError, match=r"01_test_mask\.png has 6 x 5 pixels"):
        score(folders, runs="run2")


def test_color_maps_of_another_program_score_alike(folders):
    expected = score(folders).summary
    for path in (folders / "run1").iterdir():
        colors = np.array([entry.colors[0] for entry in CLASSES], np.uint8)[np.asarray(Image.open(path))]
        Image.fromarray(colors).save(path)
    assert score(folders).summary == expected


def test_single_files_and_bad_labels(folders):
    truth = folders / "labels" / "01_test_AVmanual.png"
    scored = evaluate(folders / "run1" / "01_test.png", truth, "av-multiclass", classes=CLASSES, fov=folders / "fov")
    assert len(scored.cases) == 1
    assert scored.summary["f1"]["sd_cases"] is None
    write_labels(folders / "run1" / "01_test.png", np.full(SIZE, 7))
    with pytest.raises(DataError, match=r"7 \(192 pixels\)"):
        score(folders)
    write_labels(truth, np.zeros(SIZE, np.uint8))
    with pytest.raises(DataError, match=r"01_test_AVmanual\.png: The truth has no artery"):
        score(folders, runs="run2")


def test_empty_folders_and_unknown_protocols(folders):
    (folders / "empty").mkdir()
    with pytest.raises(DataError, match="no predictions"):
        score(folders, runs="empty")
    with pytest.raises(DataError, match="no label pictures"):
        evaluate(folders / "run1", folders / "empty", "segmentation", classes=CLASSES)
    with pytest.raises(UsageError, match="av-multiclass"):
        evaluate(folders / "run1", folders / "labels", "best", classes=CLASSES)


def test_csv_json_and_table_hold_the_same_figures(folders):
    (folders / "run1" / "02_test.png").unlink()
    scored = evaluate(folders / "run1", folders / "labels", "segmentation", classes=CLASSES, missing="worst")
    scored.to_csv(folders / "cases.csv")
    rows = list(csv.DictReader(StringIO((folders / "cases.csv").read_text())))
    assert [row["case"] for row in rows] == [row["case"] for row in scored.cases]
    assert float(rows[0]["dice"]) == scored.cases[0]["dice"]
    assert rows[1]["hd95_px"] == ""
    scored.to_csv(folders / "classes.csv", per_class=True)
    assert len((folders / "classes.csv").read_text().splitlines()) == 10
    scored.to_json(folders / "all.json")
    written = json.loads((folders / "all.json").read_text())
    assert written["summary"] == scored.summary
    assert written["cases"][1]["hd95_px"] is None
    console = Console(file=StringIO(), width=120)
    console.print(scored.table())
    assert f"{scored.summary['dice']['mean']:.4f}" in console.file.getvalue()


def test_every_named_protocol_exists_and_its_headline_scores_too(folders):
    assert PROTOCOLS.keys() == names.PROTOCOLS.keys()
    for name, protocol in PROTOCOLS.items():
        if protocol.score_case is None:
            continue  # of whole pictures: tests/evaluation/test_classification.py
        scored = evaluate(folders / "run1", folders / "labels", name, classes=CLASSES)
        assert protocol.headline
        assert set(protocol.headline) <= scored.summary.keys()


REFERENCE_NAMES = {
    "acc": "accuracy",
    "se": "sensitivity",
    "sp": "specificity",
    "pr": "precision",
    "f1": "f1",
    "mse": "mse",
    "iou": "iou",
    "f1_a": "f1_artery",
    "f1_v": "f1_vein",
    "f1_u": "f1_crossing",
    "auc_hard": "auc_hard",
}


@pytest.mark.real
def test_a_peers_published_drive_scores_are_reproduced():
    root = os.environ.get("GRACILE_DATA")
    if not root:
        pytest.skip("GRACILE_DATA does not name a data folder")
    reference = Path(root).resolve().parent / "reference" / "drive-wnet"
    truth = Path(root) / "retina-av" / "drive-av" / "test" / "labels"
    for folder in (reference, truth):
        if not folder.is_dir():
            pytest.skip(f"{folder.name} is not there")
    scored = evaluate(reference / "predictions", truth, "av-multiclass", classes=CLASSES)
    published = json.loads((reference / "scores.json").read_text())
    assert published["mean"].keys() == REFERENCE_NAMES.keys()
    for name, value in published["mean"].items():
        assert 100 * scored.summary[REFERENCE_NAMES[name]]["mean"] == pytest.approx(value, abs=0.001), name
    rows = {row["case"]: row for row in scored.cases}
    assert rows.keys() == {case["case"] for case in published["cases"]}
    for case in published["cases"]:
        for name, ours in REFERENCE_NAMES.items():
            assert 100 * rows[case["case"]][ours] == pytest.approx(case[name], abs=0.001), (case["case"], name)
