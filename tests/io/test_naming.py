"""Files that belong together find each other by their names."""

import unicodedata
from pathlib import Path

import pytest

from gracile.errors import DataError
from gracile.io import case_key, image_files, pair_files, stem
from gracile.io.naming import natural_order, numbered_subjects


def paths(*names):
    return [Path(name) for name in names]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/t2.nii.gz", "t2"), ("05_g.JPG", "05_g"), ("points.mrk.json", "points"), ("v1.2.png", "v1.2"), ("x", "x")],
)
def test_stem(name, expected):
    assert stem(name) == expected


def test_suffixes_of_a_role_are_stripped_once():
    names = ["05_g.jpg", "05_g_AVmanual.png", "05_g_mask.tif", "05_g_0000.nii.gz", "05_g_seg.png", "05_g_label.png"]
    assert {case_key(name) for name in names} == {"05_g"}
    assert case_key("21_manual1.gif") == "21"
    assert case_key("_mask.png") == "_mask"


@pytest.mark.parametrize(
    ("image", "other"),
    [
        ("05_g.jpg", "05_g_AVmanual.png"),
        ("05_g.jpg", "05_g_mask.tif"),
        ("21_training.tif", "21_training_mask.gif"),
        ("21_training.tif", "21_manual1.gif"),
        ("01_test.tif", "01_test.png"),
        ("nerve_0000.png", "nerve.png"),
    ],
)
def test_known_layouts_pair(image, other):
    assert pair_files(paths(image), paths(other)) == {Path(image): Path(other)}


def test_exact_name_wins_over_a_looser_one():
    assert pair_files(paths("05.png"), paths("05_manual1.png", "05.gif")) == {Path("05.png"): Path("05.gif")}


def test_what_does_not_match_is_none():
    assert pair_files(paths("1.png", "11.png"), paths("11_mask.png")) == {
        Path("1.png"): None,
        Path("11.png"): Path("11_mask.png"),
    }


def test_training_and_test_of_one_number_stay_apart():
    images = paths("01_test.tif", "01_training.tif")
    found = pair_files(images, paths("01_training_mask.gif", "01_test_mask.gif"))
    assert found == {images[0]: Path("01_test_mask.gif"), images[1]: Path("01_training_mask.gif")}
    with pytest.raises(DataError, match=r"01_test\.tif, 01_training\.tif and 01_manual1\.gif"):
        pair_files(images, paths("01_manual1.gif"))


def test_two_candidates_are_an_error():
    with pytest.raises(DataError, match="not clear"):
        pair_files(paths("05_g.jpg"), paths("05_g_mask.png", "05_g_AVmanual.png"))
    with pytest.raises(DataError, match="not clear"):
        pair_files(paths("a.png", "a.jpg"), paths("a.gif"))


def test_image_files_are_sorted_pictures_without_hidden_ones(tmp_path):
    for name in ("b.PNG", "a.tif", ".part-1-c.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["a.tif", "b.PNG"]
    with pytest.raises(DataError, match="not a folder"):
        image_files(tmp_path / "absent")


def test_numbered_names_tell_the_subject_only_where_all_are_such():
    assert numbered_subjects(["1_1", "1_2", "12_1"]) == {"1_1": "1", "1_2": "1", "12_1": "12"}
    assert numbered_subjects(["1_1", "05_h"]) == {"1_1": "1_1", "05_h": "05_h"}


def test_names_composed_and_taken_apart_are_one():
    composed, apart = (unicodedata.normalize(form, "Müller.png") for form in ("NFC", "NFD"))
    assert composed != apart
    assert stem(apart) == stem(composed)
    assert pair_files([Path("images", composed)], [Path("labels", apart)]) == {
        Path("images", composed): Path("labels", apart)
    }


def test_numbers_in_names_are_sorted_as_people_count():
    assert sorted(["f10", "f2", "f1", "a3b10", "a3b9"], key=natural_order) == ["a3b9", "a3b10", "f1", "f2", "f10"]
