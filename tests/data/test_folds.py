"""Every case is held back once, and neither a person nor nearly the same image is on both sides."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gracile.data import CaseFiles, find_cases, folds_by_subject, load_folds, save_folds
from gracile.data.folds import is_of_folds, shown_in_one_fold, what_is_shown
from gracile.errors import DataError, UsageError
from gracile.recipe import read_recipe


def case(id: str, subject: str = "") -> CaseFiles:
    return CaseFiles(id, Path(f"{id}.png"), Path(f"{id}-label.png"), None, subject or id)


def cases_of(subjects: list[str]) -> list[CaseFiles]:
    return [case(f"c{number:02d}", subject) for number, subject in enumerate(subjects)]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=12, max_size=30), st.integers(2, 4), st.integers(0, 5), st.data())
def test_every_case_is_held_back_once_and_no_person_is_on_both_sides(subjects, count, seed, data):
    cases = cases_of(subjects)
    if len(set(subjects)) < count:
        return
    folds = folds_by_subject(cases, count, seed)
    assert sorted(one.id for fold in folds for one in fold.validation) == [one.id for one in cases]
    for fold in folds:
        assert fold.validation
        assert {one.id for one in (*fold.training, *fold.validation)} == {one.id for one in cases}
        assert not {one.subject for one in fold.training} & {one.subject for one in fold.validation}
    mixed = data.draw(st.permutations(cases))
    assert folds_by_subject(mixed, count, seed) == folds


def test_folds_are_alike_in_size_and_another_seed_draws_others():
    cases = cases_of([f"s{number}" for number in range(23)])
    folds = folds_by_subject(cases, 5, 0)
    assert sorted(len(fold.validation) for fold in folds) == [4, 4, 5, 5, 5]
    assert [fold.number for fold in folds] == [1, 2, 3, 4, 5]
    assert folds_by_subject(cases, 5, 1) != folds


def test_nearly_the_same_images_are_held_back_together():
    cases = cases_of([f"s{number}" for number in range(12)])
    pairs = [("c00", "c07"), ("c07", "c09"), ("c01", "c02")]
    for seed in range(5):
        for fold in folds_by_subject(cases, 4, seed, together=pairs):
            held = {one.id for one in fold.validation}
            assert len(held & {"c00", "c07", "c09"}) in (0, 3)
            assert len(held & {"c01", "c02"}) in (0, 2)


def test_what_few_subjects_show_is_spread_over_the_folds():
    cases = cases_of([f"s{number}" for number in range(20)])
    shown = {one.id: {"often"} | ({"rare"} if one.id < "c04" else set()) for one in cases}
    for seed in range(8):
        folds = folds_by_subject(cases, 4, seed, shown)
        assert all(sum(one.id < "c04" for one in fold.validation) == 1 for fold in folds)
        assert all(len(fold.validation) == 5 for fold in folds)
        assert shown_in_one_fold(folds, shown) == []


def test_what_one_fold_alone_shows_is_named_with_it():
    cases = cases_of([f"s{number}" for number in range(6)])
    folds = folds_by_subject(cases, 3, 0)
    where = next(fold.number for fold in folds if "c02" in {one.id for one in fold.validation})
    assert shown_in_one_fold(folds, {"c02": {"cyst"}, **{one.id: {"cord"} for one in cases[3:]}}) == [("cyst", where)]


@pytest.mark.parametrize(
    ("subjects", "pairs", "said"),
    [
        (["a", "a", "b"], [], "There are 2 subjects, which are too few for 3 folds"),
        (["a", "b", "c"], [("c00", "c01")], "There are 3 subjects, 2 once those with nearly the same images"),
        (["a"], [], "There are 1 subjects"),
    ],
)
def test_too_few_subjects_are_counted(subjects, pairs, said):
    with pytest.raises(DataError, match=said):
        folds_by_subject(cases_of(subjects), 3, 0, together=pairs)


def test_one_fold_is_none():
    with pytest.raises(UsageError, match="2 or more"):
        folds_by_subject(cases_of(["a", "b"]), 1, 0)


def test_saved_folds_are_the_same_when_loaded(tmp_path):
    cases = cases_of(["a", "b", "c", "c", "d"])
    folds = folds_by_subject(cases, 3, 0)
    save_folds(tmp_path / "folds.json", folds)
    assert is_of_folds(tmp_path / "folds.json")
    assert load_folds(tmp_path / "folds.json", cases) == folds


def test_nnunets_folds_are_read(tmp_path):
    cases = cases_of(["a", "b", "c"])
    content = [{"train": ["c01", "c02"], "val": ["c00"]}, {"train": ["c00", "c02"], "val": ["c01"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(content))
    folds = load_folds(tmp_path / "splits_final.json", cases)
    assert [[one.id for one in fold.validation] for fold in folds] == [["c00"], ["c01"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"train": ["c01", "c02"], "val": ["c00"]}], "1 folds"),
        ([{"train": ["c01", "c02"], "val": ["c00"]}] * 2, "holds c00 back in several folds"),
        ([{"train": ["c01"], "val": ["c00"]}] * 2, "fold 1, does not name: c02"),
        ([{"train": ["c01", "c02", "c09"], "val": ["c00"]}] * 2, "data lacks,: c09"),
        ([{"train": ["c00", "c01"], "val": ["c02"]}] * 2, "subject b on both sides"),
        ([{"train": "c00", "val": ["c02"]}] * 2, "nnU-Net"),
    ],
)
def test_folds_that_do_not_fit_the_data_are_refused(tmp_path, content, said):
    (tmp_path / "folds.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=said):
        load_folds(tmp_path / "folds.json", cases_of(["a", "b", "b"]))


def test_what_a_case_shows_is_read_of_its_label(tmp_path):
    for name, mask in (("a", [0, 1, 3]), ("b", [0, 0, 0]), ("c", [2, 2, 0])):
        for part, values in (("images", np.full((8, 9, 3), 90)), ("labels", np.resize(mask, (8, 9)))):
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(tmp_path / part / f"{name}.png")
    recipe = read_recipe("retina-av")
    shown = what_is_shown(find_cases(tmp_path, recipe), recipe)
    assert shown == {"a": {"artery", "uncertain"}, "b": {"no structure"}, "c": {"vein"}}
