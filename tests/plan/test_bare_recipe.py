"""What a data set says of itself, however it lies on disk and however its labels are saved."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageFilter

from gracile.data import check_data, find_cases, read_case
from gracile.errors import DataError
from gracile.plan import labels_found, make_plan
from gracile.plan.bare_recipe import bare_recipe
from gracile.plan.labels_found import values_found
from gracile.recipe import Recipe
from tests.plan.drawn_sets import SHAPE, ball, two_balls, write_volume_case
from tests.volumes_on_disk import write_nifti, write_series

SIZE = (60, 80)


def pictures(folder: Path, labels: Sequence[np.ndarray], end: str = ".png", **saved: int) -> Path:
    """Gray pictures and labels of any coding; a label is what Pillow makes of its array."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, label in enumerate(labels):
        picture = np.random.default_rng(number).integers(0, 255, label.shape[:2], np.uint8)
        Image.fromarray(picture).save(folder / f"images/{number:03d}.png")
        Image.fromarray(label).save(folder / f"labels/{number:03d}{end}", **saved)
    return folder


def disk(value: int = 1, x: float = 40, radius: float = 14) -> np.ndarray:
    return ball(SIZE, (30, x), radius).astype(np.uint8) * np.uint8(value)


def colored(background: tuple[int, int, int], **disks: tuple[int, int, int]) -> np.ndarray:
    """RGB, with a disk of a color at ``x15`` and so on."""
    label = np.full((*SIZE, 3), background, np.uint8)
    for place, color in disks.items():
        label[disk(1, float(place[1:]), 9) > 0] = color
    return label


def truths(folder: Path, recipe: Recipe) -> list[set[int]]:
    """The class indices of each case, as training reads them."""
    assert not check_data(folder, recipe).errors
    cases = [read_case(files, recipe).truth for files in find_cases(folder, recipe)]
    return [set(np.unique(truth).tolist()) for truth in cases if truth is not None]


def volumes(folder: Path, labels: Sequence[np.ndarray]) -> Path:
    for number, label in enumerate(labels):
        write_volume_case(folder, f"case_{number}", np.random.default_rng(number).normal(0, 1, SHAPE), label)
    return folder


# --- the kind of a data set


def as_table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "cases.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("name", ["p{}.nii.gz", "im\\p{}.nii.gz"])
def test_files_right_beside_a_table_and_windows_paths_are_understood(tmp_path: Path, name: str) -> None:
    (tmp_path / "im").mkdir()
    label = ball(SHAPE, (15, 18, 14), 6).astype(np.uint8)
    rows = ["image,label"]
    for number in range(2):
        write_nifti(tmp_path / name.format(number).replace("\\", "/"), np.ones(SHAPE), np.eye(4))
        write_nifti(tmp_path / f"m{number}.nii.gz", label, np.eye(4))
        rows.append(f"{name.format(number)},m{number}.nii.gz")
    recipe = bare_recipe(as_table(tmp_path, "\n".join(rows)))
    assert (recipe.input.kind, recipe.class_names) == ("volume", ["background", "structure"])


@pytest.mark.parametrize(
    ("mark", "first", "encoding"),
    [(";", "", "utf-16"), ("\t", "", "utf-16"), ("|", "sep=|\n", "utf-8"), (";", "sep=;\n", "utf-8-sig")],
)
def test_tables_are_read_as_training_reads_them(tmp_path: Path, mark: str, first: str, encoding: str) -> None:
    label = ball(SHAPE, (15, 18, 14), 6).astype(np.uint8)
    rows = [mark.join(("image_T1", "image_T2", "label"))]
    for number in range(2):
        for role, values in (("a", np.ones(SHAPE)), ("b", np.ones(SHAPE)), ("m", label)):
            write_nifti(tmp_path / f"{role}{number}.nii.gz", values, np.eye(4))
        rows.append(mark.join(f"{role}{number}.nii.gz" for role in "abm"))
    recipe = bare_recipe(as_table(tmp_path, first + "\n".join(rows), encoding))
    assert (recipe.input.kind, recipe.input.channel_names) == ("volume", ["T1", "T2"])


def series_and_labels(folder: Path) -> None:
    for number in range(2):
        write_series(folder / f"images/p{number}", np.full((12, 10, 16), 100, np.int16), np.eye(4))
        grid = nib.Nifti1Image(np.ones((12, 10, 16), np.uint8), np.eye(4))
        (folder / "labels").mkdir(exist_ok=True)
        nib.save(grid, folder / f"labels/p{number}.nii.gz")


