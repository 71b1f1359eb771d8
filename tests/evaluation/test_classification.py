"""Whole pictures are scored from what `gracile predict` or another program wrote, against any kind of truth."""

import csv
import json
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn import metrics

from gracile.errors import DataError, UsageError
from gracile.evaluation import PROTOCOLS, evaluate
from gracile.io import write_labels

PRESENCE = {"p1_a": 0.9, "p1_b": 0.2, "p2_a": 0.6, "p2_b": 0.4, "p3_a": 0.8, "p3_b": 0.7}
TRUTH = {"p1_a": "present", "p1_b": "absent", "p2_a": "present", "p2_b": "present", "p3_a": "absent", "p3_b": "absent"}
FRAMES = {
    "a": {"nerve": 0.7, "vessel": 0.2, "other": 0.1},
    "b": {"nerve": 0.5, "vessel": 0.4, "other": 0.1},
    "c": {"nerve": 0.1, "vessel": 0.1, "other": 0.8},
    "d": {"nerve": 0.3, "vessel": 0.6, "other": 0.1},
}
FRAME_TRUTH = {"a": "nerve", "b": "vessel", "c": "other", "d": "vessel"}


@dataclass(frozen=True)
class Entry:
    name: str
    colors: tuple[tuple[int, int, int], ...] = ()
    values: tuple[int, ...] = ()


MASK_CLASSES = (Entry("background"), Entry("nerve"), Entry("vessel"))


