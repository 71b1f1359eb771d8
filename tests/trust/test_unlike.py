"""How unlike the training images an input is: the measure parts kinds, says what differs, and goes into a card."""

import json

import numpy as np
import pytest

from gracile.case import Case
from gracile.errors import BundleError
from gracile.trust import Unlike, sampled
from gracile.trust.appearance import appearance
from gracile.trust.unlike import DIRECTIONS, Likeness
from tests.trust.toy_inputs import KINDS, green, scan, tissue

SUBJECTS = [f"person {seed // 2}" for seed in range(24)]


def look(case: Case) -> dict[str, float]:
    samples = sampled(case, None)
    assert samples is not None
    return appearance(samples)


def told(measure: Unlike, case: Case) -> Likeness:
    likeness = measure.likeness(sampled(case, None))
    assert likeness is not None
    return likeness


@pytest.fixture(scope="module")
def measure() -> Unlike:
    return Unlike.of([look(tissue(seed)) for seed in range(24)], SUBJECTS, volume=False)


@pytest.mark.parametrize("seed", range(30, 42))
def test_another_image_of_the_kind_is_like_the_training_images(measure: Unlike, seed: int) -> None:
    likeness = told(measure, tissue(seed))
    assert likeness.unlike < 1
    assert not likeness.flag


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_image_of_another_kind_is_flagged(measure: Unlike, kind: str, seed: int) -> None:
    likeness = told(measure, KINDS[kind](seed))
    assert likeness.unlike > 1
    assert likeness.flag


def test_what_differs_most_is_named(measure: Unlike) -> None:
    assert told(measure, green(0)).differs == "its colors"
    assert told(measure, tissue(0, detail=6)).differs == "its texture"
    small = tissue(0)
    assert told(measure, Case.from_array(np.moveaxis(small.image, 0, -1)[:12, :12])).unlike > 1


def test_farther_away_is_another_kind_and_says_so_in_a_stronger_word(measure: Unlike) -> None:
    near, far = told(measure, green(0)), told(measure, KINDS["text"](0))
    assert near.unlike < far.unlike
    assert far.foreign
    assert far.flag.startswith("the input may be of another kind than the training images: ")
    assert Likeness(1.2, False, False, "its size").flag == "the input is unlike the training images: its size"
    assert not any(character.isdigit() for character in near.flag + far.flag)


def test_it_comes_back_from_a_card_with_the_same_answers(measure: Unlike) -> None:
    card = json.loads(json.dumps({"unlike": measure.as_card()}))
    back = Unlike.from_cards([card])
    for case in (tissue(50), green(1)):
        assert told(back, case) == told(measure, case)
    content = card["unlike"]
    assert (content["cases"], content["subjects"]) == (24, 12)
    assert all(len(row["along"]) <= DIRECTIONS for row in content["traits"].values())
    assert len(json.dumps(content)) < 8000


@pytest.mark.parametrize(
    "change",
    [
        {"flagged_from": 0},
        {"flagged_from": "far"},
        {"traits": {}},
        {"traits": {"size": {"mean": 0.0, "spread": 0.0, "along": []}}},
        {"traits": {"size": {"mean": float("nan"), "spread": 1.0, "along": []}}},
        {"traits": {"size": {"mean": 0.0, "spread": 1.0, "along": [0.0] * (DIRECTIONS + 1)}}},
        {"traits": {"size": {"mean": 0, "spread": 1, "along": [1]}, "red": {"mean": 0, "spread": 1, "along": []}}},
        {"traits": {f"trait {k}": {"mean": 0.0, "spread": 1.0, "along": []} for k in range(100)}},
        {"code": "import os"},
    ],
)
def test_a_card_that_holds_something_else_is_refused(measure: Unlike, change: dict[str, object]) -> None:
    with pytest.raises(BundleError, match="unlike"):
        Unlike.from_cards([{"unlike": {**measure.as_card(), **change}}])


def test_a_card_without_it_tells_nothing() -> None:
    measure = Unlike.from_cards([{"limits": []}])
    assert measure.likeness(sampled(tissue(0), None)) is None
    assert measure.why_not == ""


def test_traits_of_a_newer_version_are_passed_over(measure: Unlike) -> None:
    content = measure.as_card()
    row = {"mean": 0.0, "spread": 1.0, "along": [0.0] * len(content["traits"]["size"]["along"])}
    newer = Unlike.from_cards([{"unlike": {**content, "traits": {**content["traits"], "smell": row}}}])
    assert told(newer, tissue(40)) == told(measure, tissue(40))
    strange = Unlike.from_cards([{"unlike": {**content, "traits": {"smell": row}}}])
    assert strange.likeness(sampled(tissue(0), None)) is None


@pytest.mark.parametrize(
    ("seeds", "subjects", "reason"),
    [
        ([], [], "0 training images are too few"),
        ([1], ["a"], "1 training images are too few"),
        ([1, 2, 3, 4], ["a"] * 4, "all training images are of one subject"),
        ([5, 5, 5, 5], ["a", "b", "c", "d"], "all training images are alike"),
    ],
)
def test_where_nothing_can_be_learned_the_card_says_why(seeds: list[int], subjects: list[str], reason: str) -> None:
    measure = Unlike.of([look(tissue(seed)) for seed in seeds], subjects, volume=False)
    assert measure.why_not == reason
    back = Unlike.from_cards([{"unlike": measure.as_card()}])
    assert back.why_not == reason
    assert back.likeness(sampled(tissue(0), None)) is None


def test_a_few_images_of_one_size_are_no_reason_to_flag_the_next_one() -> None:
    measure = Unlike.of([look(tissue(seed)) for seed in range(4)], list("abcd"), volume=False)
    assert sum(told(measure, tissue(seed)).unlike >= 1 for seed in range(20, 40)) <= 2
    assert all(told(measure, draw(0)).unlike > 1 for draw in KINDS.values())


def test_of_members_that_saw_other_images_the_nearest_counts(measure: Unlike) -> None:
    others = Unlike.of([look(green(seed)) for seed in range(24)], SUBJECTS, volume=False)
    both = Unlike.from_cards([{"unlike": measure.as_card()}, {"unlike": others.as_card()}])
    assert told(both, tissue(60)).unlike < 1
    assert told(both, green(60)).unlike < 1
    assert told(both, KINDS["text"](0)).unlike > 1


def test_volumes_of_another_body_or_resolution_are_flagged() -> None:
    measure = Unlike.of([look(scan(seed)) for seed in range(8)], [str(seed) for seed in range(8)], volume=True)
    assert all(told(measure, scan(seed)).unlike < 1 for seed in range(20, 28))
    far = told(measure, scan(0, spacing=0.1))
    assert far.unlike > 1
    assert far.differs in ("its size", "its voxel sizes")


def test_an_input_of_which_nothing_was_looked_at_tells_nothing(measure: Unlike) -> None:
    assert measure.likeness(None) is None
    assert sampled(tissue(0), np.zeros((160, 160), bool)) is None
