"""What cannot be planned, and what is told before a training."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from gracile.errors import DataError
from gracile.plan import make_plan
from tests.plan.drawn_sets import SHAPE, two_balls, write_volume_case
from tests.volumes_on_disk import write_nifti


def test_one_case_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 labeled case"):
        make_plan(two_balls(tmp_path, 1))


def test_empty_labels_teach_nothing(tmp_path: Path) -> None:
    for number in range(2):
        write_volume_case(tmp_path, f"case_{number}", np.ones(SHAPE), np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match="Every label is empty"):
        make_plan(tmp_path)


def test_more_classes_than_bytes_hold_are_refused(tmp_path: Path) -> None:
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 501
    for number in range(2):
        write_volume_case(tmp_path, f"case_{number}", np.zeros(SHAPE), values.astype(np.int16))
    with pytest.raises(DataError, match="500 classes"):
        make_plan(tmp_path)


def test_a_spacing_of_zero_is_refused(tmp_path: Path) -> None:
    two_balls(tmp_path, 2)
    path = tmp_path / "imagesTr" / "case_000_0000.nii.gz"
    values = np.asarray(nib.load(path).dataobj)
    write_nifti(path, values, np.eye(4), pixdim=[1, 1, 1, 0, 0, 0, 0, 0], srow_z=[0, 0, 0, 0])
    with pytest.raises(DataError, match="case_000"):
        make_plan(tmp_path)


def test_a_folder_of_neither_pictures_nor_volumes_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match="neither pictures nor volumes"):
        make_plan(tmp_path)


def test_a_class_that_few_cases_show_is_told(tmp_path: Path) -> None:
    two_balls(tmp_path, 7, {"background": 0, "front": 1, "back": 2, "speck": 3})
    path = tmp_path / "labelsTr" / "case_000.nii.gz"
    image = nib.load(path)
    label = np.asarray(image.dataobj).copy()
    label[2:5, 2:5, 2:5] = 3
    nib.save(nib.Nifti1Image(label, image.affine), path)
    plan = make_plan(tmp_path, minutes=1)
    assert any("'speck'" in warning for warning in plan.warnings)
    assert plan.recipe.stages[0].balance == "classes"
