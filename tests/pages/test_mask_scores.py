"""An evaluation's report: worst first, with truth and differences where images are given."""

import re

import numpy as np
import pytest
from PIL import Image

from gracile import api
from gracile.errors import DataError, UsageError
from gracile.geometry import centerline_from_mask
from gracile.io import write_centerline
from gracile.recipe import read_recipe
from tests.data.test_volume_layouts import volume_recipe
from tests.volumes_on_disk import write_nifti

SIZE = 40


@pytest.fixture
def folders(tmp_path):
    """Three labels of a structure, and predictions of falling quality: good, middling, bad."""
    for name in ("truth", "run", "images"):
        (tmp_path / name).mkdir()
    for name, shift in {"good": 0, "middling": 3, "bad": 8}.items():
        truth = np.zeros((SIZE, SIZE), np.uint8)
        truth[10:20, 5:35] = 1
        Image.fromarray(truth).save(tmp_path / "truth" / f"{name}.png")
        Image.fromarray(np.roll(truth, shift, axis=0)).save(tmp_path / "run" / f"{name}.png")
        Image.fromarray(np.full((SIZE, SIZE, 3), 90, np.uint8)).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def evaluate(folders, runs=("run",), **more):
    classes = read_recipe("structure-2d").classes
    path = folders / "pages" / "report.html"
    predictions = [folders / run for run in runs]
    evaluation = api.evaluate(predictions, folders / "truth", "segmentation", classes=classes, report=path, **more)
    return evaluation, path.read_text(encoding="utf-8")


def test_worst_comes_first_with_its_score(folders):
    evaluation, text = evaluate(folders)
    assert re.findall(r'data-case="(\w+)"', text) == ["bad", "middling", "good"]
    dice = {row["case"]: row["dice"] for row in evaluation.cases}
    assert dice["bad"] == pytest.approx(0.2)
    first = text.index('data-case="bad"')
    assert 'data-value="0.2"' in text[first : text.index("</tr>", first)]
    assert "Worst Dice first." in text
    assert "data:image/jpeg" not in text


def test_images_bring_truth_and_differences(folders):
    _, text = evaluate(folders, images=folders / "images")
    assert text.count("data:image/jpeg") == 3
    layers = re.findall(r'data-layer="([^"]+)"( hidden)?', text)
    groups = {name.split("/")[0] for name, _ in layers}
    assert groups == {"Found", "Truth", "Differences"}
    assert {name for name, hidden in layers if not hidden} == {
        "Differences/wrong class", "Differences/missed", "Differences/false alarm",
    }  # fmt: skip


def test_several_runs_are_one_row_per_case_with_their_mean(folders):
    (folders / "other").mkdir()
    for path in (folders / "truth").iterdir():
        (folders / "other" / path.name).write_bytes(path.read_bytes())
    _, text = evaluate(folders, runs=("run", "other"))
    assert re.findall(r'data-case="(\w+)"', text) == ["bad", "middling", "good"]
    assert "0.6000" in text[text.index('data-case="bad"') :]
    assert "means over 2 runs" in text


def test_a_missing_prediction_leads_and_is_drawn_as_missed(folders):
    (folders / "run" / "good.png").unlink()
    _, text = evaluate(folders, images=folders / "images", missing="worst")
    assert re.findall(r'data-case="(\w+)"', text) == ["good", "bad", "middling"]
    assert text.count("There is no prediction: every score counts with its worst value.") == 2
    assert text.count("data:image/jpeg") == 3


def test_images_that_belong_to_nothing_are_refused_before_scoring(folders):
    (folders / "elsewhere").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folders / "elsewhere" / "other.png")
    with pytest.raises(DataError, match="no image for any label"):
        evaluate(folders, images=folders / "elsewhere")


def test_images_without_a_report_are_refused(folders):
    with pytest.raises(UsageError, match="report"):
        api.evaluate(folders / "run", folders / "truth", "segmentation", images=folders / "images")


def test_false_alarms_and_misses_come_before_low_dice(folders):
    empty, painted = np.zeros((SIZE, SIZE), np.uint8), np.ones((SIZE, SIZE), np.uint8)
    for name, (truth, mask) in {"alarm": (empty, painted), "missed": (painted, empty), "calm": (empty, empty)}.items():
        Image.fromarray(truth).save(folders / "truth" / f"{name}.png")
        Image.fromarray(mask).save(folders / "run" / f"{name}.png")
        Image.fromarray(np.full((SIZE, SIZE, 3), 90, np.uint8)).save(folders / "images" / f"{name}.png")
    path = folders / "report.html"
    api.evaluate(folders / "run", folders / "truth", "gated-segmentation", report=path, images=folders / "images")
    text = path.read_text(encoding="utf-8")
    assert re.findall(r'data-case="(\w+)"', text) == ["alarm", "missed", "bad", "middling", "calm", "good"]
    assert "structure: false alarm" in text
    assert "structure: missed" in text
    assert "95 % interval" in text
    captions = re.findall(r"<figcaption>([^<]+)<", text)
    assert captions == ["Dice", "Dice on positives"]
    assert '<a href="images/alarm.png">Image</a>' in text


@pytest.mark.parametrize("protocol", ["segmentation", "gated-segmentation"])
def test_each_unit_is_said_once_and_a_picture_has_pixels(folders, protocol):
    Image.fromarray(np.zeros((SIZE, SIZE), np.uint8)).save(folders / "truth" / "bad.png")  # a false alarm has an area
    path = folders / "report.html"
    api.evaluate(folders / "run", folders / "truth", protocol, report=path)
    text = path.read_text(encoding="utf-8")
    headings = [
        " ".join(re.sub("<[^>]+>", " ", cell).split())
        for cell in re.findall(r"<th scope=\"(?:row|col)\"[^>]*>(.*?)</th>", text, re.DOTALL)
    ]
    expected = {"segmentation": {"HD95 px", "Mean surface distance px"}, "gated-segmentation": {"False alarm area px"}}
    assert {"Pixels", *expected[protocol]} <= set(headings)
    assert not [heading for heading in headings if heading.count("px") > 1 or "oxels" in heading]


def test_volumes_are_drawn_with_their_truth_and_along_a_line_that_was_found_the_area_of_both(tmp_path):
    classes = volume_recipe().classes
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    truth = np.zeros((16, 18, 9), np.uint8)
    truth[5:11, 6:12, 1:8] = 1
    for folder, values in (("images", truth * 50), ("truth", truth), ("run", np.roll(truth, 1, axis=0))):
        write_nifti(tmp_path / folder / "a.nii.gz", values, affine)

    def page() -> str:
        path = tmp_path / "report.html"
        api.evaluate(
            tmp_path / "run", tmp_path / "truth", "segmentation", classes=classes, report=path,
            images=tmp_path / "images",
        )  # fmt: skip
        return path.read_text(encoding="utf-8")

    blob = page()
    assert {name.split("/")[0] for name in re.findall(r'data-layer="([^"]+)"', blob)} == {"Found", "Truth"}
    assert "Area along the structure" not in blob
    write_centerline(tmp_path / "run" / "centerline" / "a.csv", centerline_from_mask(truth, affine))
    cord = page()
    assert {name.split("/")[0] for name in re.findall(r'data-layer="([^"]+)"', cord)} == {"Found", "Truth", "Marks"}
    assert "Area along the structure" in cord
    assert ">truth</text>" in cord
