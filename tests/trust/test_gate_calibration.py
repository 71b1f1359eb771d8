"""A gate's temperature and threshold come from what it said of people that it had not seen; what is unknown stays."""

import numpy as np
import pytest

from gracile.trust import GateScores, Wish, calibrated
from gracile.trust.gate_calibration import best_temperature


class Plain:
    """A gate of some kinds without a prior; the last one opens it."""

    def __init__(self, kinds: int = 2, scale: float = 1.0) -> None:
        self.open_for = [kinds - 1]
        self.temperature = 1.5
        self.threshold = 0.5
        self.scale = scale

    def with_prior(self, logits):
        return logits

    def probabilities(self, logits, temperature=None):
        raised = np.exp(logits / (temperature or self.temperature))
        return raised / raised.sum(axis=-1, keepdims=True)

    def presence(self, probabilities):
        return probabilities[..., self.open_for].sum(axis=-1)


def said(people: int, kinds: int = 2, seed: int = 0, frames: int = 10) -> GateScores:
    random = np.random.default_rng(seed)
    targets = random.integers(0, kinds, people * frames)
    logits = random.normal(size=(len(targets), kinds))
    logits[np.arange(len(targets)), targets] += 3
    return GateScores(np.repeat([f"p{n}" for n in range(people)], frames), targets, logits)


def test_temperature_mends_an_overconfident_gate():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 2))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (random.random(4000) < shares[:, 1]).astype(int)
    assert best_temperature(logits, targets) == pytest.approx(1.0, abs=0.1)
    assert best_temperature(5 * logits, targets) == pytest.approx(5.0, rel=0.1)
    assert np.isfinite(best_temperature(1e4 * logits, targets))


@pytest.mark.parametrize("kinds", [2, 3])
def test_a_threshold_is_chosen_for_people_and_told(kinds):
    chosen = calibrated([Plain(kinds)], [said(30, kinds)], Wish(0.9))
    assert chosen.is_promised
    assert chosen.figures["recall"] >= 0.9
    assert chosen.figures["calibrated_on"] == 300
    assert 0 <= chosen.figures["false_alarm_rate"] < 0.5
    assert chosen.sentences == [chosen.promise.sentence]
    assert chosen.as_card()["people"] == 30


def test_members_of_an_ensemble_have_a_temperature_each_and_one_threshold():
    first = said(30)
    second = GateScores(first.subjects, first.targets, 4 * first.logits)
    alone = calibrated([Plain()], [first], Wish())
    both = calibrated([Plain(), Plain()], [first, second], Wish())
    assert both.temperatures[0] == alone.temperatures[0]
    assert both.temperatures[1] == pytest.approx(4 * alone.temperatures[0], rel=0.03)
    assert both.threshold == pytest.approx(alone.threshold, rel=0.05)


def test_frames_that_all_show_it_say_nothing_of_false_alarms_and_the_temperature_stays():
    full = said(30)
    some = full.targets == 1
    chosen = calibrated([Plain()], [GateScores(full.subjects[some], full.targets[some], full.logits[some])], Wish())
    assert chosen.temperatures == [1.5]
    assert chosen.is_promised
    assert "false_alarm_rate" not in chosen.figures
    assert "of false alarms nothing is known" in " ".join(chosen.sentences)


def test_frames_that_never_show_it_change_nothing():
    full = said(30)
    some = full.targets == 0
    chosen = calibrated([Plain()], [GateScores(full.subjects[some], full.targets[some], full.logits[some])], Wish())
    assert (chosen.temperatures, chosen.threshold, chosen.promise) == ([1.5], 0.5, None)
    assert not chosen.is_promised
    assert chosen.sentences[0].startswith("No frame shows the structures")
    assert "recall" not in chosen.figures


def test_frames_of_nobody_count_as_a_person_each_and_that_is_said():
    full = said(1, frames=200)
    lone = GateScores(np.arange(200).astype(str), full.targets, full.logits)
    assert "each counts as a person" in " ".join(calibrated([Plain()], [lone], Wish()).sentences)
    assert "each counts" not in " ".join(calibrated([Plain()], [full], Wish()).sentences)
