"""Masks beside images are a data set; run-length tables go out and come in."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gracile.cli import app
from gracile.data import find_cases
from gracile.data.kaggle import export_run_lengths, import_run_lengths
from gracile.errors import DataError, UsageError
from gracile.recipe import recipe_from

RECIPE = {
    "name": "nerve",
    "title": "Nerve",
    "classes": [
        {"name": "background", "color": [0, 0, 0]},
        {"name": "nerve", "color": [255, 0, 0]},
        {"name": "vessel", "color": [0, 0, 255]},
    ],
    "stages": [{"kind": "segment", "network": {"name": "refining-unet"}, "losses": [{"name": "dice"}]}],
}


def picture(path: Path, array: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 6), np.uint8) if array is None else array).save(path)
    return path


@pytest.mark.parametrize("inside", [".", "train"])
def test_the_competitions_folder_as_it_is_downloaded(tmp_path, inside):
    folder = tmp_path / inside
    for name in ("1_1", "1_2", "12_1"):
        picture(folder / f"{name}.tif")
        picture(folder / f"{name}_mask.tif")
    picture(folder / "2_7.tif")
    cases = find_cases(tmp_path, recipe_from(RECIPE))
    assert [(c.id, c.subject, c.label and c.label.name) for c in cases] == [
        ("12_1", "12", "12_1_mask.tif"),
        ("1_1", "1", "1_1_mask.tif"),
        ("1_2", "1", "1_2_mask.tif"),
        ("2_7", "2", None),
    ]


def test_names_of_another_kind_are_subjects_by_themselves(tmp_path):
    for name in ("arm_left", "arm_right"):
        picture(tmp_path / f"{name}.png")
        picture(tmp_path / f"{name}_mask.png")
    assert [c.subject for c in find_cases(tmp_path, recipe_from(RECIPE))] == ["arm_left", "arm_right"]


def test_a_folder_of_pictures_alone_is_no_such_set(tmp_path):
    picture(tmp_path / "1_1.tif")
    with pytest.raises(DataError, match="no layout"):
        find_cases(tmp_path, recipe_from(RECIPE))


@pytest.fixture
def predictions(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for name in ("1_1", "1_2"):
        picture(tmp_path / "out" / f"{name}.png", random.integers(0, 3, (5, 7)).astype(np.uint8))
    picture(tmp_path / "out" / "2_1.png", np.zeros((5, 7), np.uint8))
    (tmp_path / "out" / "predictions.json").write_text(json.dumps({"inputs": [], "settings": {"recipe": RECIPE}}))
    return tmp_path / "out"


def test_predictions_go_out_and_come_in(predictions, tmp_path):
    table, masks = tmp_path / "nerve.csv", tmp_path / "masks"
    outcome = CliRunner().invoke(app, ["data", "export-rle", str(predictions), str(table), "--structure", "nerve"])
    assert outcome.exit_code == 0, outcome.output
    assert table.read_text().splitlines()[-1] == "2_1,"
    outcome = CliRunner().invoke(app, ["data", "import-rle", str(table), "--size", "5,7", "--out", str(masks)])
    assert outcome.exit_code == 0, outcome.output
    for name in ("1_1", "1_2", "2_1"):
        written, read = (np.array(Image.open(folder / f"{name}.png")) for folder in (predictions, masks))
        assert (read == (written == 1)).all()


def test_what_cannot_be_told_is_asked_for(predictions, tmp_path):
    with pytest.raises(UsageError, match="There are: nerve, vessel"):
        export_run_lengths(predictions, tmp_path / "a.csv", "muscle")
    (predictions / "predictions.json").unlink()
    with pytest.raises(UsageError, match="--recipe"):
        export_run_lengths(predictions, tmp_path / "a.csv", "nerve")


def test_a_table_of_larger_pictures_is_refused_with_its_picture(tmp_path):
    (tmp_path / "a.csv").write_text("img,pixels\n7,30 9\n")
    with pytest.raises(DataError, match="picture 7: A run ends at pixel 38"):
        import_run_lengths(tmp_path / "a.csv", (5, 7), tmp_path / "out")
