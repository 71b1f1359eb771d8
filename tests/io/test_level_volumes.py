"""Vertebral levels are found for their case and turned to its image's axes."""

import nibabel as nib
import numpy as np
import pytest

from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io.level_volumes import read_levels
from tests.geometry.volumes import oriented

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
LEVELS = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.int16)
GRID = Grid(LEVELS.shape, AFFINE)


def written(path, values=LEVELS, affine=AFFINE):
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def test_levels_of_other_axes_are_turned(tmp_path):
    path = written(tmp_path / "a.nii.gz", *oriented(LEVELS, AFFINE, "PIL"))
    assert np.array_equal(read_levels(path, GRID, "any"), LEVELS)


def test_a_folder_has_them_by_the_name_of_the_case(tmp_path):
    written(tmp_path / "t2_seg_labeled.nii.gz")
    written(tmp_path / "t2b.nii.gz", LEVELS * 0)
    assert np.array_equal(read_levels(tmp_path, GRID, "t2"), LEVELS)
    assert read_levels(tmp_path, GRID, "t1") is None
    written(tmp_path / "t2_levels.nii.gz")
    with pytest.raises(DataError, match="several"):
        read_levels(tmp_path, GRID, "t2")
    written(tmp_path / "t2.nii.gz", LEVELS + 1)
    assert np.array_equal(read_levels(tmp_path, GRID, "t2"), LEVELS + 1)


def test_levels_on_another_grid_are_refused(tmp_path):
    with pytest.raises(DataError, match="grid"):
        read_levels(written(tmp_path / "a.nii.gz", affine=np.diag([1.0, 2, 4, 1])), GRID, "a")