def test_dicom_series_are_volumes_in_folders_and_in_tables(tmp_path: Path) -> None:
    series_and_labels(tmp_path)
    assert bare_recipe(tmp_path).input.kind == "volume"
    rows = ["image,label", *(f"images/p{number},labels/p{number}.nii.gz" for number in range(2))]
    assert bare_recipe(as_table(tmp_path, "\n".join(rows))).input.kind == "volume"


def test_a_table_of_people_is_no_file_of_points(tmp_path: Path) -> None:
    member = ball(SHAPE, (15, 18, 14), 6).astype(np.uint8)
    for number in range(2):
        for place, values in (("nii", np.ones(SHAPE)), ("manual", member)):
            (tmp_path / place).mkdir(exist_ok=True)
            write_nifti(tmp_path / f"{place}/p{number}.nii.gz", values, np.eye(4))
    (tmp_path / "participants.tsv").write_text("participant_id\tage\np0\t40\np1\t50\n")
    assert bare_recipe(tmp_path).class_names == ["background", "structure"]


def test_volumes_alone_beside_a_table_of_people_have_no_labels(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for number in range(2):
        write_nifti(tmp_path / f"set/p{number}.nii.gz", np.ones(SHAPE), np.eye(4))
    (tmp_path / "set/demographics.csv").write_text("name,age\np0,40\n")
    with pytest.raises(DataError, match="None of the cases has a label"):
        bare_recipe(tmp_path / "set")


def test_the_error_of_a_data_set_that_cannot_be_used_is_that_of_its_own_kind(tmp_path: Path) -> None:
    folder = pictures(tmp_path, [disk(), disk()])
    (folder / "labels").rename(folder / "truth")
    with pytest.raises(DataError, match=r"a CSV file with the columns image,label; nnU-Net .* fov/"):
        bare_recipe(folder)


# --- numbers


def test_0_and_1_in_some_labels_and_0_and_255_in_others_are_one_structure(tmp_path: Path) -> None:
    folder = pictures(tmp_path, [disk(1), disk(255), disk(1)])
    recipe = bare_recipe(folder)
    assert [spec.values for spec in recipe.classes] == [[0], [1, 255]]
    assert truths(folder, recipe) == [{0, 1}] * 3


@pytest.mark.parametrize("structures", [1, 2])
def test_255_beside_classes_is_ignored_and_said(tmp_path: Path, structures: int) -> None:
    label = disk(1)
    label[:10, :10] = structures
    label[50:, 70:] = 255
    folder, warnings = pictures(tmp_path, [label, label]), list[str]()
    recipe = bare_recipe(folder, warnings)
    assert len(recipe.classes) == structures + 1
    assert recipe.classes[0].ignored == [255]
    assert "255" in warnings[0]
    assert truths(folder, recipe) == [{*range(structures + 1), 255}] * 2


def test_what_was_concluded_of_labels_is_said_in_the_plan(tmp_path: Path) -> None:
    label = disk(1)
    label[50:, 70:] = 255
    plan = make_plan(pictures(tmp_path, [label] * 3), minutes=1)
    assert any("255" in warning for warning in plan.warnings)
    assert plan.recipe.classes[0].ignored == [255]


def test_jpeg_masks_are_masks_of_black_and_white(tmp_path: Path) -> None:
    soft = np.array(Image.fromarray(disk(255)).filter(ImageFilter.GaussianBlur(1)))
    folder = pictures(tmp_path, [soft, soft], ".jpg", quality=60)
    recipe = bare_recipe(folder)
    assert recipe.class_names == ["background", "structure"]
    assert truths(folder, recipe) == [{0, 1}] * 2


def test_smooth_edges_of_a_mask_are_no_classes(tmp_path: Path) -> None:
    soft = np.array(Image.fromarray(disk(255)).filter(ImageFilter.GaussianBlur(1)))
    assert len(np.unique(soft)) > 12
    folder = pictures(tmp_path, [soft, disk(1), soft])
    recipe = bare_recipe(folder)
    assert recipe.class_names == ["background", "structure"]
    assert truths(folder, recipe) == [{0, 1}] * 3


def test_a_jpeg_of_many_values_that_is_no_mask_is_told(tmp_path: Path) -> None:
    slope = np.tile(np.linspace(0, 255, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
    with pytest.raises(DataError, match="JPEG"):
        bare_recipe(pictures(tmp_path, [slope, slope], ".jpg"))


def test_numbers_with_gaps_may_be_saved_in_three_equal_channels(tmp_path: Path) -> None:
    label = np.maximum(disk(100, 20), disk(200, 60))
    folder = pictures(tmp_path, [np.stack([label] * 3, -1)] * 2)
    recipe = bare_recipe(folder)
    assert [spec.values for spec in recipe.classes] == [[0], [100], [200]]
    assert truths(folder, recipe) == [{0, 1, 2}] * 2


# --- colors


def test_gray_and_white_are_colors_where_others_are(tmp_path: Path) -> None:
    red, gray, white = (200, 0, 0), (128, 128, 128), (255, 255, 255)
    labels = [colored((0, 0, 0), x15=gray), colored((0, 0, 0), x15=red, x40=gray), colored((0, 0, 0), x60=white)]
    folder = pictures(tmp_path, labels)
    recipe = bare_recipe(folder)
    assert [spec.color for spec in recipe.classes] == [(0, 0, 0), gray, red, white]
    assert truths(folder, recipe) == [{0, 1}, {0, 1, 2}, {0, 3}]


def test_white_is_the_background_where_nothing_is_black(tmp_path: Path) -> None:
    white = (255, 255, 255)
    folder = pictures(tmp_path, [colored(white, x40=(200, 0, 0)), colored(white)])
    recipe = bare_recipe(folder)
    assert [spec.color for spec in recipe.classes] == [white, (200, 0, 0)]
    assert truths(folder, recipe) == [{0, 1}, {0}]


def test_colors_of_which_none_is_a_background_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which color is the background"):
        bare_recipe(pictures(tmp_path, [colored((0, 0, 90), x40=(200, 0, 0))] * 2))


# --- nnU-Net


def test_numbers_with_gaps_in_dataset_json_are_planned_and_found_again(tmp_path: Path) -> None:
    two_balls(tmp_path, 2, {"background": 0, "front": 1, "back": 3}, values=(1, 3))
    recipe = bare_recipe(tmp_path)
    assert recipe.class_names == ["background", "front", "back"]
    assert truths(tmp_path, recipe) == [{0, 1, 2}] * 2
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "back": 1, "front": 3}}))
    assert "declares the classes" in check_data(tmp_path, recipe).errors[0].message


