"""Volumes are scored on the truth's grid and in millimeters, whatever way the masks run."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

import gracile
from gracile.cli import app
from gracile.errors import DataError
from gracile.evaluation import evaluate
from gracile.evaluation.surfaces import _by_transform, _by_tree, surface_distances
from tests.data.test_volume_layouts import volume_recipe
from tests.volumes_on_disk import write_nifti

RAS = np.array([[0.5, 0, 0, -20.0], [0, 0.7, 0, -30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])
SHAPE = (20, 24, 9)
CLASSES = volume_recipe().classes


def cord(first: int = 8) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[first : first + 4, 10:15, 1:8] = 1
    return mask


@pytest.fixture
def truth(tmp_path) -> Path:
    for name in ("a", "b"):
        write_nifti(tmp_path / "labels" / f"{name}_seg.nii.gz", cord(), RAS)
    return tmp_path / "labels"


def scores(predictions: Path, truth: Path) -> dict[str, dict[str, object]]:
    return {row["case"]: row for row in evaluate(predictions, truth, "segmentation", classes=CLASSES).cases}


def test_distances_are_in_mm_of_the_truths_grid(tmp_path, truth):
    write_nifti(tmp_path / "out" / "a.nii.gz", cord(10), RAS)
    write_nifti(tmp_path / "out" / "b.nii.gz", np.roll(cord(), 1, axis=2), RAS)
    a, b = scores(tmp_path / "out", truth).values()
    assert a["hd95_mm"] == pytest.approx(1.0)
    assert a["dice"] == pytest.approx(0.5)
    assert b["hd95_mm"] == pytest.approx(3.0)
    assert "hd95_px" not in a


def test_masks_that_run_another_way_are_turned(tmp_path, truth):
    for name, axes in (("a", [[1, -1], [2, 1], [0, -1]]), ("b", [[0, -1], [1, -1], [2, 1]])):
        turned = nib.orientations.apply_orientation(cord(9), np.array(axes))
        place = RAS @ nib.orientations.inv_ornt_aff(np.array(axes), SHAPE)
        write_nifti(tmp_path / "turned" / f"{name}.nii.gz", turned, place)
        write_nifti(tmp_path / "plain" / f"{name}.nii.gz", cord(9), RAS)
    assert scores(tmp_path / "turned", truth) == scores(tmp_path / "plain", truth)


def test_other_grids_and_pictures_are_refused(tmp_path, truth):
    shifted = RAS.copy()
    shifted[2, 3] += 6
    for name in ("a", "b"):
        write_nifti(tmp_path / "out" / f"{name}.nii.gz", cord(), shifted)
    with pytest.raises(DataError, match=r"a\.nii\.gz does not lie on the grid of its truth .*6\.0 mm away"):
        scores(tmp_path / "out", truth)
    (tmp_path / "pictures").mkdir()
    for name in ("a", "b"):
        Image.fromarray(cord()[..., 4]).save(tmp_path / "pictures" / f"{name}.png")
    with pytest.raises(DataError, match=r"is a picture, its truth a_seg\.nii\.gz is a volume"):
        scores(tmp_path / "pictures", truth)


def test_a_missing_volume_counts_as_worst_when_asked(tmp_path, truth):
    write_nifti(tmp_path / "out" / "a.nii.gz", cord(), RAS)
    with pytest.raises(DataError, match="no prediction"):
        scores(tmp_path / "out", truth)
    evaluation = evaluate(tmp_path / "out", truth, "segmentation", classes=CLASSES, missing="worst")
    assert evaluation.summary["dice"]["mean"] == 0.5
    assert evaluation.summary["missed"]["total"] == 1


def test_a_data_set_is_the_truth_of_predictions_by_the_ids_of_its_cases(tmp_path):
    (tmp_path / "cord.yaml").write_text(volume_recipe().to_yaml())
    for person in ("errsm_11", "errsm_12"):
        write_nifti(tmp_path / "data" / person / "t2.nii.gz", cord() * np.int16(700), RAS)
        write_nifti(tmp_path / "data" / person / "t2_seg-manual.nii.gz", cord(), RAS)
        write_nifti(tmp_path / "out" / f"{person}-t2.nii.gz", cord(9), RAS)
    evaluation = gracile.evaluate(
        tmp_path / "out", tmp_path / "data", "segmentation", recipe=tmp_path / "cord.yaml", report=tmp_path / "r.html"
    )
    assert [row["case"] for row in evaluation.cases] == ["errsm_11-t2", "errsm_12-t2"]
    assert evaluation.summary["dice"]["mean"] == pytest.approx(0.75)
    assert (tmp_path / "r.html").stat().st_size > 10_000
    command = ["evaluate", "out", "data", "--protocol", "segmentation", "--recipe", "cord.yaml", "--json", "s.json"]
    placed = [str(tmp_path / part) if part in ("out", "data", "cord.yaml", "s.json") else part for part in command]
    outcome = CliRunner().invoke(app, placed)
    assert outcome.exit_code == 0, outcome.output
    assert json.loads((tmp_path / "s.json").read_text())["summary"]["dice"]["mean"] == pytest.approx(0.75)
    (tmp_path / "out" / "errsm_12-t2.nii.gz").unlink()
    with pytest.raises(DataError, match="no prediction: errsm_12-t2"):
        gracile.evaluate(tmp_path / "out", tmp_path / "data", "segmentation", recipe=tmp_path / "cord.yaml")


@given(st.integers(0, 2**32 - 1), st.tuples(*[st.floats(0.2, 5)] * 3))
def test_both_ways_to_the_distances_give_the_same_ones(seed, spacing):
    random = np.random.default_rng(seed)
    masks = [ndimage.binary_dilation(random.random((7, 8, 6)) > 0.97) for _ in range(2)]
    if all(mask.any() for mask in masks):
        for one, other in zip(_by_tree(*masks, spacing), _by_transform(*masks, spacing), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_stray_voxel_far_away_changes_the_cost_not_the_distances():
    mask, found = np.zeros((60, 60, 40), bool), np.zeros((60, 60, 40), bool)
    mask[20:24, 20:25, 5:35] = found[21:25, 20:25, 5:35] = True
    near = surface_distances(mask, found, (1.0, 1.0, 3.0))
    found[59, 59, 39] = True
    hd95, mean = surface_distances(mask, found, (1.0, 1.0, 3.0))
    assert hd95 == near[0] == 1.0
    assert mean > near[1]
