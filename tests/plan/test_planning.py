"""Plans: a stranger's folder to a recipe with reasons, and what is said where none can be made."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gracile.errors import DataError, RecipeError
from gracile.plan import make_plan
from gracile.plan.bare_recipe import bare_recipe
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
    page = (tmp_path / "mine.html").read_text()
    assert "What was chosen, and why" in page
    assert f'<td class="words">{plan.reasons["train.epochs"]}</td>' in page


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