def test_regions_of_numbers_with_gaps_are_planned_and_found_again(tmp_path: Path) -> None:
    two_balls(tmp_path, 2, values=(1, 3))
    labels = {"background": 0, "whole": [1, 3], "core": [3]}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "regions_class_order": [1, 3]}))
    recipe = bare_recipe(tmp_path)
    assert (list(recipe.regions), recipe.written) == (["whole", "core"], [1, 2])
    assert truths(tmp_path, recipe) == [{0, 1, 2}] * 2


def test_what_a_training_part_declares_is_heeded(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    two_balls(folder, 2)
    for path in list((folder / "imagesTr").iterdir()):
        (path.parent / path.name.replace("_0000", "_0001")).write_bytes(path.read_bytes())
    labels = {"background": 0, "front": 1, "back": 2}
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1", "1": "T2"}, "labels": labels}))
    recipe = bare_recipe(tmp_path)
    assert (recipe.input.channel_names, recipe.class_names[1:]) == (["T1", "T2"], ["front", "back"])


def test_a_dataset_json_of_something_else_is_passed_over(tmp_path: Path) -> None:
    folder = pictures(tmp_path, [disk(), disk()])
    (folder / "dataset.json").write_text(json.dumps({"title": "Frames of 2019"}))
    assert bare_recipe(folder).class_names == ["background", "structure"]


# --- time


def test_classes_are_told_from_the_labels_that_there_is_time_for_and_that_is_said(tmp_path: Path) -> None:
    folder = volumes(tmp_path, [np.full(SHAPE, value, np.uint8) for value in (1, 2)])
    paths = sorted((folder / "labelsTr").iterdir())
    found = values_found(paths, "volume", seconds=0)
    assert found.values == {1}
    assert "from 1 of 2 labels" in found.warnings[0]
    assert not values_found(paths, "volume").warnings


def test_labels_that_are_read_first_are_spread_over_the_set(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03d}.png" for number in range(100)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(path)
    clock = iter(range(1000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels_found.time, "monotonic", lambda: float(next(clock)))
        found = values_found(paths, "image", seconds=19.5)
    assert sorted(found.values) == list(range(0, 100, 5))
