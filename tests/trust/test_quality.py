"""What is said of an answer: empty ones, missed structures, reasons, the band's unit."""

from dataclasses import replace

import numpy as np
import pytest

from gracile.case import Case
from gracile.geometry import Grid
from gracile.recipe import read_recipe
from gracile.result import Quality, Result
from gracile.trust import HeldAnswer, QualityMap, case_figures, learn_quality
from gracile.trust.signs import SIGNS, SignedAnswer, Unit
from tests.trust.held import PARTS, drawn

NOTHING = SignedAnswer([], ["nerve"])


def with_empty(right: int, wrong: int) -> QualityMap:
    """Learned of one structure, and of so many answers that found nothing."""
    empty = [HeldAnswer(f"empty {n}", f"e{n}", NOTHING, [], float(n < right), {"nerve": n >= right})
             for n in range(right + wrong)]  # fmt: skip
    return QualityMap(learn_quality([*drawn(60), *empty], "dice"))


def test_how_good_an_empty_answer_is_cannot_be_told_without_others() -> None:
    said = with_empty(1, 2).of(NOTHING)
    assert isinstance(said, str)
    assert "cannot be told" in said


def test_an_empty_answer_is_as_good_as_such_answers_were() -> None:
    often = with_empty(18, 1).of(NOTHING)
    seldom = with_empty(0, 12).of(NOTHING)
    assert often.predicted == pytest.approx(19 / 21)
    assert (often.low, often.high) == (1.0, 1.0)
    assert seldom.predicted == pytest.approx(1 / 14)
    assert (seldom.low, seldom.high) == (0.0, 0.0)
    assert seldom.reasons == ("nothing was found; that was right in 0 of 12 such answers",)


def test_what_a_gate_closed_is_as_good_as_the_gate_is_sure() -> None:
    quality = with_empty(0, 0)
    sure, unsure = (quality.of(replace(NOTHING, gate=probability)) for probability in (0.02, 0.4))
    assert sure.predicted == pytest.approx(0.98)
    assert (sure.low, sure.high) == (1.0, 1.0)
    assert (unsure.low, unsure.high) == (0.0, 1.0)
    assert "the gate has it absent" in sure.reasons[0]


def test_the_word_of_a_gate_that_closed_too_often_is_taken_for_less() -> None:
    closed = [HeldAnswer(f"c{n}", f"c{n}", replace(NOTHING, gate=0.05), [], float(n < 10), {"nerve": n >= 10})
              for n in range(40)]  # fmt: skip
    quality = QualityMap(learn_quality([*drawn(60), *closed], "dice"))
    assert quality.of(replace(NOTHING, gate=0.05)).predicted == pytest.approx(0.25, abs=0.06)
    assert quality.of(replace(NOTHING, gate=0.4)).predicted < quality.of(replace(NOTHING, gate=0.01)).predicted


def test_a_structure_that_is_often_missed_lowers_what_is_predicted_without_it() -> None:
    held = drawn(80, parts=PARTS)
    without = [
        replace(one, answer=SignedAnswer(one.answer.units[:1], ["vessel"]), scores=one.scores[:1],
                score=one.scores[0] / 2, there={"vessel": True})
        for one in held[:20]
    ]  # fmt: skip
    quality = QualityMap(learn_quality([*without, *held[20:]], "dice"))
    both = held[30].answer
    told = quality.of(SignedAnswer(both.units[:1], ["vessel"]))
    assert told.predicted < 0.6 * quality.of(SignedAnswer(both.units[:1])).predicted
    assert "vessel: not found; it was there in 20 of 20 such answers" in told.reasons


def test_the_reasons_name_what_is_worse_than_usual_and_where() -> None:
    quality = QualityMap(learn_quality(drawn(120), "dice"))
    usual = drawn(1, seed=2)[0].answer.units[0].signs
    bad = {**usual, "agreement": SIGNS["agreement"].scaled(0.1), "confidence": SIGNS["confidence"].scaled(0.9)}
    told = quality.of(SignedAnswer([Unit("nerve", bad, place="at its lower end")]))
    assert "the answers of mirrored copies disagree at its lower end" in told.reasons
    good = {**usual, "agreement": SIGNS["agreement"].scaled(0.97), "confidence": SIGNS["confidence"].scaled(0.97)}
    assert quality.of(SignedAnswer([Unit("nerve", good)])).reasons == ()


def test_the_reasons_say_how_many_cases_are_larger() -> None:
    held = [
        replace(one, answer=SignedAnswer([
            replace(u, signs={"share": float(np.log(0.02 * (one.scores[0] + 0.1)))}) for u in one.answer.units]))
        for one in drawn(120)
    ]  # fmt: skip
    quality = QualityMap(learn_quality(held, "dice"))
    told = quality.of(SignedAnswer([Unit("nerve", {"share": float(np.log(0.02 * 0.45))})]))
    assert told.reasons[0].startswith("smaller than 9")
    assert told.reasons[0].endswith(" % of the cases it was learned from")


def test_what_was_never_seen_cannot_be_told() -> None:
    quality = QualityMap(learn_quality(drawn(60), "dice"))
    assert "cannot be told" in quality.of(SignedAnswer([Unit("tendon", {})]))


@pytest.mark.parametrize(("spacing", "unit", "scale"), [(None, "px", 1.0), ((0.5, 0.5), "mm", 0.5)])
def test_the_band_of_a_picture_is_in_mm_where_its_spacing_is_known(spacing, unit: str, scale: float) -> None:
    recipe = read_recipe("structure-2d")
    name = recipe.class_names[1]
    quality = QualityMap(learn_quality(drawn(60, parts=(name,)), "dice"))
    mask = np.zeros((100, 200), np.uint8)
    mask[40:60, 80:120] = 1
    signs = {f"{name}: {what}": value for what, value in (("confidence", 0.9), ("agreement", 0.9), ("edge", 0.5))}
    case = Case("one", np.full((1, 100, 200), 90, np.uint8), Grid((100, 200), spacing_mm=spacing))
    result = Result("one", "found", case.grid, recipe.class_names, mask=mask, signs=signs)
    told = quality.judge(result, recipe, case_figures(case, result, recipe))
    assert isinstance(told, Quality)
    width = quality.entry.band.width.at(1 - told.predicted)
    assert told.band == pytest.approx(200 * width * scale)
    assert told.band_unit == unit
