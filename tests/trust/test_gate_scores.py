"""What a gate said is kept in a bundle's card as plain data: people as numbers, at most so many frames."""

import json

import numpy as np
import pytest

from gracile.errors import BundleError
from gracile.trust import GateScores

KINDS = ["absent", "present"]


def scores(counts: dict[str, int], seed: int = 0) -> GateScores:
    random = np.random.default_rng(seed)
    subjects = np.repeat(list(counts), list(counts.values()))
    return GateScores(subjects, random.integers(0, 2, len(subjects)), random.normal(size=(len(subjects), 2)))


def test_a_card_keeps_scores_without_names():
    said = scores({"Smith": 3, "Adams": 2})
    content = json.loads(json.dumps(said.as_card(KINDS)))
    assert "Smith" not in json.dumps(content)
    assert (content["people"], content["frames"]) == (2, 5)
    again = GateScores.from_card(content, KINDS)
    assert again.subjects.tolist() == ["1", "1", "1", "2", "2"]  # in the order in which they come
    np.testing.assert_array_equal(again.targets, said.targets)
    np.testing.assert_allclose(again.logits, said.logits, atol=5e-5)


def test_of_many_frames_evenly_many_of_each_person_are_kept():
    said = scores({"long": 3000, "short": 40, "one": 1, "other": 1500})
    kept = said.thinned(1000)
    counts = {name: int((kept.subjects == name).sum()) for name in np.unique(said.subjects)}
    assert counts == {"long": 479, "short": 40, "one": 1, "other": 479}
    assert len(said.as_card(KINDS)["kept"]) <= 2000
    assert said.as_card(KINDS)["frames"] == 4541


def test_the_only_frame_of_a_kind_that_a_person_has_is_kept():
    said = GateScores(np.repeat("a", 500), np.eye(1, 500, 250, dtype=int)[0], np.zeros((500, 2)))
    assert said.thinned(10).targets.sum() == 1


def test_more_people_than_frames_are_cut():
    assert scores({str(number): 1 for number in range(50)}).thinned(20).frames == 20


def test_parts_are_joined_by_name():
    joined = GateScores.joined([scores({"a": 2, "b": 1}), scores({"a": 4})])
    assert joined.frames == 7
    assert (joined.subjects == "a").sum() == 6


@pytest.mark.parametrize(
    "damage",
    [
        {"kept": ["1 0 0.5"]}, {"kept": ["1 0 a b"]}, {"kept": ["1 7 0.1 0.2"]}, {"kept": ["1 0 nan 0.2"]},
        {"kept": None}, {"kinds": ["other", "present"]},
    ],
)  # fmt: skip
def test_damaged_scores_are_refused(damage):
    with pytest.raises(BundleError, match="scores of a gate"):
        GateScores.from_card(scores({"a": 2}).as_card(KINDS) | damage, KINDS)
