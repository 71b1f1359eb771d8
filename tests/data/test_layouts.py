"""Data sets as people lay them out are found, or refused with the reason."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gracile.data import find_cases, labeled, read_case, select
from gracile.errors import DataError
from gracile.recipe import recipe_from


@pytest.fixture
def recipe():
    return recipe_from(
        {
            "name": "nerve",
            "title": "Nerve",
            "classes": [{"name": "background", "color": [0, 0, 0]}, {"name": "nerve", "color": [255, 0, 0]}],
            "stages": [{"kind": "segment", "network": {"name": "refining-unet"}, "losses": [{"name": "dice"}]}],
        }
    )


def picture(path: Path, size=(6, 8), value=0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full(size, value, np.uint8)
    array[1, 2] = 1
    Image.fromarray(array).save(path)
    return path


def dataset(folder: Path, names=("a", "b"), images="images", labels="labels") -> Path:
    for name in names:
        picture(folder / images / f"{name}.png")
        picture(folder / labels / f"{name}.png")
    return folder


@pytest.mark.parametrize("labels", ["labels", "label", "masks", "1st_manual", "manual", "av", "Labels"])
def test_images_meet_labels_whatever_the_label_folder_is_called(tmp_path, recipe, labels):
    cases = find_cases(dataset(tmp_path, labels=labels), recipe)
    assert [(c.id, c.label, c.region, c.subject) for c in cases] == [
        ("a", tmp_path / labels / "a.png", None, "a"),
        ("b", tmp_path / labels / "b.png", None, "b"),
    ]


def test_drive_as_it_is_downloaded(tmp_path, recipe):
    picture(tmp_path / "training/images/21_training.tif")
    picture(tmp_path / "training/1st_manual/21_manual1.gif")
    picture(tmp_path / "training/mask/21_training_mask.gif")
    picture(tmp_path / "test/images/01_test.tif")
    picture(tmp_path / "test/mask/01_test_mask.gif")
    (case,) = find_cases(tmp_path, recipe)
    assert case.id == "21_training"
    assert case.label == tmp_path / "training/1st_manual/21_manual1.gif"
    assert case.region == tmp_path / "training/mask/21_training_mask.gif"


def test_mask_beside_images_alone_is_not_guessed_to_be_labels(tmp_path, recipe):
    with pytest.raises(DataError, match="no folder of labels"):
        find_cases(dataset(tmp_path, labels="mask"), recipe)


def test_two_label_folders_are_not_chosen_between(tmp_path, recipe):
    dataset(tmp_path, labels="labels")
    dataset(tmp_path, labels="masks")
    with pytest.raises(DataError, match="labels, masks"):
        find_cases(tmp_path, recipe)


def test_a_test_part_is_never_used_unless_it_is_named(tmp_path, recipe):
    dataset(tmp_path / "training", names=["a"])
    dataset(tmp_path / "test", names=["b"])
    assert [c.id for c in find_cases(tmp_path, recipe)] == ["a"]
    assert [c.id for c in find_cases(tmp_path / "test", recipe)] == ["b"]


def test_a_set_with_only_a_test_part_says_how_to_use_it(tmp_path, recipe):
    dataset(tmp_path / "test")
    with pytest.raises(DataError) as caught:
        find_cases(tmp_path, recipe)
    assert str(tmp_path / "test") in caught.value.remedy


def test_image_without_label_is_kept_and_not_counted_as_labeled(tmp_path, recipe):
    picture(dataset(tmp_path) / "images" / "c.png")
    cases = find_cases(tmp_path, recipe)
    assert [c.label is None for c in cases] == [False, False, True]
    assert [c.id for c in labeled(cases)] == ["a", "b"]


def test_folder_without_a_single_pair_names_one_of_each(tmp_path, recipe):
    picture(tmp_path / "images" / "patient_1.png")
    picture(tmp_path / "labels" / "truth_1.png")
    with pytest.raises(DataError, match=r"no pair.*patient_1\.png and truth_1\.png"):
        find_cases(tmp_path, recipe)


def test_unknown_layout_says_what_was_looked_for_and_what_is_there(tmp_path, recipe):
    picture(tmp_path / "scans" / "a.png")
    with pytest.raises(DataError, match=r"labelsTr.*1st_manual.*holds: scans/"):
        find_cases(tmp_path, recipe)
    with pytest.raises(DataError, match="no folder or file"):
        find_cases(tmp_path / "nowhere", recipe)
    with pytest.raises(DataError, match="no data set"):
        find_cases(tmp_path / "scans" / "a.png", recipe)


def test_image_of_two_formats_is_unclear(tmp_path, recipe):
    picture(dataset(tmp_path) / "images" / "a.tif")
    with pytest.raises(DataError, match="not clear"):
        find_cases(tmp_path, recipe)


def test_equal_names_of_several_sets_get_the_set_in_front(tmp_path, recipe):
    sets = [dataset(tmp_path / name / "training", names=["1", name]) for name in ("north", "south")]
    cases = find_cases([s.parent for s in sets], recipe)
    assert [c.id for c in cases] == ["north-1", "north", "south-1", "south"]
    assert len({c.subject for c in cases}) == 4


def test_of_several_differing_folders_only_the_last_goes_in_front(tmp_path, recipe):
    sets = [dataset(tmp_path / place, names=["1"]) for place in ("p/north", "q/south")]
    assert [c.id for c in find_cases(sets, recipe)] == ["north-1", "south-1"]


def test_equal_names_without_one_telling_folder_are_still_told_apart(tmp_path, recipe):
    places = ("x/one", "x/two", "y/one")
    cases = find_cases([dataset(tmp_path / place, names=["1"]) for place in places], recipe)
    assert [c.id for c in cases] == ["x-one-1", "x-two-1", "y-one-1"]


def test_the_same_source_twice_counts_once_and_an_image_of_two_sources_is_refused(tmp_path, recipe):
    dataset(tmp_path)
    assert len(find_cases([tmp_path, tmp_path / "images" / ".."], recipe)) == 2
    table = tmp_path / "table.csv"
    table.write_text("image,label\nimages/a.png,labels/a.png\n")
    with pytest.raises(DataError, match="named twice"):
        find_cases([tmp_path, table], recipe)


def test_csv_gives_paths_beside_itself_subjects_and_ids(tmp_path, recipe):
    dataset(tmp_path / "pictures")
    table = tmp_path / "table.csv"
    table.write_text(
        "\ufeffImage;label;region;subject;id\n"
        "pictures/images/a.png;pictures/labels/a.png;pictures/labels/b.png;anna;left\n"
        "pictures/images/b.png;;;anna;\n",
        encoding="utf-8",
    )
    first, second = find_cases(table, recipe)
    assert (first.id, first.subject, first.region) == ("left", "anna", tmp_path / "pictures/labels/b.png")
    assert (second.id, second.subject, second.label, second.region) == ("b", "anna", None, None)


def test_csv_as_excel_writes_it_names_its_separator_and_has_backslashes(tmp_path, recipe):
    dataset(tmp_path / "pictures")
    table = tmp_path / "table.csv"
    rows = "pictures\\images\\a.png;pictures\\labels\\a.png\r\n"
    table.write_bytes(("sep=;\r\nimage;label\r\n" + rows).encode("utf-8-sig"))
    (case,) = find_cases(table, recipe)
    assert (case.image, case.label) == (tmp_path / "pictures/images/a.png", tmp_path / "pictures/labels/a.png")
    table.write_bytes(b"sep=;\r\nimage;label\r\n" + b"x" * 5000 + b".png;a.png\r\n")
    with pytest.raises(DataError, match="line 3: there is no file"):
        find_cases(table, recipe)
    table.write_bytes(b"image;label\r\n" + b"x" * 200_000 + b";a.png\r\n")
    with pytest.raises(DataError, match="line 2: field larger"):
        find_cases(table, recipe)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_of_excel_may_have_cells_that_are_empty_now_and_be_unicode_text(tmp_path, recipe, encoding):
    dataset(tmp_path / "pictures")
    table, row = tmp_path / "table.csv", "pictures/images/a.png,pictures/labels/a.png"
    for text in (f"image,label,,\r\n{row},,\r\n,,,\r\n", f"image,label\r\n{row},, \r\n,\r\n"):
        table.write_bytes(text.encode(encoding))
        assert [case.id for case in find_cases(table, recipe)] == ["a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"image,label,Image\na.png,a.png,b.png\n", "has the column 'image' twice"),
        (b"image,label\n\xfc.png,a.png\n", r"is not UTF-8\. Save it as UTF-8 text"),
        (b"image,label\na.png,a.png,c\n", "line 2: there are more cells than columns"),
    ],
)
def test_csv_that_would_be_misread_is_refused(tmp_path, recipe, content, words):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        find_cases(tmp_path / "table.csv", recipe)


def test_csv_names_a_file_in_either_form_of_its_letters(tmp_path, recipe):
    picture(tmp_path / unicodedata.normalize("NFD", "Müller.png"))
    table = tmp_path / "table.csv"
    table.write_text(unicodedata.normalize("NFC", "image,label\nMüller.png,Müller.png\n"), encoding="utf-8")
    (case,) = find_cases(table, recipe)
    assert case.id == unicodedata.normalize("NFC", "Müller")
    assert case.image.is_file()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column image"),
        ("image\na.png\n", "neither label nor class"),
        ("image,label,subjcet\na.png,a.png,anna\n", "subjcet"),
        ("image,label\n", "names no image"),
        ("image,label\na.png,gone.png\n", r"line 2.*gone\.png"),
        ("image,label\n,a.png\n", "line 2: no image"),
        ("image,label\na.png,a.png,more\n", "more cells"),
        ("image,label,id\na.png,a.png,../a\n", "cannot name a file"),
    ],
)
def test_csv_that_cannot_be_right_is_refused(tmp_path, recipe, text, reason):
    picture(tmp_path / "a.png")
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=reason):
        find_cases(table, recipe)


def test_one_id_twice_in_a_csv_is_refused(tmp_path, recipe):
    dataset(tmp_path)
    table = tmp_path / "table.csv"
    table.write_text("image,label,id\nimages/a.png,labels/a.png,x\nimages/b.png,labels/b.png,x\n")
    with pytest.raises(DataError, match="named 'x'"):
        find_cases(table, recipe)


def nnunet(folder: Path, labels=None) -> Path:
    for name in ("case_a", "case_b"):
        picture(folder / "imagesTr" / f"{name}_0000.png")
        picture(folder / "labelsTr" / f"{name}.png")
    picture(folder / "imagesTs" / "case_c_0000.png")
    if labels is not None:
        (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


@pytest.mark.parametrize("labels", [None, {"background": 0, "Nerve": 1}, {"0": "background", "1": "nerve"}])
def test_nnunet_folder_gives_its_training_cases(tmp_path, recipe, labels):
    cases = find_cases(nnunet(tmp_path, labels), recipe)
    assert [(c.id, c.label) for c in cases] == [
        ("case_a", tmp_path / "labelsTr" / "case_a.png"),
        ("case_b", tmp_path / "labelsTr" / "case_b.png"),
    ]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"background": 0, "vessel": 1}, r"1 vessel.*1 nerve"),
        ({"background": 0, "nerve": 1, "vessel": 2}, "2 vessel"),
        ({"background": 0, "all": [1, 2]}, "regions of the values 1, 2"),
        ({"background": 0, "all": [1, "b"]}, "no table of labels"),
    ],
)
def test_nnunet_classes_must_be_the_recipes(tmp_path, recipe, labels, reason):
    with pytest.raises(DataError, match=reason):
        find_cases(nnunet(tmp_path, labels), recipe)


def test_nnunet_case_of_several_channel_files_is_refused(tmp_path, recipe):
    picture(nnunet(tmp_path) / "imagesTr" / "case_a_0001.png")
    with pytest.raises(DataError, match="case_a_0001") as caught:
        find_cases(tmp_path, recipe)
    assert "join" in caught.value.remedy


def test_read_case_reads_all_three_files(tmp_path, recipe):
    dataset(tmp_path, names=["a"])
    Image.fromarray(np.tri(6, 8, dtype=np.uint8)).save(picture(tmp_path / "fov" / "a_mask.png"))
    case = read_case(find_cases(tmp_path, recipe)[0], recipe)
    assert case.image.shape == (1, 6, 8)
    assert case.grid.shape == (6, 8)
    assert case.truth is not None
    assert case.truth.sum() == 1
    assert case.truth[1, 2] == 1
    assert case.region is not None
    assert np.array_equal(case.region, np.tri(6, 8, dtype=bool))
    assert case.source == tmp_path / "images" / "a.png"


def test_differing_sizes_name_both_files_and_sizes(tmp_path, recipe):
    picture(dataset(tmp_path, names=["a"]) / "labels" / "a.png", size=(8, 6))
    with pytest.raises(DataError, match=r"labels.a\.png has 6 x 8.*images.a\.png has 8 x 6"):
        read_case(find_cases(tmp_path, recipe)[0], recipe)


def test_cases_are_taken_and_left_out_by_id_or_stem(tmp_path, recipe):
    found = find_cases([dataset(tmp_path / s, names=["1", s]) for s in ("north", "south")], recipe)

    def ids(**how):
        return [c.id for c in select(found, **how)]

    assert ids() == ["north-1", "north", "south-1", "south"]
    assert ids(include="south, north-1") == ["north-1", "south"]
    assert ids(exclude="south,north-1") == ["north", "south-1"]
    assert ids(include="north,south", exclude="south") == ["north"]
    with pytest.raises(DataError, match="north-1 or south-1"):
        ids(exclude="1")
    with pytest.raises(DataError, match="nroth") as caught:
        ids(exclude="nroth")
    assert "north" in caught.value.remedy
    with pytest.raises(DataError, match="No case is left"):
        ids(include="north", exclude="north")


@pytest.mark.parametrize(("name", "text"), [("ids.txt", "a\nc,\n"), ("ids.json", '["a", "c"]')])
def test_a_selection_may_come_from_a_file(tmp_path, recipe, name, text):
    found = find_cases(dataset(tmp_path / "set", names=["a", "b", "c"]), recipe)
    (tmp_path / name).write_text(text)
    assert [c.id for c in select(found, exclude=str(tmp_path / name))] == ["b"]
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        select(found, exclude=str(tmp_path / name))


@pytest.mark.real
@pytest.mark.parametrize(("name", "count"), [("drive-av", 20), ("les-av", 11), ("hrf-av", 12)])
def test_real_retina_sets_are_found_whole(real_data, recipe, name, count):
    folder = real_data / "retina-av" / name
    cases = find_cases(folder, recipe)
    assert len(cases) == count
    assert all(c.label is not None and c.region is not None for c in cases)
    for case in cases:
        assert case.label is not None
        assert case.label.name.startswith(case.id)
        assert case.region is not None
        assert case.region.name.startswith(case.id)
    if name == "drive-av":
        assert len(find_cases(folder / "test", recipe)) == 20
        assert not any(c.id.endswith("_test") for c in cases)
