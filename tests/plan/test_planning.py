"""Plans: a stranger's folder to a recipe with reasons, and what is said where none can be made."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from gracile.data import find_cases
from gracile.errors import DataError, RecipeError
from gracile.learning.step_time import time_step
from gracile.plan import Fingerprint, make_plan, take_fingerprint
from gracile.plan.bare_recipe import bare_recipe
from gracile.plan.candidates import candidates_for
from gracile.plan.rules import read_rules
from gracile.plan.slender import is_slender
from gracile.recipe import read_recipe
from tests.plan.drawn_sets import SHAPE, ball, disks, two_balls, write_volume_case
from tests.two_channels import write_data
from tests.volumes_on_disk import write_nifti


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_balls(tmp_path_factory.mktemp("volumes"), 6, {"background": 0, "front": 1, "back": 2})


def test_a_plan_is_a_recipe_that_reads_back_with_a_reason_beside_each_choice(volumes: Path, tmp_path: Path) -> None:
    plan = make_plan(volumes, minutes=2)
    plan.write(tmp_path / "mine.yaml")
    text = (tmp_path / "mine.yaml").read_text()
    assert read_recipe(tmp_path / "mine.yaml") == plan.recipe
    assert plan.recipe.class_names == ["background", "front", "back"]
    lines = text.splitlines()
    for setting in ("network:", "intensity:", "flip:", "validation:", "losses:"):
        at = next(number for number, line in enumerate(lines) if line.strip().startswith(setting))
        assert lines[at - 1].strip().startswith("#"), setting
    content = json.loads((tmp_path / "mine.json").read_text())
    assert content["fingerprint"]["touching"] == [["front", "back"]]
    assert content["candidates"][0]["seconds_per_step"] > 0
    assert "What was chosen, and why" in (tmp_path / "mine.html").read_text()


def test_the_patch_holds_the_structures(volumes: Path) -> None:
    plan = make_plan(volumes, minutes=2)
    spec = plan.recipe.stages[0]
    size = np.array([*spec.size, spec.length])
    assert (size >= plan.fingerprint.box).all()
    assert (size <= np.array(SHAPE) + 16).all()


def test_classes_come_from_the_labels_where_nothing_names_them(tmp_path: Path) -> None:
    recipe = bare_recipe(two_balls(tmp_path, 3, values=(2, 7)))
    assert recipe.class_names == ["background", "class-2", "class-7"]
    assert [spec.values for spec in recipe.classes] == [[0], [2], [7]]


def test_masks_of_0_and_255_are_one_structure_in_gray_pictures(tmp_path: Path) -> None:
    plan = make_plan(disks(tmp_path, 5), minutes=1)
    assert plan.recipe.class_names == ["background", "structure"]
    assert plan.recipe.input.channels == 1
    assert "fundus" not in plan.recipe.input.region


def test_colored_pictures_keep_their_channels(tmp_path: Path) -> None:
    assert make_plan(disks(tmp_path, 4, gray=False), minutes=1).recipe.input.channels == 3


def test_sides_are_swapped_with_their_names(tmp_path: Path) -> None:
    folder = two_balls(tmp_path, 4, {"background": 0, "left": 1, "right": 2})
    recipe = make_plan(folder, minutes=1).recipe
    assert [spec.opposite for spec in recipe.classes] == ["", "right", "left"]
    assert recipe.stages[0].augment.flip


def test_what_lies_on_one_side_is_not_mirrored(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for number in range(4):
        label = ball(SHAPE, (7 + number % 2, 18, 14), 4).astype(np.uint8)
        write_volume_case(tmp_path, f"case_{number}", generator.normal(0, 1, SHAPE) + 3 * label, label)
    plan = make_plan(tmp_path, minutes=1)
    assert not plan.recipe.stages[0].augment.flip
    assert "on one side" in plan.reasons["stages.segment.augment.flip"]


def test_two_classes_that_mirror_each_other_without_saying_so_are_not_mirrored(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for number in range(4):
        label = np.zeros(SHAPE, np.uint8)
        label[ball(SHAPE, (7, 18, 14 + number % 2), 4)] = 1
        label[ball(SHAPE, (24, 18, 14 + number % 2), 4)] = 2
        write_volume_case(tmp_path, f"case_{number}", generator.normal(0, 1, SHAPE) + label, label)
    assert not make_plan(tmp_path, minutes=1).recipe.stages[0].augment.flip


def test_computed_tomography_is_clipped_to_its_structures(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for number in range(3):
        label = ball(SHAPE, (15, 18, 14), 6).astype(np.uint8)
        image = np.where(label > 0, generator.normal(60, 10, SHAPE), -1000.0)
        write_volume_case(tmp_path, f"case_{number}", image, label)
    intensity = make_plan(tmp_path, minutes=1).recipe.prepare.intensity
    assert intensity.method == "training-set"
    assert 20 < intensity.low < 45 < 75 < intensity.high < 100
    assert abs(intensity.mean - 60) < 3


def test_few_cases_are_all_learned_from(volumes: Path) -> None:
    assert make_plan(volumes, minutes=1).recipe.train.validation == 0


def test_a_long_thin_structure_is_found_by_its_line_first(tmp_path: Path) -> None:
    generator, shape = np.random.default_rng(1), (48, 48, 100)
    for number in range(3):
        grid = np.indices(shape)
        middle = 24 + 4 * np.sin(grid[2] / 15 + number)
        label = ((grid[0] - 24) ** 2 + (grid[1] - middle) ** 2 <= 9).astype(np.uint8)
        write_volume_case(tmp_path, f"case_{number}", generator.normal(0, 1, shape) + 3 * label, label)
    recipe = make_plan(tmp_path, minutes=1).recipe
    assert [spec.kind for spec in recipe.stages] == ["centerline", "segment-volume"]
    assert recipe.stages[1].along == recipe.stages[0].name


def test_volumes_of_one_slice_are_seen_slice_by_slice(tmp_path: Path) -> None:
    generator, shape = np.random.default_rng(1), (48, 56, 1)
    for number in range(3):
        label = ball(shape, (24, 28, 0), 9).astype(np.uint8)
        write_volume_case(tmp_path, f"case_{number}", generator.normal(0, 1, shape) + 3 * label, label)
    assert make_plan(tmp_path, minutes=1).recipe.stages[0].slices == 1


# --- what cannot be planned


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


# --- rules


def test_rules_can_be_changed_and_mistakes_are_named(tmp_path: Path, volumes: Path) -> None:
    changed = tmp_path / "rules.yaml"
    changed.write_text("largest_patch_3d: {value: 5000}\n")
    assert read_rules(changed)["largest_patch_3d"] == 5000
    spec = make_plan(volumes, minutes=1, rules_file=changed).recipe.stages[0]
    assert spec.size[0] * spec.size[1] * spec.length <= 5000
    changed.write_text("largest_path_3d: {value: 5000}\n")
    with pytest.raises(RecipeError, match="largest_patch_3d"):
        read_rules(changed)
    changed.write_text("largest_patch_3d: {value: many}\n")
    with pytest.raises(RecipeError, match="cannot be 'many'"):
        read_rules(changed)


def test_every_rule_says_what_it_means_and_where_it_comes_from() -> None:
    rules = read_rules()
    assert all(rules.sources[name] for name in rules.values)


def test_two_cases_of_one_person_under_two_names_are_told(tmp_path: Path) -> None:
    two_balls(tmp_path, 4)
    for part, end in (("imagesTr", "_0000"), ("labelsTr", "")):
        shutil.copyfile(tmp_path / part / f"case_000{end}.nii.gz", tmp_path / part / f"other_900{end}.nii.gz")
    plan = make_plan(tmp_path, minutes=1)
    assert plan.fingerprint.duplicates == [("case_000", "other_900")]
    assert any("case_000 and other_900" in warning for warning in plan.warnings)


def test_regions_and_ignored_values_of_nnunet_are_planned_with(tmp_path: Path) -> None:
    two_balls(tmp_path, 3, {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3})
    table = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(table | {"regions_class_order": [1, 2]}))
    recipe = make_plan(tmp_path, minutes=1).recipe
    assert list(recipe.regions) == ["whole", "core"]
    assert recipe.written == [1, 2]
    assert recipe.ignores


def test_small_structures_are_sought_on_a_coarse_copy_first(tmp_path: Path) -> None:
    generator, shape = np.random.default_rng(1), (104, 112, 96)
    for number in range(3):
        label = ball(shape, (30 + number, 36, 28), 5).astype(np.uint8)
        write_volume_case(tmp_path, f"case_{number}", generator.normal(0, 1, shape) + 4 * label, label)
    recipe = make_plan(tmp_path, minutes=1).recipe
    assert [spec.name for spec in recipe.stages] == ["locate", "segment"]
    assert recipe.stages[1].within == "locate"
    assert recipe.stages[0].spacing_mm[0] > 1


def test_two_channels_keep_their_names(tmp_path: Path) -> None:
    write_data(tmp_path, "volume", count=3)
    table = {"channel_names": {"0": "t1", "1": "t2"}, "labels": {"background": 0, "blob": 1}}
    (tmp_path / "dataset.json").write_text(json.dumps(table))
    plan = make_plan(tmp_path, minutes=1)
    assert plan.recipe.input.channel_names == ["t1", "t2"]
    assert plan.fingerprint.channels == 2
    next((tmp_path / "imagesTr").glob("p1_0001*")).unlink()
    with pytest.raises(DataError, match=r"p1.*t2"):
        make_plan(tmp_path, minutes=1)


def write_points(folder: Path, outside: bool = False) -> Path:
    generator = np.random.default_rng(0)
    (folder / "images").mkdir()
    (folder / "landmarks").mkdir()
    for number in range(3):
        image = generator.normal(0, 1, (40, 44, 36))
        write_nifti(folder / "images" / f"{number}.nii.gz", image, np.diag([0.5, 0.5, 0.5, 1]))
        places = {"tip": (5 + number, 8, 9), "base": (15, 12, 400 if outside and number == 2 else 4)}
        rows = [f"{name},{x},{y},{z}" for name, (x, y, z) in places.items()]
        (folder / "landmarks" / f"{number}.csv").write_text("\n".join(["name,x_ras,y_ras,z_ras", *rows]))
    return folder


def test_points_are_planned_in_mm(tmp_path: Path) -> None:
    recipe = make_plan(write_points(tmp_path), minutes=1).recipe
    assert recipe.landmark_names == ["tip", "base"]
    assert recipe.stages[1].spacing_mm >= 0.5
    assert recipe.stages[0].spacing_mm[0] > recipe.stages[1].spacing_mm


def test_points_outside_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside"):
        make_plan(write_points(tmp_path, outside=True), minutes=1)


def test_settings_that_are_asked_for_are_what_is_timed(volumes: Path) -> None:
    plan = make_plan(volumes, minutes=2, settings=["stages.segment.per_case=1", "train.batch_size=3"])
    assert plan.recipe.stages[0].per_case == 1
    assert plan.recipe.train.batch_size == 3
    with pytest.raises(RecipeError, match="per_cases"):
        make_plan(volumes, minutes=2, settings=["stages.segment.per_cases=1"])


def test_cases_that_are_left_out_are_not_looked_at(tmp_path: Path) -> None:
    two_balls(tmp_path, 4)
    (tmp_path / "imagesTr" / "case_003_0000.nii.gz").write_bytes(b"broken")
    plan = make_plan(tmp_path, minutes=1, exclude="case_003")
    assert plan.fingerprint.labeled == 3


def test_many_cases_are_validated_within_the_minutes(volumes: Path) -> None:
    recipe = make_plan(volumes, minutes=1).recipe
    assert recipe.train.validate_every >= 1
    assert recipe.train.minutes == pytest.approx(0.9)


# --- which cases are looked at, and how


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


def tubes(folder: Path, middle: int = 24, empty: int = 0, cases: int = 3) -> Path:
    generator, shape = np.random.default_rng(1), (48, 48, 100)
    for number in range(cases):
        grid = np.indices(shape)
        bent = 24 + 4 * np.sin(grid[2] / 15 + number)
        label = ((grid[0] - middle) ** 2 + (grid[1] - bent) ** 2 <= 9).astype(np.uint8) * (number >= empty)
        write_volume_case(folder, f"case_{number}", generator.normal(0, 1, shape) + 3 * label, label)
    return folder


def test_steps_are_timed_on_cases_that_teach(tmp_path: Path) -> None:
    folder = tubes(tmp_path / "data", empty=3, cases=5)
    plan = make_plan(folder, minutes=1)
    assert plan.tried[0].timed is not None
    assert any("3 of 5 cases show no structure" in warning for warning in plan.warnings)
    empty = [case for case in find_cases(folder, plan.recipe) if case.id < "case_3"]
    with pytest.raises(DataError, match="learns nothing from any of 3 cases"):
        time_step(plan.recipe, empty, tmp_path / "cache")


# --- along a line


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


# --- slices that lie along another axis


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
