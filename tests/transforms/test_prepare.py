"""What was prepared finds its way back to the pixel, and pictures of any size become alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.recipe import Recipe, read_recipe, recipe_with
from gracile.transforms import prepare
from gracile.transforms.standardizing import median_shift
from tests.conftest import draw_fundus


def ramps(height: int, width: int) -> np.ndarray:
    """Each pixel's own row and column, ``(2, height, width)``."""
    return np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).astype(np.float32)


def whole_recipe(diameter: int, margin: int = 0, *more: str) -> Recipe:
    return read_recipe("structure-2d", [f"prepare.diameter={diameter}", f"prepare.margin={margin}", *more])


@st.composite
def placed_regions(draw):
    """A picture with a rectangular region somewhere in it, and how it is to be prepared."""
    height, width = draw(st.integers(8, 90)), draw(st.integers(8, 90))
    top, left = draw(st.integers(0, height - 6)), draw(st.integers(0, width - 6))
    bottom, right = draw(st.integers(top + 6, height)), draw(st.integers(left + 6, width))
    region = np.zeros((height, width), dtype=bool)
    region[top:bottom, left:right] = True
    return region, draw(st.sampled_from([0, 16, 33, 64, 150])), draw(st.integers(0, 7))


@settings(max_examples=60)
@given(placed_regions())
def test_every_point_is_restored_to_its_own_place(given_region):
    region, diameter, margin = given_region
    height, width = region.shape
    case = Case.from_array(np.zeros((height, width, 3), dtype=np.uint8), region=region)
    prepared, used = prepare(case, whole_recipe(diameter, margin))
    placement = prepared.placement
    assert used is region
    top, left, bottom, right = placement.box
    assert region[top:bottom, left:right].sum() == region.sum()
    assert prepared.image.shape == (3, *placement.shape)
    if diameter:
        rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
        longer = max(np.ptp(rows), np.ptp(columns)) + 1
        scaled = longer * placement.shape[0] / (bottom - top)
        rounding = 0.5 * longer / (bottom - top)  # the height is a whole number of pixels
        assert abs(scaled - diameter) <= rounding + 1e-6
    restored = placement.restore(placement.resample(ramps(height, width)), outside=(-1.0, -2.0))
    assert restored.shape == (2, height, width)
    inside = np.zeros((height, width), dtype=bool)
    inside[top:bottom, left:right] = True
    # Half a prepared pixel at the border of the box, where there is nothing to interpolate with; hardly any within.
    step = max(1.0, *((b - a) / n for a, b, n in zip((top, left), (bottom, right), placement.shape, strict=True)))
    error = np.abs(restored - ramps(height, width))
    assert error[:, inside].max() <= 0.5 * step + 1e-3
    rim = int(np.ceil(1.5 * step))
    assert error[:, top + rim : bottom - rim, left + rim : right - rim].max(initial=0) <= 0.1 * step
    assert (restored[0][~inside] == -1).all()
    assert (restored[1][~inside] == -2).all()


@pytest.mark.parametrize("diameter", [0, 96, 200])
def test_a_line_drawn_in_the_prepared_picture_comes_back_under_the_vessel(diameter):
    image = np.zeros((151, 133, 3), dtype=np.uint8)
    image[:, 40:43] = 255
    image[90:93] = 255
    prepared, _ = prepare(Case.from_array(image), whole_recipe(diameter))
    lines = (prepared.image[:1] > 0).astype(np.float32)
    restored = prepared.placement.restore(lines, outside=(0.0,))[0] > 0.5
    for found, true in ((restored[5:80].mean(axis=0), 41), (restored[:, 60:130].mean(axis=1), 91)):
        center = (found * np.arange(len(found))).sum() / found.sum()
        assert center == pytest.approx(true, abs=0.5)


def test_a_fundus_photographed_at_another_resolution_is_prepared_nearly_the_same(tiny_recipe):
    small = gaussian_filter(draw_fundus(4, size=120)[0], (1.5, 1.5, 0))  # as a lens would
    large = np.kron(small, np.ones((4, 4, 1), dtype=np.uint8))
    shown = []
    for picture in (small, large):
        prepared, _ = prepare(Case.from_array(picture), tiny_recipe)
        assert prepared.region.any(axis=0).sum() == pytest.approx(96, abs=2)
        restored = prepared.placement.restore(prepared.image, outside=(0.0, 0.0, 0.0))
        factor = len(picture) // 120
        shown.append(restored.reshape(3, 120, factor, 120, factor).mean(axis=(2, 4)))
    assert np.corrcoef(shown[0].ravel(), shown[1].ravel())[0, 1] > 0.95
    assert np.abs(shown[0] - shown[1]).mean() < 0.1


def test_the_field_of_view_has_the_working_diameter_whatever_the_size(tiny_recipe):
    recipe = recipe_with(tiny_recipe, {"input.wrong_kind": "flag"})  # a large drawing is too smooth for a photograph
    for size in (90, 120, 333, 700):
        image, _, region = draw_fundus(4, size)
        prepared, _ = prepare(Case.from_array(image, region=region), recipe)
        assert prepared.region.any(axis=0).sum() == pytest.approx(96, abs=1)


def test_brightness_and_contrast_of_the_camera_do_not_matter():
    image, _, region = draw_fundus(0)
    recipe = read_recipe("retina-av", ["prepare.diameter=96"])
    plain, _ = prepare(Case.from_array(image, region=region), recipe)
    dark = (image * 0.5 + 20).astype(np.uint8)
    darker, _ = prepare(Case.from_array(dark, region=region), recipe)
    np.testing.assert_allclose(darker.image, plain.image, atol=0.15)


