"""A data set of several channels is found in nnU-Net's folders, in images and labels, and by a CSV."""

import json
from pathlib import Path

import numpy as np
import pytest

from gracile.data import check_data, find_cases, fingerprint, read_case
from gracile.data.channel_table import offered_channels
from gracile.errors import DataError
from tests.two_channels import draw, recipe_of, suffix, write_data, write_image

KINDS = pytest.mark.parametrize("kind", ["volume", "image"])


def found(folder: Path, recipe) -> dict[str, list[str]]:
    return {case.id: [path.name for path in (case.image, *case.channels)] for case in find_cases(folder, recipe)}


def errors(folder: Path, recipe) -> list[str]:
    return [problem.message for problem in check_data(folder, recipe).errors]


@KINDS
def test_nnunets_folders(tmp_path, kind):
    write_data(tmp_path, kind)
    end, recipe = suffix(kind), recipe_of(kind)
    assert found(tmp_path, recipe) == {f"p{n}": [f"p{n}_0000{end}", f"p{n}_0001{end}"] for n in range(3)}
    assert all(case.label is not None for case in find_cases(tmp_path, recipe))
    assert not errors(tmp_path, recipe)
    case = read_case(find_cases(tmp_path, recipe)[0], recipe)
    assert case.image.shape[0] == 2
    assert case.truth is not None


@KINDS
def test_images_and_labels_in_folders_of_their_own(tmp_path, kind):
    write_data(tmp_path, kind)
    (tmp_path / "imagesTr").rename(tmp_path / "images")
    (tmp_path / "labelsTr").rename(tmp_path / "labels")
    end, recipe = suffix(kind), recipe_of(kind)
    assert found(tmp_path, recipe) == {f"p{n}": [f"p{n}_0000{end}", f"p{n}_0001{end}"] for n in range(3)}
    assert not errors(tmp_path, recipe)


@KINDS
def test_a_channel_that_is_missing_in_one_case_is_named_with_the_case(tmp_path, kind):
    write_data(tmp_path, kind)
    (tmp_path / "imagesTr" / f"p1_0001{suffix(kind)}").unlink()
    said = errors(tmp_path, recipe_of(kind))
    assert len(said) == 1
    assert "case p1 lacks channel 2 (t2)" in said[0]
    for_volumes = kind == "volume"  # a picture's first file may hold all channels, which is seen when it is read
    if for_volumes:
        with pytest.raises(DataError, match=r"case p1 lacks channel 2 \(t2\): there is no file .*p1_0001"):
            find_cases(tmp_path, recipe_of(kind))


@KINDS
def test_a_channel_too_many_and_one_that_comes_before_are_named(tmp_path, kind):
    write_data(tmp_path, kind)
    end = suffix(kind)
    write_image(tmp_path / "imagesTr" / f"p2_0002{end}", draw(kind, 0)[0])
    (tmp_path / "imagesTr" / f"p0_0000{end}").unlink()
    said = errors(tmp_path, recipe_of(kind))
    assert ["p0 lacks channel 1 (t1)" in said[0], "p2 has 3 channels" in said[1]] == [True, True]


def test_a_data_sets_own_names_are_said_where_the_recipe_has_none(tmp_path):
    write_data(tmp_path, "volume")
    (tmp_path / "imagesTr/p1_0001.nii.gz").unlink()
    labels = {"background": 0, "blob": 1}
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1w", "1": "FLAIR"}, "labels": labels}))
    assert "p1 lacks channel 2 (FLAIR)" in errors(tmp_path, recipe_of("volume", names=()))[0]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"channel_names": {"0": "a", "1": "b", "2": "c"}}, "declares 3 channels (0 a, 1 b, 2 c)"),
        ({"modality": {"0": "T2", "1": "T1"}}, "has them in another order: t1, t2"),
        ({"channel_names": {"0": "T1", "1": "T2"}}, ""),
        ({"channel_names": {"0": "first", "1": "second"}}, ""),
    ],
)
def test_what_a_dataset_json_declares_is_compared_by_number(tmp_path, declared, said):
    write_data(tmp_path, "volume")
    (tmp_path / "dataset.json").write_text(json.dumps({**declared, "labels": {"background": 0, "blob": 1}}))
    found_errors = errors(tmp_path, recipe_of("volume"))
    assert (said in found_errors[0]) if said else not found_errors


