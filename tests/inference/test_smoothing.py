"""Smoothing over time: flicker goes, what stays comes, and a half-life is a half-life."""

from itertools import pairwise

import numpy as np
import pytest

from gracile.geometry import Grid
from gracile.inference.smoothing import Smoother
from gracile.result import Result


def decide(probabilities):
    return probabilities.argmax(axis=0).astype(np.uint8)


def result(probability: float | None, gate: float = 0.5) -> Result:
    """A frame whose every pixel has this probability of the structure; None: a gate ended the cascade."""
    maps = None
    mask = np.zeros((4, 6), np.uint8)
    if probability is not None:
        maps = np.stack([np.full((4, 6), 1 - probability), np.full((4, 6), probability)]).astype(np.float32)
        mask = decide(maps)
    status = "found" if mask.any() else "absent"
    grid = Grid((4, 6))
    return Result("f", status, grid, ["background", "nerve"], mask=mask, probabilities=maps, gates={"nerve": gate})


def run(probabilities, half_life, step=0.1):
    smoother = Smoother(half_life, decide)
    results = [result(probability) for probability in probabilities]
    for index, one in enumerate(results):
        smoother.smooth(one, index * step)
    return results


def test_the_first_frame_is_taken_as_it_is():
    (one,) = run([0.8], 0.1)
    assert one.status == "found"
    assert one.mask.all()
    np.testing.assert_allclose(one.probabilities[1], 0.8, atol=1e-6)


def test_after_a_half_life_a_frame_counts_half():
    _, second = run([0.9, 0.6], half_life=0.1)
    np.testing.assert_allclose(second.probabilities[1], 0.75, atol=1e-6)
    np.testing.assert_allclose(second.probabilities.sum(axis=0), 1, atol=1e-6)


def test_one_frame_without_a_finding_does_not_break_a_run():
    statuses = [one.status for one in run([0.9, 0.9, None, 0.9, 0.9], half_life=0.2)]
    assert statuses == ["found"] * 5


def test_one_frame_with_a_finding_does_not_make_one():
    results = run([None, None, 0.99, None, None], half_life=0.2)
    assert {one.status for one in results} == {"absent"}
    assert not any(one.mask.any() for one in results)


def test_what_stays_is_found_and_what_goes_is_let_go():
    statuses = [one.status for one in run([None] * 3 + [0.95] * 8 + [None] * 8, half_life=0.15)]
    assert statuses[:4] == ["absent"] * 4
    assert statuses[8:11] == ["found"] * 3
    assert statuses[-4:] == ["absent"] * 4
    assert sum(a != b for a, b in pairwise(statuses)) == 2


def test_it_goes_by_time_not_by_frames():
    coarse = run([0.9, 0.2], half_life=0.1, step=0.2)[-1]
    fine = run([0.9, 0.2, 0.2], half_life=0.1, step=0.1)[-1]
    np.testing.assert_allclose(coarse.probabilities, fine.probabilities, atol=1e-6)


def test_gates_are_smoothed_alike():
    smoother = Smoother(0.1, decide)
    first, second = result(0.9, gate=1.0), result(0.9, gate=0.5)
    smoother.smooth(first, 0.0)
    smoother.smooth(second, 0.1)
    assert second.gates["nerve"] == pytest.approx(0.75)


def test_what_lies_outside_the_region_stays_background():
    smoother = Smoother(0.1, decide)
    one = result(0.9)
    one.region = np.zeros((4, 6), bool)
    one.region[:2] = True
    smoother.smooth(one, 0.0)
    assert one.mask[:2].all()
    assert not one.mask[2:].any()