def test_a_picture_that_is_only_divided_is_shrunk_to_whole_gray_levels_and_no_worse():
    image, _, _ = draw_fundus(0)
    settings = ["prepare.diameter=48", "prepare.margin=0", "prepare.intensity=unit", "input.region=whole"]
    prepared, _ = prepare(Case.from_array(image), read_recipe("retina-av", settings))
    values = np.moveaxis(image.astype(np.float32), -1, 0)
    exact = prepare(Case("exact", values, Grid(image.shape[:2])), read_recipe("retina-av", settings))[0].image
    np.testing.assert_allclose(prepared.image, exact, atol=1 / 255)
    np.testing.assert_allclose(prepared.image * 255, np.round(prepared.image * 255), atol=1e-3)


def test_a_median_shift_brings_each_channels_median_to_127_and_clips():
    rows = np.array([[[10, 20, 30, 250]], [[200, 210, 220, 0]]], dtype=np.uint8)
    np.testing.assert_array_equal(median_shift(rows)[:, 0], [[112, 122, 132, 255], [122, 132, 142, 0]])
    np.testing.assert_array_equal(median_shift(rows[0]), [[112, 122, 132, 255]])
    region = np.array([[True, True, True, False]])
    np.testing.assert_array_equal(median_shift(rows, region)[:, 0], [[117, 127, 137, 255], [117, 127, 137, 0]])


@pytest.mark.parametrize("intensity", ["zscore", "percentile", "unit", "median-shift"])
def test_intensities_are_brought_to_one_scale_inside_the_region_and_zero_outside(intensity):
    image, _, region = draw_fundus(0)
    recipe = read_recipe("retina-av", ["prepare.diameter=96", f"prepare.intensity={intensity}"])
    prepared, _ = prepare(Case.from_array(image, region=region), recipe)
    inside = prepared.image[:, prepared.region]
    assert (prepared.image[:, ~prepared.region] == 0).all()
    if intensity == "zscore":
        np.testing.assert_allclose(inside.mean(axis=1), 0, atol=1e-4)
        np.testing.assert_allclose(inside.std(axis=1), 1, atol=1e-4)
    elif intensity == "percentile":
        np.testing.assert_allclose(np.percentile(inside, 99, axis=1) - np.percentile(inside, 1, axis=1), 1, atol=1e-4)
    elif intensity == "median-shift":
        np.testing.assert_allclose(np.median(inside, axis=1), 0, atol=1e-6)
        assert -127 / 255 <= inside.min() < inside.max() <= 128 / 255 + 1e-6
    else:
        expected = image[region].mean(axis=0) / 255
        np.testing.assert_allclose(inside.mean(axis=1), expected, atol=0.01)


@pytest.mark.parametrize("intensity", ["zscore", "percentile", "unit", "median-shift"])
def test_a_picture_of_one_color_stays_finite(intensity):
    image = np.full((20, 30, 3), 77, dtype=np.uint8)
    prepared, _ = prepare(Case.from_array(image), whole_recipe(16, 0, f"prepare.intensity={intensity}"))
    assert np.isfinite(prepared.image).all()
    assert np.abs(prepared.image).max() <= 1


@pytest.mark.parametrize("diameter", [0, 64, 200])
def test_truth_becomes_the_share_of_each_class_in_a_pixel(diameter, tiny_recipe):
    image, labels, region = draw_fundus(3)
    recipe = read_recipe("retina-av", [f"prepare.diameter={diameter}"])
    prepared, _ = prepare(Case.from_array(image, region=region, truth=labels), recipe)
    assert prepared.truth.shape == (4, *prepared.placement.shape)
    np.testing.assert_allclose(prepared.truth.sum(axis=0), 1.0, atol=1e-5)
    shares = [(labels == index)[region].mean() for index in range(4)]
    np.testing.assert_allclose(prepared.truth[:, prepared.region].mean(axis=1), shares, atol=0.01)


def test_gray_becomes_three_channels_and_color_becomes_gray_as_the_recipe_needs():
    gray = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
    prepared, _ = prepare(Case.from_array(gray), whole_recipe(0))
    assert prepared.image.shape[0] == 3
    np.testing.assert_array_equal(prepared.image[0], prepared.image[2])
    color = np.zeros((20, 30, 3), dtype=np.uint8)
    color[:, :10, 0], color[:, 10:20, 1], color[:, 20:, 2] = 200, 200, 200
    prepared, _ = prepare(Case.from_array(color), whole_recipe(0, 0, "input.channels=1", "prepare.intensity=unit"))
    luma = prepared.image[0, 0, ::10] * 255
    np.testing.assert_allclose(luma, [0.299 * 200, 0.587 * 200, 0.114 * 200], rtol=1e-4)


def test_four_channels_are_refused():
    with pytest.raises(DataError, match="4 channels"):
        prepare(Case.from_array(np.zeros((20, 30, 4), dtype=np.uint8)), whole_recipe(0))


def test_an_empty_region_is_refused():
    case = Case.from_array(np.zeros((20, 30, 3), dtype=np.uint8), region=np.zeros((20, 30), dtype=bool))
    with pytest.raises(DataError, match="empty"):
        prepare(case, whole_recipe(0))


@pytest.mark.parametrize("part", ["region", "truth"])
def test_a_region_or_truth_of_another_size_is_refused(part):
    with pytest.raises(DataError, match=part):
        Case.from_array(np.zeros((20, 30, 3), dtype=np.uint8), **{part: np.zeros((30, 20), dtype=np.uint8)})
