"""Frames of clips whose table says whose they are, when they were, what they show and who said so."""

import pytest

from gracile.case import Moment
from gracile.data import check_data, find_cases, fingerprint, labeled
from gracile.errors import DataError
from gracile.recipe import Recipe, read_recipe
from tests.frames_on_disk import HEADER, frame_folder

ROWS = [
    "p1_000,p1,0,0.0,0,human,L",
    "p1_030,p1,30,1.5,1,csrt,L",
    "p1_004,p1,4,0.2,1,csrt,L",
    "p2_000,p2,0,0.0,0,clip without nerve,R",
]


@pytest.fixture
def recipe() -> Recipe:
    return read_recipe("brachial-plexus")


def test_a_folder_with_a_table_tells_people_times_and_presence(tmp_path, recipe):
    cases = find_cases(frame_folder(tmp_path, ROWS), recipe)
    assert [case.id for case in cases] == ["p1_000", "p1_004", "p1_030", "p2_000"]  # in the order of time
    assert [case.subject for case in cases] == ["p1"] * 3 + ["p2"]
    assert [case.frame_class for case in cases] == ["0", "1", "1", "0"]
    assert cases[1].moment == Moment("p1", 0.2, 0.2, "csrt")
    assert len(labeled(cases)) == 4


def test_a_gate_of_kinds_does_not_read_presence(tmp_path, recipe):
    kinds = read_recipe("nerve-video")
    assert {case.frame_class for case in find_cases(frame_folder(tmp_path, ROWS), kinds)} == {""}


def test_frames_without_times_are_ordered_by_number_and_clips_are_told_apart(tmp_path, recipe):
    rows = ["a_1,a,7,second", "a_2,a,3,first", "a_3,a,1,second"]
    cases = find_cases(frame_folder(tmp_path, rows, "name,subject,frame,clip"), recipe)
    assert [case.id for case in cases] == ["a_2", "a_3", "a_1"]
    assert cases[1].moment == Moment("second", 1.0)


def test_a_table_of_other_things_changes_nothing(tmp_path, recipe):
    cases = find_cases(frame_folder(tmp_path, ["b,3", "a,4"], "name,pixels"), recipe)
    assert [(case.id, case.subject, case.moment) for case in cases] == [("a", "a", None), ("b", "b", None)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("p3_000,p3,0,soon,1,human,L", "time_s is 'soon'"),
        ("p3_000,p3,0,nan,1,human,L", "time_s is 'nan'"),
        ("p3_000,p3,0,0.0,maybe,human,L", "present is 'maybe'"),
        ("p1_000,p3,0,0.0,1,human,L", "p1_000 has a row already"),
    ],
)
def test_a_broken_row_is_named(tmp_path, recipe, row, said):
    with pytest.raises(DataError, match=said):
        find_cases(frame_folder(tmp_path, [*ROWS, row]), recipe)


def test_a_weight_below_zero_is_refused(tmp_path, recipe):
    with pytest.raises(DataError, match="weight -1 is below 0"):
        find_cases(frame_folder(tmp_path, ["p1_000,p1,0,-1"], "name,subject,frame,weight"), recipe)


def test_an_image_that_the_table_does_not_name_is_refused_as_its_person_is_not_known(tmp_path, recipe):
    data = frame_folder(tmp_path, ROWS)
    (data / "labels.csv").write_text("\n".join([HEADER, *ROWS[1:]]) + "\n")
    with pytest.raises(DataError, match=r"does not name p1_000\.jpg"):
        find_cases(data, recipe)


def test_a_csv_of_paths_tells_the_same(tmp_path, recipe):
    data = frame_folder(tmp_path / "data", ROWS[:2])
    table = tmp_path / "frames.csv"
    table.write_text("image,label,subject,class,time_s,source,weight\n"
                     "data/images/p1_000.jpg,data/masks/p1_000.png,p1,absent,0.5,human,2\n")  # fmt: skip
    (case,) = find_cases(table, recipe)
    assert case.moment == Moment("p1", 0.5, 0.5, "human", 2.0)
    assert (case.subject, case.frame_class) == ("p1", "absent")
    assert len(find_cases(data, recipe)) == 2


def test_what_a_table_says_belongs_to_the_identity_of_the_data(tmp_path, recipe):
    data = frame_folder(tmp_path, ROWS)
    before = fingerprint(find_cases(data, recipe), recipe.input)["sha256"]
    (data / "labels.csv").write_text((data / "labels.csv").read_text().replace("1.5,1,csrt", "1.5,1,human"))
    assert fingerprint(find_cases(data, recipe), recipe.input)["sha256"] != before


def test_a_mask_that_contradicts_the_table_is_told(tmp_path, recipe):
    report = check_data(
        frame_folder(tmp_path, ROWS, boxes={"p1_000": (5, 5), "p1_004": (5, 5), "p1_030": (5, 5)}), recipe
    )
    assert [p.message for p in report.problems if "The table says" in p.message] == [
        "The table says absent, and its mask is not empty."
    ]


@pytest.mark.real
def test_the_real_clips_are_read(real_data, recipe):
    source = real_data / "nerve-ultrasound/brachial-plexus-video"
    if not source.is_dir():
        pytest.skip("there is no brachial-plexus-video")
    cases = find_cases(source, recipe)
    assert len(cases) == 1756
    assert len({case.subject for case in cases}) == 100
    assert sum(case.frame_class == "0" for case in cases) == 546
    assert all(case.moment is not None and case.moment.time_s is not None for case in cases)
