"""A data check finds every problem at once and is quiet on good data."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gracile.data import CaseFiles, Report, check_data, save_split
from gracile.recipe import read_recipe, recipe_from


@pytest.fixture
def recipe():
    colors = {"background": [0, 0, 0], "artery": [255, 0, 0], "vein": [0, 0, 255]}
    return recipe_from(
        {
            "name": "vessels",
            "title": "Vessels",
            "classes": [{"name": name, "color": color} for name, color in colors.items()],
            "stages": [{"kind": "segment", "network": {"name": "refining-unet"}, "losses": [{"name": "dice"}]}],
        }
    )


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)
    return path


def good_label() -> np.ndarray:
    label = np.zeros((10, 12), np.uint8)
    label[4, 2:10] = 1
    label[6, 2:10] = 2
    return label


@pytest.fixture
def folder(tmp_path):
    """Three good cases with labels and fields of view."""
    inside = np.zeros((10, 12), np.uint8)
    inside[1:9, 1:11] = 255
    for seed, name in enumerate("abc"):
        save(tmp_path / f"images/{name}.png", np.random.default_rng(seed).integers(0, 256, (10, 12, 3)))
        save(tmp_path / f"labels/{name}.png", good_label())
        save(tmp_path / f"fov/{name}_mask.png", inside)
    return tmp_path


def found(folder, recipe, **more):
    """Severity, name of the file and message of each problem."""
    return [(p.severity, Path(p.file).name, p.message) for p in check_data(folder, recipe, **more).problems]


def only(problems):
    assert len(problems) == 1, problems
    return problems[0]


def test_good_data_has_no_problem_and_its_figures_are_counted(folder, recipe):
    report = check_data(folder, recipe)
    assert report.problems == []
    assert (report.cases, report.labeled, report.with_region, report.subjects) == (3, 3, 3, 3)
    assert report.sizes == {"12 x 10": 3}
    assert report.pixels == {"background": 312, "artery": 24, "vein": 24}
    assert json.loads(json.dumps(report.to_dict()))["pixels"]["vein"] == 24
    assert "3 images of 3 subjects" in report.summary()
    assert "0 errors" in report.summary()


def test_image_without_label(folder, recipe):
    (folder / "labels/b.png").unlink()
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("warning", "b.png")
    assert "no label" in message


def test_label_without_image(folder, recipe):
    save(folder / "labels/z.png", good_label())
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("warning", "z.png")
    assert "no image" in message


@pytest.mark.parametrize("name", ["labels/b.png", "fov/b_mask.png"])
def test_sizes_differ(folder, recipe, name):
    save(folder / name, np.ones((12, 10)))
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("error", Path(name).name)
    assert "10 x 12" in message
    assert "12 x 10" in message


def test_unknown_label_value_with_its_count(folder, recipe):
    label = good_label()
    label[0, :5] = 7
    save(folder / "labels/b.png", label)
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("error", "b.png")
    assert "7 (5 pixels)" in message


@pytest.mark.parametrize("name", ["images/b.png", "labels/b.png", "fov/b_mask.png"])
def test_truncated_file(folder, recipe, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    severity, file, _ = only(found(folder, recipe))
    assert (severity, file) == ("error", Path(name).name)


def test_empty_label_and_label_all_of_one_class(folder, recipe):
    save(folder / "labels/a.png", np.zeros((10, 12)))
    save(folder / "labels/b.png", np.full((10, 12), 2))
    problems = [(severity, file, message) for severity, file, message in found(folder, recipe) if "label is" in message]
    assert problems == [
        ("warning", "a.png", "The label is empty: all background."),
        ("warning", "b.png", "The label is vein all over."),
    ]


def test_images_with_equal_pixels_in_whatever_format(folder, recipe):
    array = np.array(Image.open(folder / "images/a.png"))
    (folder / "images/c.png").unlink()
    save(folder / "images/c.tif", array)
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("warning", "c.tif")
    assert "a.png" in message


def test_empty_field_of_view(folder, recipe):
    save(folder / "fov/b_mask.png", np.zeros((10, 12)))
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("error", "b_mask.png")
    assert "empty" in message


def test_missing_field_of_view_is_worth_a_warning_only_where_others_have_one(folder, recipe):
    (folder / "fov/b_mask.png").unlink()
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("warning", "b.png")
    assert "field of view" in message
    for rest in (folder / "fov").iterdir():
        rest.unlink()
    assert found(folder, recipe) == []


def test_foreground_outside_the_field_of_view(folder, recipe):
    label = good_label()
    label[0, 0] = 1  # 1 of 17 foreground pixels
    save(folder / "labels/b.png", label)
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("warning", "b.png")
    assert message.startswith("5.9%")


def test_class_that_never_occurs(folder, recipe):
    for path in (folder / "labels").iterdir():
        save(path, good_label() % 2)
    severity, file, message = only(found(folder, recipe))
    assert (severity, file) == ("warning", folder.name)
    assert "vein never occurs" in message


def test_every_problem_is_listed_at_once_errors_first_and_in_one_order(folder, recipe):
    (folder / "labels/a.png").unlink()
    (folder / "images/b.png").write_bytes(b"no picture")
    (folder / "fov/c_mask.png").unlink()
    save(folder / "labels/z.png", good_label())
    save(folder / "images/c.jpg", np.zeros((10, 12)))
    problems = found(folder, recipe)
    severities = [severity for severity, _, _ in problems]
    assert severities == sorted(severities)
    assert "warning" in severities
    assert {file for _, file, _ in problems} >= {"a.png", "b.png", "z.png"}
    assert any("not clear" in message for _, _, message in problems)
    assert problems == found(folder, recipe)


def test_source_without_layout_is_a_problem_and_others_are_still_checked(folder, recipe, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    (folder / "labels/b.png").unlink()
    problems = found([empty, folder], recipe)
    assert {(severity, file) for severity, file, _ in problems} == {("error", empty.name), ("warning", "b.png")}


def test_csv_faults_are_listed_line_by_line(folder, recipe):
    table = folder / "table.csv"
    table.write_text("image,label\nimages/a.png,labels/a.png\nimages/x.png,\nimages/y.png,\n")
    messages = [message for _, _, message in found(table, recipe)]
    assert len(messages) == 2
    assert "line 3" in messages[0]
    assert "line 4" in messages[1]


def case(folder, id, subject):
    return CaseFiles(id, folder / f"images/{id}.png", None, None, subject)


def test_same_picture_on_both_sides_of_a_split(folder, recipe):
    save(folder / "images/c.png", np.array(Image.open(folder / "images/a.png")))
    apart = folder / "apart.json"
    save_split(apart, [case(folder, "a", "a"), case(folder, "b", "b")], [case(folder, "c", "c")], seed=0)
    assert any("both sides" in message for _, _, message in found(folder, recipe, split=apart))
    together = folder / "together.json"
    save_split(together, [case(folder, "a", "a"), case(folder, "c", "c")], [case(folder, "b", "b")], seed=0)
    assert not any("both sides" in message for _, _, message in found(folder, recipe, split=together))


def test_same_subject_on_both_sides_of_a_split(folder, recipe):
    table = folder / "table.csv"
    rows = [
        f"images/{id}.png,labels/{id}.png,fov/{id}_mask.png,{subject}"
        for id, subject in (("a", "x"), ("b", "x"), ("c", "y"))
    ]
    table.write_text("\n".join(["image,label,region,subject", *rows]))
    split = folder / "split.json"
    save_split(split, [case(folder, "a", "x")], [case(folder, "b", "x"), case(folder, "c", "y")], seed=0)
    severity, file, message = only(found(table, recipe, split=split))
    assert (severity, file) == ("error", "split.json")
    assert "subject x" in message


@pytest.mark.real
def test_real_drive_is_clean(real_data):
    report = check_data(real_data / "retina-av" / "drive-av", read_recipe("retina-av"))
    assert report.problems == []
    assert report.sizes == {"565 x 584": 20}
    assert all(report.pixels.values())


def test_labels_that_no_class_has_are_answered_with_one_line_to_type_for_all(folder, recipe):
    for name, value in (("a", 3), ("b", 5)):
        label = good_label()
        label[0, :5] = value
        save(folder / f"labels/{name}.png", label)
    remedies = {p.remedy for p in check_data(folder, recipe).errors}
    (remedy,) = remedies
    setting = shlex.split(remedy.partition("--set ")[2])[0]
    better = recipe_from(recipe.model_dump(mode="json"), [setting])
    assert better.class_names == ["background", "artery", "vein", "class-3", "class-5"]
    assert not check_data(folder, better).errors


def test_many_sizes_are_summed_up():
    sizes = {"10 x 10": 2, "40 x 30": 9, "20 x 20": 1, "64 x 48": 3}
    assert "Sizes: 10 x 10 to 64 x 48, most often 40 x 30 (9 of 15)." in Report(sizes=sizes).summary()
    assert "Sizes: 10 x 10 (2), 20 x 20 (1)." in Report(sizes={"10 x 10": 2, "20 x 20": 1}).summary()


def test_a_mask_that_was_cut_at_half_is_said(tmp_path, recipe):
    two = recipe.model_copy(update={"classes": recipe.classes[:2]})
    path = tmp_path / "soft"
    save(path / "images/a.png", np.zeros((32, 32, 3), np.uint8) + np.arange(32, dtype=np.uint8)[:, None, None])
    soft = np.zeros((32, 32), np.float32)
    soft[8:20, 8:20] = 0.9999
    (path / "labels").mkdir()
    Image.fromarray(soft).save(path / "labels/a.tif")
    problems = check_data(path, two).problems
    assert [p.file for p in problems if "the label is soft: it was cut at half" in p.message] == [
        str(path / "labels/a.tif")
    ]
