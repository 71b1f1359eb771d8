"""What a truth ignores is not scored, in pictures and volumes, nor is what was found there."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gracile.cli import app
from gracile.evaluation import evaluate
from gracile.recipe import ClassSpec
from tests.volumes_on_disk import write_nifti

CLASSES = [ClassSpec(name="background", color=(0, 0, 0), ignored=[9]), ClassSpec(name="nerve", color=(255, 0, 0))]


def drawn(*size: int) -> tuple[np.ndarray, np.ndarray]:
    """A truth of which a part is ignored, and a prediction that is right everywhere else."""
    truth = np.zeros(size, np.uint8)
    truth[4:10, 4:12] = 1
    found = truth.copy()
    truth[14:18], found[14:18] = 9, 1
    truth[8:10, 4:12], found[8:10] = 9, 0
    return truth, found


@pytest.mark.parametrize("protocol", ["segmentation", "gated-segmentation"])
@pytest.mark.parametrize("size", [(20, 24), (20, 24, 6)])
def test_a_prediction_that_is_wrong_only_where_the_truth_is_ignored_is_perfect(tmp_path, protocol, size):
    truth, found = drawn(*size)
    for folder, labels in (("truth", truth), ("out", found)):
        (tmp_path / folder).mkdir()
        if len(size) == 3:
            write_nifti(tmp_path / folder / "a.nii.gz", labels, np.diag([1.0, 1.0, 2.0, 1.0]))
        else:
            Image.fromarray(labels).save(tmp_path / folder / "a.png")
    scores = evaluate(tmp_path / "out", tmp_path / "truth", protocol, classes=CLASSES).cases[0]
    assert scores["dice"] == 1.0
    if protocol == "segmentation":
        assert scores["false_alarms"] == 0
        assert scores["precision"] == 1.0


def test_the_command_reads_what_is_ignored_from_the_recipe_and_shows_it_as_background(tmp_path):
    truth, found = drawn(20, 24)
    for folder, labels in (("truth", truth), ("out", found), ("images", found * 9)):
        (tmp_path / folder).mkdir()
        Image.fromarray(labels).save(tmp_path / folder / "a.png")
    from gracile.recipe import read_recipe

    recipe = read_recipe("structure-2d", ["classes.0.ignored=[9]"])
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    arguments = ["evaluate", str(tmp_path / "out"), str(tmp_path / "truth"), "--protocol", "segmentation"]
    more = ["--recipe", str(tmp_path / "recipe.yaml"), "--json", str(tmp_path / "scores.json"),
            "--images", str(tmp_path / "images"), "--report", str(tmp_path / "report.html")]  # fmt: skip
    answer = CliRunner().invoke(app, [*arguments, *more])
    assert answer.exit_code == 0, answer.output
    assert json.loads((tmp_path / "scores.json").read_text())["cases"][0]["dice"] == 1.0
    assert (tmp_path / "report.html").is_file()
