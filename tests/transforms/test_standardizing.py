"""Intensities by channel: what becomes 0 and what 1, whatever the numbers in the file run to."""

import numpy as np
import pytest

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.recipe import PrepareSpec, TrainingSetSpec, WindowSpec, read_recipe
from gracile.transforms import prepare
from gracile.transforms.evening import levels
from gracile.transforms.standardizing import VALUES_OF_A_CASE, standardized, structure_levels

EVERYWHERE = np.ones((2, 3), dtype=bool)
VALUES = np.array([[-1000.0, -160.0, 40.0], [240.0, 1000.0, 0.0]], dtype=np.float32)


def of(intensity, image=VALUES, region=EVERYWHERE) -> np.ndarray:
    return standardized(image[None], region, PrepareSpec(intensity=intensity))[0]


def test_a_window_cuts_and_brings_its_ends_to_0_and_1():
    np.testing.assert_allclose(of(WindowSpec(low=-160, high=240)), [[0, 0, 0.5], [1, 1, 0.4]], atol=1e-6)


def test_by_the_training_set_values_are_cut_shifted_and_divided():
    found = of(TrainingSetSpec(low=-200, high=300, mean=50, deviation=100))
    np.testing.assert_allclose(found, [[-2.5, -2.1, -0.1], [1.9, 2.5, -0.5]], atol=1e-6)


def test_outside_the_region_all_is_0():
    region = np.array([[False, True, True], [True, True, False]])
    for intensity in (WindowSpec(low=-160, high=240), TrainingSetSpec(low=-2, high=3, mean=1, deviation=1), "zscore"):
        assert not of(intensity, region=region)[~region].any()


def test_each_channel_is_brought_to_its_own_scale():
    image = np.stack([VALUES, VALUES, VALUES])
    ways = ["unit", WindowSpec(low=0, high=1000), "zscore"]
    found = standardized(image, EVERYWHERE, PrepareSpec(intensity=ways))
    np.testing.assert_array_equal(found, [of("unit"), of(WindowSpec(low=0, high=1000)), of("zscore")])


def volume_recipe(intensity: str):
    return read_recipe("spinal-cord", [f"prepare.intensity={intensity}"])


def test_a_volume_whose_intensities_run_to_a_million_is_standardized_as_one_of_hundreds():
    random = np.random.default_rng(0)
    plain = random.normal(300.0, 40.0, (120, 120, 60))
    grid = Grid(plain.shape, affine=np.diag([-1.0, 1.0, 1.0, 1.0]))
    wanted = (plain - plain.mean()) / plain.std()
    for factor, offset in ((1.0, 0.0), (4000.0, 0.0), (1.0, 1e6)):
        case = Case("a", (plain * factor + offset)[None].astype(np.float32), grid)
        found = prepare(case, volume_recipe("zscore"))[0].image[0]
        # At a million, float32 itself knows sixteenths.
        np.testing.assert_allclose(found, wanted, atol=2e-3 if offset else 1e-4)
        assert abs(float(found.mean(dtype=np.float64))) < 1e-4


def test_a_window_is_that_of_volumes_and_of_pictures():
    window = "{method: window, low: 0, high: 200}"
    grid = Grid((4, 5, 6), affine=np.diag([-1.0, 1.0, 1.0, 1.0]))
    case = Case("a", np.full((1, 4, 5, 6), 50.0, dtype=np.float32), grid)
    assert prepare(case, volume_recipe(window))[0].image == pytest.approx(0.25)
    picture = Case.from_array(np.full((20, 24, 3), 50, dtype=np.uint8))
    settings = [f"prepare.intensity={window}", "prepare.diameter=0"]
    assert prepare(picture, read_recipe("structure-2d", settings))[0].image == pytest.approx(0.25)


class Even:
    """Slices of 1 mm."""

    slice_mm = 1.0


def test_a_column_is_evened_by_its_own_levels_however_bright_it_is():
    random = np.random.default_rng(1)
    cut = random.normal(0.0, 10.0, (1, 24, 24, 8)).astype(np.float32)
    mean, deviation = levels(Even(), cut + np.float32(1e5), 0.0)  # type: ignore[arg-type]
    np.testing.assert_allclose(mean, 1e5 + cut.mean(), rtol=1e-6)
    np.testing.assert_allclose(deviation, cut.std(), rtol=1e-2)


def test_the_levels_of_structures_are_those_of_what_lies_within_them():
    random = np.random.default_rng(2)
    within = np.zeros((40, 40), dtype=bool)
    within[5:30, 8:33] = True
    image = np.where(within, random.normal(60, 20, within.shape), -1000).astype(np.float32)
    found = structure_levels([(image, within), (image + 10, within)])
    known = np.concatenate([image[within], image[within] + 10])
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(known, (0.5, 99.5))))
    assert (found.mean, found.deviation) == pytest.approx((known.mean(), known.std()), rel=1e-5)


def test_a_large_case_does_not_outweigh_others():
    large = np.full((400, 400), 100.0, dtype=np.float32)
    small = np.zeros((100, VALUES_OF_A_CASE // 100), dtype=np.float32)
    found = structure_levels([(image, np.ones(image.shape, dtype=bool)) for image in (large, small)])
    assert found.mean == pytest.approx(50)


def test_structures_of_nowhere_or_of_one_value_have_no_levels():
    flat = np.full((4, 4), 7.0)
    with pytest.raises(DataError, match="No case shows a structure"):
        structure_levels([(flat, np.zeros((4, 4), dtype=bool))])
    with pytest.raises(DataError, match="is 7, which is no range"):
        structure_levels([(flat, np.ones((4, 4), dtype=bool))])
