"""Structures along a line, and slices along any axis."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from gracile.data import find_cases
from gracile.plan import make_plan, take_fingerprint
from gracile.plan.bare_recipe import bare_recipe
from gracile.plan.rules import read_rules
from gracile.plan.slender import is_slender
from tests.plan.drawn_sets import tubes, two_balls, write_volume_case


def test_a_line_on_one_side_is_not_mirrored_either(tmp_path: Path) -> None:
    recipe = make_plan(tubes(tmp_path, middle=10), minutes=1).recipe
    assert [spec.kind for spec in recipe.stages] == ["centerline", "segment-volume"]
    assert not any(spec.augment.flip for spec in recipe.stages)
    assert not recipe.stages[1].flips


@pytest.mark.parametrize("shape", ["two side by side", "one above the other"])
def test_what_has_no_single_line_is_not_followed_along_one(tmp_path: Path, shape: str) -> None:
    for number in range(2):
        x, y, z = np.ogrid[:48, :48, :100]
        if shape == "two side by side":
            label = ((x - 16) ** 2 + (y - 24 - number) ** 2 <= 9) | ((x - 32) ** 2 + (y - 24) ** 2 <= 9) & (z >= 0)
        else:
            label = ((x - 24) ** 2 + (y - 24 - number) ** 2 <= 9) & (z % 20 < 12)
        label = np.broadcast_to(label, (48, 48, 100)).astype(np.uint8)
        write_volume_case(tmp_path, f"case_{number}", 3.0 * label, label)
    recipe = bare_recipe(tmp_path)
    found = take_fingerprint(find_cases(tmp_path, recipe), recipe, read_rules())
    assert found.slenderness[0] > 10
    assert not is_slender(found, read_rules())


def sagittal(folder: Path, names: dict[str, int] | None = None) -> Path:
    """Slices 4 mm apart from left to right, of 1 mm samples; a structure, or one on either side."""
    generator, shape = np.random.default_rng(1), (14, 48, 40)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for number in range(3):
        x, y, z = np.indices(shape)
        near = (y - 22 - number) ** 2 + (z - 20) ** 2 <= 64
        label = (near & (x > 2) & (x < 11)).astype(np.uint8)
        if names:
            label[(x > 6) & (label > 0)] = 2
        affine = np.diag([4.0, 1.0, 1.0, 1.0])
        image = (generator.normal(0, 1, shape) + 3 * label).astype(np.float32)
        nib.save(nib.Nifti1Image(image, affine), folder / "imagesTr" / f"case_{number}_0000.nii.gz")
        nib.save(nib.Nifti1Image(label, affine), folder / "labelsTr" / f"case_{number}.nii.gz")
    if names:
        table = {"channel_names": {"0": "MR"}, "labels": names}
        (folder / "dataset.json").write_text(json.dumps(table))
    return folder


def test_sagittal_slices_are_turned_to_the_third_axis(tmp_path: Path) -> None:
    plan = make_plan(sagittal(tmp_path), minutes=1)
    spec = plan.recipe.stages[0]
    assert plan.recipe.prepare.orientation == "ASR"
    assert plan.tried[0].timed is not None
    assert spec.slices == 3
    assert plan.fingerprint.spacing.tolist() == [1, 1, 4]
    assert not spec.augment.flip
    assert spec.augment.flip_axes == spec.flips == [2]


def test_sides_are_swapped_along_the_axis_that_they_were_turned_to(tmp_path: Path) -> None:
    plan = make_plan(sagittal(tmp_path, {"background": 0, "left": 1, "right": 2}), minutes=1)
    assert plan.recipe.prepare.orientation == "ASR"
    assert plan.recipe.stages[0].augment.flip_axes == [2]
    assert [spec.opposite for spec in plan.recipe.classes] == ["", "right", "left"]


def test_a_channel_that_is_called_ct_is_one_whatever_its_air(tmp_path: Path) -> None:
    two_balls(tmp_path, 3, {"background": 0, "front": 1, "back": 2})
    for path in sorted((tmp_path / "imagesTr").iterdir()):
        image = np.asarray(nib.load(path).dataobj)
        nib.save(nib.Nifti1Image(image - 2000, np.eye(4)), path.with_name(path.name.replace("_0000", "_0001")))
    table = json.loads((tmp_path / "dataset.json").read_text()) | {"channel_names": {"0": "CT", "1": "T1"}}
    (tmp_path / "dataset.json").write_text(json.dumps(table))
    first, second = make_plan(tmp_path, minutes=1).recipe.prepare.intensity
    assert first.method == "training-set"
    assert second == "zscore"


def test_a_channel_that_is_named_ct_is_seen_as_ct_whatever_it_holds(tmp_path: Path) -> None:
    two_balls(tmp_path, 3, {"background": 0, "front": 1, "back": 2})
    table = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(table | {"channel_names": {"0": "CT"}}))
    assert make_plan(tmp_path, minutes=1).recipe.prepare.intensity.method == "training-set"