def write_predictions(folder, gates, decisions=None, failed=()):
    """A `predictions.json` as `gracile predict` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [
        {"name": name, "status": "found", "reason": "", "gates": some, "files": {}}
        | ({"gate_decisions": decisions[name]} if decisions else {})
        for name, some in gates.items()
    ] + [{"name": name, "status": "failed", "reason": "unreadable", "files": {}} for name in failed]
    (folder / "predictions.json").write_text(json.dumps({"version": 1, "inputs": records}))
    return folder


def write_table(path, header, rows):
    path.write_text("\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def presence(tmp_path):
    return write_predictions(tmp_path / "run", {name: {"nerve": value} for name, value in PRESENCE.items()})


@pytest.fixture
def truth(tmp_path):
    return write_table(tmp_path / "truth.csv", ("name", "class", "remark"), [(*item, "x") for item in TRUTH.items()])


def score(predictions, truth, **options):
    return evaluate(predictions, truth, "classification", classes=MASK_CLASSES, **options)


def test_a_presence_gate_by_hand(presence, truth):
    scored = score(presence, truth)
    mean = {name: entry["mean"] for name, entry in scored.summary.items()}
    assert mean["accuracy"] == pytest.approx(3 / 6)
    assert mean["recall"] == pytest.approx(2 / 3)
    assert mean["false_alarm_rate"] == pytest.approx(2 / 3)
    wanted = [TRUTH[name] == "present" for name in PRESENCE]
    assert mean["auc_roc"] == pytest.approx(metrics.roc_auc_score(wanted, list(PRESENCE.values())))
    (run,) = scored.details["runs"]
    assert run["confusion"] == [[1, 2], [1, 2]]
    assert (run["threshold"], run["decided_by"]) == (0.5, "threshold")
    low, high = scored.summary["auc_roc"]["interval95"]
    assert 0 <= low < mean["auc_roc"] < high <= 1
    assert scored.cases[0] == {
        "case": "p1_a", "status": "scored", "truth": "present", "decision": "present", "right": 1,
        "probability_of_truth": 0.9, "probability_present": 0.9,
    }  # fmt: skip
    assert set(PROTOCOLS["classification"].headline) <= scored.summary.keys()


def test_recorded_decisions_are_what_is_scored(tmp_path, truth):
    gates = {name: {"nerve": value} for name, value in PRESENCE.items()}
    decisions = {name: {"nerve": value > 0.75} for name, value in PRESENCE.items()}
    scored = score(write_predictions(tmp_path / "strict", gates, decisions), truth)
    (run,) = scored.details["runs"]
    assert run["confusion"] == [[2, 1], [2, 1]]
    assert (run["threshold"], run["decided_by"]) == (None, "gate_decisions")


def test_frame_classes_are_scored_as_scikit_learn_scores_them(tmp_path):
    truth = write_table(tmp_path / "truth.csv", ("name", "class"), FRAME_TRUTH.items())
    scored = score(write_predictions(tmp_path / "run", FRAMES), truth)
    wanted = [FRAME_TRUTH[name] for name in FRAMES]
    decided = [max(some, key=some.get) for some in FRAMES.values()]
    report = metrics.classification_report(wanted, decided, output_dict=True)
    assert scored.summary["f1_macro"]["mean"] == pytest.approx(report["macro avg"]["f1-score"])
    assert {row["class"]: row["recall"] for row in scored.classes} == {"nerve": 1, "vessel": 0.5, "other": 1}
    order = sorted(FRAMES["a"])
    values = [[some[name] for name in order] for some in FRAMES.values()]
    roc = metrics.roc_auc_score(wanted, values, multi_class="ovr", labels=order)
    assert scored.summary["auc_roc"]["mean"] == pytest.approx(roc)
    assert "recall" not in scored.summary


def test_another_programs_table_scores_alike(tmp_path):
    truth = write_table(tmp_path / "truth.csv", ("name", "class"), FRAME_TRUTH.items())
    rows = [(f"{name}.png", *some.values()) for name, some in FRAMES.items()]
    table = write_table(tmp_path / "other.csv", ("name", "nerve", "vessel", "other"), rows)
    ours, theirs = score(write_predictions(tmp_path / "run", FRAMES), truth), score(table, truth)
    assert ours.summary == theirs.summary


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)


def test_class_folders_and_masks_are_the_same_truth_as_the_table(tmp_path, presence, truth):
    expected = score(presence, truth).summary
    for name, wanted in TRUTH.items():
        draw(tmp_path / "folders" / {"present": "Nerve", "absent": "Absent"}[wanted] / f"{name}.png")
        mask = np.full((8, 8), 2, np.uint8)
        if wanted == "present":
            mask[:3, :3] = 1
        else:
            mask[0, :2] = 1
        write_labels(tmp_path / "masks" / f"{name}_mask.png", mask)
    assert score(presence, tmp_path / "folders").summary == expected
    assert score(presence, tmp_path / "masks", min_area=2).summary == expected
    assert "no picture of the truth is absent" in score(presence, tmp_path / "masks").notes[0]


def test_one_picture_works_and_says_that_the_curve_is_undefined(tmp_path, presence):
    draw(tmp_path / "folders" / "Nerve" / "p1_a.png")
    scored = score(presence, tmp_path / "folders")
    assert scored.summary["accuracy"]["mean"] == 1
    assert scored.summary["auc_roc"]["mean"] is scored.summary["auc_roc"]["interval95"] is None
    assert scored.details["runs"][0]["curves"]["present"] is None
    assert any("curves of present are undefined" in note for note in scored.notes)
    assert "5 predictions have no truth" in scored.notes
    scored.to_json(tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_text())["classes"][0]["recall"] is None


def test_pictures_that_share_a_name_go_by_their_class_folder(tmp_path):
    run = write_predictions(tmp_path / "run", {"Nerve-1": {"nerve": 0.9}, "absent-1": {"nerve": 0.3}})
    draw(tmp_path / "folders" / "Nerve" / "1.png")
    draw(tmp_path / "folders" / "absent" / "1.png")
    assert score(run, tmp_path / "folders").summary["accuracy"]["mean"] == 1


def test_recognizing_the_patient_shows_within_groups(tmp_path):
    """Pooled the area is high, as the probability tells patients apart; within each patient it is of no use."""
    probability, truth, groups = {}, {}, {}
    for patient, (level, shares) in enumerate([(0.1, "aaap"), (0.9, "pppa"), (0.2, "aaaa")]):
        for index, share in enumerate(shares):
            name = f"{patient}_{index}"
            probability[name], groups[name] = {"nerve": level}, f"patient {patient}"
            truth[name] = "present" if share == "p" else "absent"
    run = write_predictions(tmp_path / "run", probability)
    wanted = write_table(tmp_path / "truth.csv", ("name", "class"), truth.items())
    table = write_table(tmp_path / "groups.csv", ("name", "group"), groups.items())
    scored = score(run, wanted, groups=table)
    assert scored.summary["auc_roc"]["mean"] > 0.7
    assert scored.summary["auc_roc_within_groups"]["mean"] == pytest.approx(0.5)
    assert scored.summary["auc_roc_within_groups"]["groups"] == 2
    assert [row["auc_roc"] for row in scored.details["runs"][0]["groups"]] == [0.5, 0.5, None]
    assert "1 groups are all on one side and have no area of their own" in scored.notes
    alone = score(run, wanted)
    assert alone.summary["accuracy"]["mean"] == scored.summary["accuracy"]["mean"]
    assert alone.summary["accuracy"]["interval95"] != scored.summary["accuracy"]["interval95"]
    write_table(table, ("name", "group"), list(groups.items())[1:])
    with pytest.raises(DataError, match="no group for 0_0"):
        score(run, wanted, groups=table)


def test_runs_give_mean_and_deviation(tmp_path, presence, truth):
    other = write_predictions(tmp_path / "other", {name: {"nerve": 1 - v} for name, v in PRESENCE.items()})
    both = score([presence, other], truth)
    singles = [score(run, truth).summary["auc_roc"]["mean"] for run in (presence, other)]
    assert both.summary["auc_roc"]["mean"] == pytest.approx(np.mean(singles))
    assert both.summary["auc_roc"]["sd_runs"] == pytest.approx(np.std(singles, ddof=1))
    assert len(both.cases) == 2 * len(TRUTH)
    frames = write_predictions(tmp_path / "frames", FRAMES)
    with pytest.raises(DataError, match="other classes"):
        score([presence, frames], truth)


def test_a_missing_picture_is_named_or_counts_as_surely_wrong(tmp_path, truth):
    gates = {name: {"nerve": value} for name, value in PRESENCE.items() if name != "p1_a"}
    run = write_predictions(tmp_path / "run", gates, failed=["p1_a"])
    with pytest.raises(DataError, match=r"1 of 6 pictures have no prediction .*p1_a"):
        score(run, truth)
    scored = score(run, truth, missing="worst")
    assert (scored.cases[0]["status"], scored.cases[0]["probability_of_truth"]) == ("missing", 0)
    assert scored.summary["recall"]["mean"] == pytest.approx(1 / 3)


def test_the_table_and_the_files_hold_the_same_figures(tmp_path, presence, truth):
    scored = score(presence, truth)
    scored.to_csv(tmp_path / "cases.csv")
    rows = list(csv.DictReader((tmp_path / "cases.csv").open()))
    assert [row["truth"] for row in rows] == list(TRUTH.values())
    scored.to_json(tmp_path / "all.json")
    written = json.loads((tmp_path / "all.json").read_text())
    assert written["summary"] == scored.summary
    assert written["details"]["runs"][0]["confusion"] == [[1, 2], [1, 2]]
    console = Console(width=160)
    with console.capture() as captured:
        console.print(scored.table())
    assert f"{scored.summary['brier']['interval95'][0]:.4f} to" in captured.get()


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (("name", "label"), [("p1_a", "present")], "no column 'class'"),
        (("name", "class"), [("p1_a", "presnt")], "Did you mean present"),
        (("name", "class"), [("p1_a", "present"), ("p1_a.png", "absent")], "p1_a more than once"),
        (("name", "class"), [("x", "present"), ("y", "absent")], "No name meets"),
        (("name", "class"), [], "no rows"),
        (("name", "class"), [("p1_a",)], "has not 2 columns"),
    ],
)
def test_a_truth_that_cannot_be_used_says_why(tmp_path, presence, header, rows, said):
    with pytest.raises(DataError, match=said):
        score(presence, write_table(tmp_path / "bad.csv", header, rows))


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (("name", "nerve"), [("p1_a", "often")], "p1_a has often"),
        (("name", "nerve"), [("p1_a", "1.5")], "from 0 to 1"),
        (("name", "nerve"), [("p1_a", "0.5"), ("p1_a", "0.6")], "more than once"),
        (("picture", "nerve"), [("p1_a", "0.5")], "no column 'name'"),
        (("name",), [("p1_a",)], "no column of probabilities"),
        (("name", "macro", "nerve"), [("p1_a", "0.5", "0.5")], "called macro"),
    ],
)
def test_a_table_of_answers_that_cannot_be_used_says_why(tmp_path, truth, header, rows, said):
    with pytest.raises(DataError, match=said):
        score(write_table(tmp_path / "bad.csv", header, rows), truth)


def test_predictions_without_a_gate_are_refused_in_one_sentence(tmp_path, truth):
    run = write_predictions(tmp_path / "run", {"p1_a": {}})
    with pytest.raises(DataError, match="the recipe has no gate"):
        score(run, truth)
    with pytest.raises(DataError, match="no answered input"):
        score(write_predictions(tmp_path / "failed", {}, failed=["p1_a"]), truth)
    with pytest.raises(DataError, match=r"There is no .*predictions\.json"):
        score(tmp_path, truth)
    (run / "predictions.json").write_text("[]")
    with pytest.raises(DataError, match="does not hold what it should"):
        score(run, truth)
    mixed = write_predictions(tmp_path / "mixed", {"p1_a": {"nerve": 0.5}, "p1_b": {"vessel": 0.5}})
    with pytest.raises(DataError, match="gates of p1_b"):
        score(mixed, truth)


def test_options_that_do_not_fit_are_refused(tmp_path, presence, truth):
    with pytest.raises(UsageError, match="no pixels"):
        score(presence, truth, fov=tmp_path)
    with pytest.raises(UsageError, match="least area"):
        score(presence, truth, min_area=5)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither masks nor folders"):
        score(presence, tmp_path / "empty")
    write_labels(tmp_path / "masks" / "a.png", np.ones((4, 4), np.uint8))
    with pytest.raises(DataError, match="holds masks"):
        score(write_predictions(tmp_path / "frames", FRAMES), tmp_path / "masks")