def test_what_a_data_set_offers_is_told_before_there_is_a_recipe(tmp_path):
    write_data(tmp_path / "plain", "volume", 1)
    assert offered_channels(tmp_path / "plain") == ["", ""]
    (tmp_path / "plain/dataset.json").write_text(json.dumps({"channel_names": {"0": "T1", "1": "T2"}}))
    assert offered_channels(tmp_path / "plain") == ["T1", "T2"]
    assert offered_channels(table(tmp_path, "id,image_T1,image_t2,label")) == ["T1", "t2"]
    assert offered_channels(table(tmp_path, "image,label")) == [""]
    (tmp_path / "empty").mkdir()
    assert offered_channels(tmp_path / "empty") == [""]


def table(folder: Path, *lines: str) -> Path:
    path = folder / "cases.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("p1_t1", "p1_t2", "p2_t1", "p2_t2"):
        write_image(tmp_path / f"{name}.png", np.full((30, 40), 50.0 + 10 * int(name[-1])))
    for name in ("p1", "p2"):
        write_image(tmp_path / f"{name}.png", np.eye(30, 40))
    return tmp_path


def test_the_columns_of_a_csv_meet_the_recipes_channels_by_name(files):
    rows = ("image_T2,image_T1,label", "p1_t2.png,p1_t1.png,p1.png")
    recipe = recipe_of("image")
    (case,) = find_cases(table(files, *rows), recipe)
    assert (case.id, case.image.name, [path.name for path in case.channels]) == ("p1", "p1_t1.png", ["p1_t2.png"])
    (case,) = find_cases(table(files, *rows), recipe_of("image", names=()))
    assert [case.image.name, case.channels[0].name] == ["p1_t2.png", "p1_t1.png"], "without names in the file's order"


@pytest.mark.parametrize(
    ("header", "names", "said"),
    [
        ("image_t1,image_t2,image_t3,label", ("t1", "t2"), "the column image_t3, which is no channel"),
        ("image_t1,image_x,label,id", ("t1", "t2"), "no column image_t2"),
        ("image_t1,label", (), "names 1 channels (t1), and the recipe takes 2"),
        ("image,image_t1,label", ("t1", "t2"), "has the column image and columns of channels"),
        ("picture_t1,label", ("t1", "t2"), "unknown columns picture_t1"),
    ],
)
def test_columns_that_do_not_fit_are_told(files, header, names, said):
    with pytest.raises(DataError) as caught:
        find_cases(table(files, header, "p1_t1.png,p1_t2.png,p1.png,p1"), recipe_of("image", names=names))
    assert said in caught.value.message


def test_an_empty_cell_names_line_case_and_channel(files):
    source = table(files, "id,image_t1,image_t2,label", "a,p1_t1.png,p1_t2.png,p1.png", "b,p2_t1.png,,p2.png")
    with pytest.raises(DataError, match=r"line 3: the case b lacks channel 2 \(t2\)"):
        find_cases(source, recipe_of("image"))


@KINDS
def test_a_checksum_covers_every_channel_and_their_order(tmp_path, kind):
    write_data(tmp_path, kind, count=1)
    recipe = recipe_of(kind)
    before = fingerprint(find_cases(tmp_path, recipe), recipe.input)["files"]["p0"]
    first, second = (tmp_path / "imagesTr" / f"p0_{number:04d}{suffix(kind)}" for number in range(2))
    second.rename(tmp_path / f"kept{suffix(kind)}")
    write_image(second, draw(kind, 5)[1])
    changed = fingerprint(find_cases(tmp_path, recipe), recipe.input)["files"]["p0"]
    second.unlink()
    first.rename(second)
    (tmp_path / f"kept{suffix(kind)}").rename(first)
    swapped = fingerprint(find_cases(tmp_path, recipe), recipe.input)["files"]["p0"]
    for key in ("sha256", "image"):
        assert len({before[key], changed[key], swapped[key]}) == 3
