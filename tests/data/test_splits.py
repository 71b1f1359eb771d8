"""No person is on both sides of a split, and a split can be had again."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.data import CaseFiles, load_split, save_split, split_by_subject
from gracile.errors import DataError, RecipeError


def case(id: str, subject: str) -> CaseFiles:
    return CaseFiles(id, Path(f"{id}.png"), None, None, subject)


case_lists = st.lists(st.integers(0, 6), max_size=20).map(
    lambda subjects: [case(f"c{i:02}", f"s{s}") for i, s in enumerate(subjects)]
)
shares = st.floats(0, 0.99)
seeds = st.integers(0, 2**32 - 1)


@given(case_lists, shares, seeds)
def test_every_case_is_on_one_side_and_every_subject_too(cases, share, seed):
    train, validation = split_by_subject(cases, share, seed)
    assert sorted(c.id for c in train + validation) == [c.id for c in cases]
    assert not {c.subject for c in train} & {c.subject for c in validation}


@given(case_lists, shares.filter(lambda share: share > 0), seeds)
def test_both_sides_hold_a_subject_when_there_are_two(cases, share, seed):
    train, validation = split_by_subject(cases, share, seed)
    if len({c.subject for c in cases}) >= 2:
        assert train
        assert validation
    else:
        assert train == cases
        assert not validation


@given(case_lists, shares, seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_cases_does_not_matter(cases, share, seed, random):
    shuffled = list(cases)
    random.shuffle(shuffled)
    assert split_by_subject(shuffled, share, seed) == split_by_subject(cases, share, seed)


def test_the_share_counts_subjects_and_the_seed_draws_them():
    cases = [case(f"c{i}{eye}", f"s{i}") for i in range(10) for eye in "lr"]
    sides = [split_by_subject(cases, 0.3, seed)[1] for seed in range(8)]
    assert {len({c.subject for c in side}) for side in sides} == {3}
    assert len({tuple(c.id for c in side) for side in sides}) > 1
    assert split_by_subject(cases, 0, 1) == (cases, [])


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_leaves_nothing_to_train_on_is_refused(share):
    with pytest.raises(RecipeError):
        split_by_subject([case("a", "a"), case("b", "b")], share, 0)


def test_a_saved_split_is_the_same_when_loaded_whatever_the_order(tmp_path):
    cases = [case(f"c{i}", f"s{i // 2}") for i in range(10)]
    split = split_by_subject(cases, 0.4, 3)
    save_split(tmp_path / "split.json", *split, seed=3)
    assert load_split(tmp_path / "split.json", cases[::-1]) == split
    assert json.loads((tmp_path / "split.json").read_text())["seed"] == 3


@pytest.mark.parametrize(
    ("train", "validation", "reason"),
    [
        (["a1", "a2"], ["b", "c"], "the data lacks,: c"),
        (["a1", "a2"], [], "does not name: b"),
        (["a1", "a2", "b"], ["b"], "names twice: b"),
        (["a1"], ["a2", "b"], "subject a on both sides"),
        ([1, "a2", "a1"], ["b"], "train.0"),
    ],
)
def test_a_split_that_does_not_fit_the_data_is_refused(tmp_path, train, validation, reason):
    cases = [case("a1", "a"), case("a2", "a"), case("b", "b")]
    (tmp_path / "split.json").write_text(json.dumps({"train": train, "validation": validation}))
    with pytest.raises(DataError, match=reason):
        load_split(tmp_path / "split.json", cases)


@pytest.mark.parametrize("text", ["{", "[]", '{"train": []}'])
def test_a_damaged_split_is_refused(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DataError, match="lists train and validation"):
        load_split(tmp_path / "split.json", [])
