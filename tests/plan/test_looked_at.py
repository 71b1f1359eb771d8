"""Which cases of a data set a plan looks at, and how long."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from gracile.data import find_cases
from gracile.errors import DataError
from gracile.learning.step_time import time_step
from gracile.plan import Fingerprint, make_plan, take_fingerprint
from gracile.plan.bare_recipe import bare_recipe
from gracile.plan.candidates import candidates_for
from gracile.plan.rules import read_rules
from tests.plan.drawn_sets import SHAPE, ball, tubes, two_balls, write_volume_case


def fingerprint_with(folder: Path, tmp_path: Path, rules: str) -> Fingerprint:
    (tmp_path / "rules.yaml").write_text(rules)
    recipe = bare_recipe(folder)
    return take_fingerprint(find_cases(folder, recipe), recipe, read_rules(tmp_path / "rules.yaml"))


def two_scanners(folder: Path) -> Path:
    """Eight cases, the first four of 1 mm and the others of 2 mm."""
    generator = np.random.default_rng(0)
    for number in range(8):
        label = ball(SHAPE, (15, 18, 14), 6).astype(np.uint8)
        image = generator.normal(0, 1, SHAPE) + 3 * label
        write_volume_case(folder, f"case_{number}", image, label, 1.0 + (number > 3))
    return folder


@pytest.mark.parametrize(
    "rule", ["looked_at: {value: 3}", "looked_at_voxels: {value: 1}", "looking_seconds: {value: 0}"]
)
def test_where_not_all_cases_are_looked_at_they_are_of_the_whole_set(tmp_path: Path, rule: str) -> None:
    found = fingerprint_with(two_scanners(tmp_path / "data"), tmp_path, rule)
    assert found.looked_at == 3
    assert set(found.spacings[:, 0]) == {1.0, 2.0}


def test_a_spacing_that_not_all_cases_were_asked_for_is_stated(tmp_path: Path) -> None:
    folder = two_balls(tmp_path / "data", 8)
    some = fingerprint_with(folder, tmp_path, "looked_at: {value: 3}")
    every = fingerprint_with(folder, tmp_path, "looked_at: {value: 8}")
    spacings = [candidates_for(found, read_rules())[0].settings["stages.segment.spacing_mm"] for found in (some, every)]
    assert spacings == [[1.0, 1.0, 1.0], [0, 0, 0]]


def test_large_sets_are_not_read_once_more_for_near_duplicates(tmp_path: Path) -> None:
    folder = two_balls(tmp_path / "data", 8)
    for part, end in (("imagesTr", "_0000"), ("labelsTr", "")):
        shutil.copyfile(folder / part / f"case_007{end}.nii.gz", folder / part / f"other_900{end}.nii.gz")
    looked = "looked_at: {value: 3}\n"
    assert fingerprint_with(folder, tmp_path, looked).duplicates == [("case_007", "other_900")]
    assert fingerprint_with(folder, tmp_path, looked + "compared_voxels: {value: 1000}").duplicates == []


def test_nothing_shown_is_said_with_the_number_of_cases(tmp_path: Path) -> None:
    two_balls(tmp_path, 4, {"background": 0, "front": 1, "back": 2})
    for path in (tmp_path / "labelsTr").iterdir():
        nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4)), path)
    with pytest.raises(DataError, match="None of the 4 cases"):
        make_plan(tmp_path, minutes=1)


def test_steps_are_timed_on_cases_that_teach(tmp_path: Path) -> None:
    folder = tubes(tmp_path / "data", empty=3, cases=5)
    plan = make_plan(folder, minutes=1)
    assert plan.tried[0].timed is not None
    assert any("3 of 5 cases show no structure" in warning for warning in plan.warnings)
    empty = [case for case in find_cases(folder, plan.recipe) if case.id < "case_3"]
    with pytest.raises(DataError, match="learns nothing from any of 3 cases"):
        time_step(plan.recipe, empty, tmp_path / "cache")
