"""How good an answer is can be learned from its signs, and what is said of new ones holds as often as it claims."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.errors import BundleError, DataError
from gracile.io.model_card import QUALITY
from gracile.trust import HeldAnswer, QualityMap, learn_quality
from gracile.trust.quality import tell
from gracile.trust.quality_card import badness
from gracile.trust.signs import SIGNS, SignedAnswer, Unit
from tests.trust.held import PARTS, drawn


@pytest.fixture(scope="module")
def learned() -> QualityMap:
    return QualityMap(learn_quality(drawn(120, parts=PARTS), "dice"))


def predicted(quality: QualityMap, held: list[HeldAnswer]) -> np.ndarray:
    return np.array([quality.of(one.answer).predicted for one in held])


def test_what_was_learned_orders_new_answers_and_comes_near_their_scores(learned: QualityMap) -> None:
    new = drawn(200, seed=1, parts=PARTS)
    scores = np.array([one.score for one in new])
    assert np.abs(predicted(learned, new) - scores).mean() < 0.03
    assert np.corrcoef(predicted(learned, new), scores)[0, 1] > 0.95
    assert learned.entry.learned.order < 0.1


def test_intervals_and_bands_hold_nine_in_ten_of_new_answers_over_many_calibrations() -> None:
    held_in, bands = [], []
    for seed in range(12):
        entry = learn_quality(drawn(60, seed=seed), "dice")
        for one in drawn(60, seed=1000 + seed):
            told = tell(entry, one.answer)
            held_in.append(told.low <= one.score <= told.high)
            bands.append(one.margin <= entry.band.width.at(badness("dice", told.predicted)))
    assert 0.86 < np.mean(held_in) < 0.96
    assert 0.86 < np.mean(bands) < 0.96


def test_cases_of_a_person_count_once_where_there_are_people_enough() -> None:
    assert learn_quality(drawn(120, people=40), "dice").map.interval.by == "subjects"
    assert learn_quality(drawn(120, people=8), "dice").map.interval.by == "cases"
    assert learn_quality(drawn(6, people=6, parts=tuple("abcd")), "dice").map.interval.by == "t"


def test_few_people_carry_few_signs() -> None:
    def count(people: int) -> int:
        return sum(bool(sign.weight) for sign in learn_quality(drawn(120, people=people), "dice").map.signs.values())

    assert count(5) == 1
    assert count(60) <= 10


@given(better=st.floats(0.05, 0.9))
def test_more_of_a_good_sign_never_lowers_a_prediction(learned: QualityMap, better: float) -> None:
    one = drawn(1, seed=5, parts=PARTS)[0].answer
    for name in learned.entry.map.signs:
        up = SIGNS[name].up
        if up:
            units = [replace(u, signs={**u.signs, name: u.signs[name] + up * better}) for u in one.units]
            assert learned.of(SignedAnswer(units)).predicted >= learned.of(one).predicted - 1e-12


def test_a_card_keeps_all_that_was_learned(learned: QualityMap) -> None:
    again = QualityMap.from_card({QUALITY: learned.as_card()})
    assert isinstance(again, QualityMap)
    assert again.entry == learned.entry


@pytest.mark.parametrize(
    "spoil",
    [
        lambda card: card.update(score="euros"),
        lambda card: card["map"].update(base=float("nan")),
        lambda card: card["map"]["signs"].update({"moonlight": {"weight": 1.0}}),
        lambda card: card["map"].update(parts={}),
        lambda card: card.update(more=1),
        lambda card: card["map"]["parts"].update({f"part {n}": card["map"]["parts"]["nerve"] for n in range(5000)}),
    ],
)
def test_a_damaged_card_is_refused(learned: QualityMap, spoil) -> None:
    card = learned.as_card()
    spoil(card)
    with pytest.raises(BundleError, match="prediction of quality"):
        QualityMap.from_card({QUALITY: card})


def test_two_cases_teach_nothing_and_neither_do_two_people() -> None:
    with pytest.raises(DataError, match="3 subjects"):
        learn_quality(drawn(2), "dice")
    with pytest.raises(DataError, match="there are 2 and 60"):
        learn_quality(drawn(60, people=2), "dice")
    with pytest.raises(DataError):
        learn_quality([], "dice")


def test_answers_that_are_all_equally_good_teach_nothing() -> None:
    alike = [replace(one, scores=[0.8], score=0.8) for one in drawn(40)]
    with pytest.raises(DataError, match="equally good"):
        learn_quality(alike, "dice")


def test_signs_that_say_nothing_leave_the_usual_score() -> None:
    random = np.random.default_rng(0)
    blind = [replace(one, scores=[float(s)], score=float(s))
             for one, s in zip(drawn(80), random.uniform(0.5, 0.9, 80), strict=True)]  # fmt: skip
    quality = QualityMap(learn_quality(blind, "dice"))
    values = predicted(quality, drawn(40, seed=3))
    assert np.ptp(values) < 0.15
    assert abs(values.mean() - 0.7) < 0.05


def test_a_constant_sign_is_no_harm() -> None:
    same = [
        replace(one, answer=SignedAnswer([replace(u, signs={**u.signs, "peak": 1.0}) for u in one.answer.units]))
        for one in drawn(40)
    ]
    assert "peak" not in learn_quality(same, "dice").map.signs


def test_an_error_in_mm_is_predicted_larger_where_the_place_is_uncertain() -> None:
    random = np.random.default_rng(0)
    held = []
    for number in range(8):
        spreads = random.uniform(0.1, 2.0, 10)
        errors = [float(s * random.lognormal(-0.5, 0.3)) for s in spreads]
        units = [Unit(f"point {k}", {"uncertainty": float(np.log(s)), "probability": 1.0})
                 for k, s in enumerate(spreads)]  # fmt: skip
        held.append(HeldAnswer(f"{number}", f"{number}", SignedAnswer(units), errors, float(np.mean(errors))))
    quality = QualityMap(learn_quality(held, "mm"))
    units = [Unit(f"point {k}", {"uncertainty": float(np.log(s)), "probability": 1.0})
             for k, s in enumerate((0.2, 1.5))]  # fmt: skip
    told = quality.of(SignedAnswer(units))
    assert told.score == "mm"
    assert told.parts["point 0"][0] < told.parts["point 1"][0]
    assert told.low <= told.predicted <= told.high
    assert quality.of(SignedAnswer([], ["point 0"])).endswith("no landmark was found")
