"""A gate's threshold keeps what is promised of it, over people; what too few people can carry is not promised."""

import json

import numpy as np
import pytest

from gracile.errors import BundleError, DataError
from gracile.trust.promise import (
    Promise,
    Wish,
    kept_on_average,
    kept_with_confidence,
    losses_at,
    people_with,
    promised,
)


def frames_of(people: int, seed: int = 0, frames: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of frames that all show the structures; some people's are low."""
    random = np.random.default_rng(seed)
    own = random.normal(3, 1.5, people) - 4 * (random.random(people) < 0.1)
    presence = 1 / (1 + np.exp(-(own[:, None] + random.normal(size=(people, frames))))).ravel()
    return presence, np.ones(people * frames, bool), np.repeat(np.arange(people), frames)


def chosen(people: int, wish: Wish, seed: int = 0) -> Promise:
    return promised(*frames_of(people, seed), wish)


@pytest.mark.parametrize(
    ("recall", "form", "confidence", "needed"),
    [
        (0.90, "average", 0.95, 9), (0.95, "average", 0.95, 19), (0.99, "average", 0.95, 99),
        (0.90, "confidence", 0.95, 29), (0.95, "confidence", 0.95, 59), (0.90, "confidence", 0.90, 22),
        (1.0, "average", 0.95, None), (1.0, "confidence", 0.95, None),
    ],
)  # fmt: skip
def test_so_many_people_carry_it_and_one_fewer_does_not(recall, form, confidence, needed):
    wish = Wish(recall, form, confidence)
    assert wish.people_needed == needed
    if needed is not None:
        assert chosen(needed, wish).form == form
        assert wish.keeps(np.zeros(needed))
        assert not wish.keeps(np.zeros(needed - 1))
    few = chosen((needed or 50) - 1, wish)
    assert (few.form, few.needed) == ("measured", needed)


def test_two_people_carry_nothing_and_the_sentence_says_so():
    few = chosen(2, Wish(0.95))
    assert few.form == "measured"
    assert "measured trade, nothing is promised" in few.sentence
    assert "needs 19 people, and 2 showed" in few.sentence
    assert few.measured >= 0.95
    assert "no number of people" in chosen(40, Wish(1.0)).sentence


@pytest.mark.parametrize(("recall", "passing"), [(1.0, 100), (0.99, 99), (0.5, 50), (0.995, 100)])
def test_a_measured_trade_is_the_highest_threshold_with_that_recall_on_these_people(recall, passing):
    presence = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 100))
    few = promised(presence, np.ones(100, bool), np.repeat("one", 100), Wish(recall, "confidence"))
    assert few.form == "measured"
    assert int((presence >= few.threshold).sum()) == passing


def test_people_count_once_however_many_frames_they_have():
    """One person with a hundred low frames weighs as much as one with two."""
    presence = np.array([*[0.2] * 100, 0.9, 0.9, *[0.8] * 18 * 2])
    subjects = np.array([*["long"] * 100, "short", "short", *np.repeat(np.arange(18), 2).astype(str)])
    assert len(people_with(presence, presence > 0, subjects)) == 20
    found = promised(presence, presence > 0, subjects, Wish(0.90))
    assert found.threshold == pytest.approx(0.8, rel=2e-3)  # the long one is lost: 1 of 20 people
    assert found.measured == pytest.approx(0.95)


def test_a_threshold_lies_a_little_below_the_frame_that_must_pass_also_where_all_are_sure():
    for value in (1e-6, 0.3, 0.999, 0.99999):
        threshold = promised(np.full(3, value), np.ones(3, bool), np.arange(3), Wish()).threshold
        assert threshold < value
        assert threshold / (1 - threshold) == pytest.approx(0.999 * value / (1 - value))
    assert promised(np.ones(3), np.ones(3, bool), np.arange(3), Wish()).threshold == 1 - 1e-6


def test_who_has_no_frame_with_the_structures_counts_for_nothing():
    presence, positive, subjects = frames_of(20)
    empty = [np.full(500, 0.99), np.zeros(500, bool), np.arange(1000, 1500)]
    more = [np.concatenate(pair) for pair in zip((presence, positive, subjects), empty, strict=True)]
    assert promised(*more, Wish()) == chosen(20, Wish())
    with pytest.raises(DataError, match="No frame shows the structures"):
        promised(*empty, Wish())


def test_conformal_risk_control_is_its_formula():
    losses = np.array([0.0, 0.5, 0.25, 0.0])
    bound = 4 / 5 * losses.mean() + 1 / 5
    assert kept_on_average(losses, bound)
    assert not kept_on_average(losses, bound - 1e-6)


@pytest.mark.parametrize(("people", "lost"), [(59, 0), (93, 1), (124, 2)])
def test_of_all_or_nothing_the_bound_with_confidence_is_clopper_and_pearsons(people, lost):
    """The numbers of Wilks' tolerance limits: 59, 93 and 124 people at 95 % confidence for 95 %."""
    losses = np.eye(1, people)[0] * 0
    losses[:lost] = 1
    assert kept_with_confidence(losses, 0.05, 0.05)
    assert not kept_with_confidence(losses[1:], 0.05, 0.05) or lost
    losses[lost] = 1
    assert not kept_with_confidence(losses, 0.05, 0.05)
    assert not kept_with_confidence(np.append(np.zeros(people - 1 - lost), np.ones(lost)), 0.05, 0.05)


def test_a_smaller_loss_never_breaks_what_a_larger_one_keeps():
    random = np.random.default_rng(1)
    for _ in range(200):
        larger = random.random(40) * random.choice([0.05, 0.2, 1.0])
        smaller = larger * random.random(40)
        for keeps in (Wish(0.9).keeps, Wish(0.9, "confidence", 0.8).keeps):
            assert keeps(smaller) or not keeps(larger)


def test_what_is_promised_on_average_holds_for_new_people():
    losses = []
    for seed in range(300):
        presence, positive, subjects = frames_of(25, seed)
        known, new = subjects < 24, subjects == 24
        found = promised(presence[known], positive[known], subjects[known], Wish(0.9))
        losses.append((presence[new] < found.threshold).mean())
    assert np.mean(losses) <= 0.1
    assert np.mean(losses) > 0.04  # and not by letting everything pass


@pytest.mark.parametrize("people", [30, 60])
def test_what_is_promised_with_confidence_breaks_as_seldom_as_it_says(people):
    everyone = people_with(*frames_of(3000, 7))
    random = np.random.default_rng(2)
    broken = []
    for _ in range(150):
        some = [everyone[index] for index in random.integers(3000, size=people)]
        presence, subjects = np.concatenate(some), np.repeat(np.arange(people), [len(frames) for frames in some])
        found = promised(presence, presence >= 0, subjects, Wish(0.9, "confidence", 0.9))
        assert found.form == "confidence"
        broken.append(losses_at(everyone, found.threshold).mean() > 0.1)
    assert np.mean(broken) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 150)


def test_a_card_holds_a_promise_in_numbers_which_give_its_words():
    found = chosen(40, Wish(0.9, "confidence"))
    again = Promise.from_card(json.loads(json.dumps(found.as_card())))
    assert again.sentence.startswith("Promised with 95 % confidence")
    assert "40 people" in again.sentence
    assert again.threshold == pytest.approx(found.threshold, abs=1e-6)
    assert (again.form, again.people, again.recall, again.confidence) == ("confidence", 40, 0.9, 0.95)
    with pytest.raises(BundleError, match="promise"):
        Promise.from_card({"form": "surely"})
