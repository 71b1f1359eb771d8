"""Samples of an input are those of its region, in its full range, and know how far neighbors differ."""

import numpy as np
import pytest

from gracile.case import Case
from gracile.trust.input_samples import STEPS, sampled
from tests.trust.toy_inputs import scan, tissue


def test_a_slope_differs_by_its_step() -> None:
    slope = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[:, None], 100, axis=1)
    samples = sampled(Case.from_array(slope), None)
    assert samples is not None
    down, across = samples.differences * 255
    assert down == pytest.approx([2 * step for step in STEPS])
    assert across == pytest.approx(0)
    assert samples.squares[0] * 255**2 == pytest.approx([(2 * step) ** 2 for step in STEPS], rel=1e-5)
    assert samples.extent == (120, 100)


def test_what_lies_outside_the_region_is_not_sampled() -> None:
    image = np.full((100, 100), 200, np.uint8)
    region = np.zeros((100, 100), bool)
    region[10:60, 20:90] = True
    image[~region] = np.random.default_rng(0).integers(0, 255, (~region).sum())
    samples = sampled(Case.from_array(image), region)
    assert samples is not None
    assert (samples.values == np.float32(200 / 255)).all()
    assert np.nanmax(samples.differences) == 0
    assert samples.extent == pytest.approx((50, 70), abs=2)
    assert samples.filled == 1


def test_values_are_shares_of_the_full_range() -> None:
    for case in (tissue(0), scan(0)):
        samples = sampled(case, None)
        assert samples is not None
        assert samples.values.min() >= 0
        assert samples.values.max() <= 1
        assert np.abs(samples.places).max() == 1


def test_an_axis_too_short_for_a_step_says_nothing_of_it() -> None:
    samples = sampled(Case.from_array(np.zeros((3, 50), np.uint8)), None)
    assert samples is not None
    assert np.isnan(samples.differences[0]).tolist() == [False, False, True, True, True, True]
    assert not np.isnan(samples.differences[1]).any()
