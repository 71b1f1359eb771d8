"""The page of a classification: figures over all pictures, then the pictures, wrong ones first."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from gracile import api
from gracile.errors import DataError

GATES = {"good": 0.9, "alarm": 0.8, "missed": 0.3, "calm": 0.1, "unsure": 0.55}
TRUTH = {"good": "present", "alarm": "absent", "missed": "present", "calm": "absent", "unsure": "present"}


@pytest.fixture
def folders(tmp_path):
    """A run of a presence gate with one false alarm and one miss, its truth as a table, and pictures."""
    for name in ("run", "images"):
        (tmp_path / name).mkdir()
    records = [{"name": name, "status": "found", "gates": {"nerve": value}} for name, value in GATES.items()]
    (tmp_path / "run" / "predictions.json").write_text(json.dumps({"inputs": records}))
    (tmp_path / "truth.csv").write_text("name,class\n" + "".join(f"{n},{c}\n" for n, c in TRUTH.items()))
    (tmp_path / "groups.csv").write_text("name,group\n" + "".join(f"{n},{n < 'd'}\n" for n in TRUTH))
    for name in GATES:
        Image.fromarray(np.full((20, 30), 90, np.uint8)).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def page(folders, run="run", **more):
    path = folders / "pages" / "report.html"
    api.evaluate(folders / run, folders / "truth.csv", "classification", report=path, **more)
    return path.read_text(encoding="utf-8")


def test_wrong_decisions_come_first(folders):
    text = page(folders)
    assert re.findall(r'data-case="(\w+)"', text) == ["alarm", "missed", "unsure", "calm", "good"]
    assert "<li>false alarm</li>" in text
    assert "<li>missed</li>" in text
    assert "Flagged first, then worst Probability of truth first." in text
    assert "data:image/jpeg" not in text


def test_the_figures_are_there_and_speak(folders):
    text = page(folders, groups=folders / "groups.csv")
    spoken = re.findall(r'<svg class="chart square"[^>]*aria-label="([^"]+)"', text)
    assert [words.split(":")[0] for words in spoken] == [
        "Confusion matrix", "ROC curve", "Precision-recall curve", "Calibration",
    ]  # fmt: skip
    assert "absent: 1 called absent, 1 called present" in spoken[0]
    assert "present area 0.667" in spoken[1]
    for caption in ("Scores by class", "Scores over all cases", "Within each group"):
        assert f"<caption>{caption}</caption>" in text
    assert "present from a probability of 0.5 on" in text


def test_pictures_and_links_to_them(folders):
    text = page(folders, images=folders / "images")
    assert text.count("data:image/jpeg") == 2 * 5  # on the first screen, and at its case
    assert '<a href="../images/alarm.png">Image</a>' in text
    (folders / "elsewhere").mkdir()
    with pytest.raises(DataError, match="no image for any case"):
        page(folders, images=folders / "elsewhere")


def test_one_picture_has_no_curve_and_the_page_says_so(folders):
    (folders / "truth.csv").write_text("name,class\ngood,present\n")
    text = page(folders)
    assert "The curves of present are undefined: every picture of the truth is present." in text
    assert 'aria-label="ROC curve' not in text
    assert "1 case," in text


def test_several_classes_and_runs(folders):
    for run, level in (("first", 0.7), ("second", 0.4)):
        (folders / run).mkdir()
        rest = (1 - level) / 2
        records = [
            {"name": name, "status": "found", "gates": {"absent": rest, "present": rest, "other": level}}
            for name in GATES
        ]
        (folders / run / "predictions.json").write_text(json.dumps({"inputs": records}))
    path = folders / "report.html"
    api.evaluate([folders / "first", folders / "second"], folders / "truth.csv", "classification", report=path)
    text = path.read_text(encoding="utf-8")
    assert "means over 2 runs; pictures and figures show the first" in text
    assert "other, run 2" in text
    assert "The curves of other are undefined" in text


def test_a_missing_answer_leads(folders):
    records = [{"name": name, "status": "found", "gates": {"nerve": v}} for name, v in GATES.items() if name != "good"]
    (folders / "run" / "predictions.json").write_text(json.dumps({"inputs": records}))
    text = page(folders, missing="worst")
    assert re.findall(r'data-case="(\w+)"', text)[0] == "good"
    assert "it counts as a wrong decision that was certain" in text
