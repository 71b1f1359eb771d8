"""The field of view is the camera's disc, however much of its border is there."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import distance_transform_edt
from skimage.draw import disk

from gracile.transforms import find_field_of_view
from gracile.transforms.field_of_view import look_for_field_of_view
from tests.conftest import draw_fundus

SIZE = 400
CENTER, RADIUS = 200.0, 194.0


def channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


def shaded(image: np.ndarray, angle: float, begins: float, darkest: float = 0.004) -> np.ndarray:
    """With a side that fades to black, from a place along a direction on, 0 to 1 over the disc."""
    rows, columns = np.indices(image.shape[:2])
    along = ((rows - CENTER) * np.sin(angle) + (columns - CENTER) * np.cos(angle)) / (2 * RADIUS) + 0.5
    place = np.clip((along - begins) / (1 - begins), 0, 1)
    return (image * (darkest ** (3 * place**2 - 2 * place**3))[..., None]).astype(np.uint8)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR, expand=True))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def assert_circle(image: np.ndarray, row: float, column: float, radius: float = RADIUS, within: float = 1.0) -> None:
    circle = look_for_field_of_view(channels_first(image)).circle
    assert circle is not None
    found = np.array([circle.row, circle.column, circle.radius])
    assert np.abs(found - (row, column, radius)).max() <= within


@pytest.mark.parametrize("size", [64, 120, 480, 1300])
def test_the_field_of_view_is_found_at_any_size(size):
    image, _, region = draw_fundus(0, size)
    found = find_field_of_view(channels_first(image))
    assert found.shape == region.shape
    border = 2 * max(1, round(size / 400))
    assert distance_transform_edt(~region)[found].max() <= border
    assert distance_transform_edt(region)[~found].max() <= border


def test_the_field_of_view_survives_a_bright_disc_a_dark_macula_and_noise_outside():
    image, _, region = draw_fundus(0, 300)
    image[disk((150, 220), 25)] = (255, 240, 200)
    image[disk((150, 100), 25)] = (60, 20, 10)
    dark = ~region
    image[dark] = np.random.default_rng(0).integers(0, 6, (dark.sum(), 3))
    assert overlap(find_field_of_view(channels_first(image)), region) > 0.98


@settings(max_examples=20)
@given(st.floats(0, 6.28), st.floats(0.2, 0.8))
def test_a_dark_side_belongs_to_it(angle, begins):
    image, _, region = draw_fundus(2, SIZE)
    dark = shaded(image, angle, begins)
    assert_circle(dark, CENTER, CENTER)
    assert overlap(find_field_of_view(channels_first(dark)), region) > 0.985


@pytest.mark.parametrize("part", [np.s_[60:-60, :], np.s_[:, 60:-60], np.s_[60:, 80:], np.s_[:-110, :-50]])
def test_the_frame_may_cut_it_at_two_sides(part):
    image, _, region = draw_fundus(3, SIZE)
    top, left = (piece.start or 0 for piece in part)
    assert_circle(image[part], CENTER - top, CENTER - left)
    assert overlap(find_field_of_view(channels_first(image[part])), region[part]) > 0.99


@pytest.mark.parametrize("degrees", [17, 45, 90, 133])
def test_it_may_be_turned_and_what_was_cut_off_before_is_no_part_of_it(degrees):
    image, _, region = draw_fundus(3, SIZE)
    image[:60], region[:60] = 0, False
    image[:, -50:], region[:, -50:] = 0, False
    region = turned((region * 255).astype(np.uint8), degrees) > 127
    assert overlap(find_field_of_view(channels_first(turned(image, degrees))), region) > 0.98


def test_a_notch_and_a_marker_do_not_move_it():
    image, _, region = draw_fundus(4, SIZE)
    rows, columns = np.indices(region.shape)
    image[(abs(rows - CENTER) < 12) & (columns > CENTER + RADIUS - 14)] = 0
    image[disk((60, 340), 14)] = (180, 90, 45)
    assert_circle(image, CENTER, CENTER)
    assert overlap(find_field_of_view(channels_first(image)), region) > 0.985


def test_a_second_light_outside_is_no_part_of_it():
    image, _, region = draw_fundus(1, SIZE)
    image, region = (np.pad(part, ((0, 0), (0, 160), (0, 0))[: part.ndim]) for part in (image, region))
    image[disk((80, 480), 40)] = (200, 150, 100)
    assert overlap(find_field_of_view(channels_first(image)), region) > 0.98


def test_a_picture_without_dark_surround_is_field_of_view_all_over():
    blocks = np.random.default_rng(0).integers(20, 255, (3, 10, 10)).astype(np.uint8)
    found = look_for_field_of_view(np.kron(blocks, np.ones((1, 15, 15), dtype=np.uint8)))
    assert found.circle is None
    assert found.region.mean() > 0.95
    assert find_field_of_view(np.zeros((3, 40, 50), dtype=np.uint8)).all()
    assert find_field_of_view(np.full((3, 1, 1), 9, dtype=np.uint8)).all()


def test_a_lit_square_has_no_circle_and_is_its_own_field_of_view():
    image = np.zeros((3, 200, 200), dtype=np.uint8)
    image[:, 40:160, 50:150] = 140
    found = look_for_field_of_view(image)
    assert found.circle is None
    assert overlap(found.region, image[0] > 0) > 0.95


def test_a_circle_says_how_much_of_its_border_is_there():
    image, _, _ = draw_fundus(5, SIZE)
    whole, dark = (look_for_field_of_view(channels_first(one)).circle for one in (image, shaded(image, 1.0, 0.3)))
    cut = look_for_field_of_view(channels_first(image[60:-60])).circle
    assert whole.seen == 1
    assert whole.sharp > 0.95
    assert dark.seen == 1
    assert dark.sharp < 0.8
    assert cut.seen < 0.7
    assert whole.residual < 0.7


def test_the_field_of_view_is_not_shifted_by_its_coarse_search():
    height, width, step = 1600, 2000, 5
    rows, columns = np.indices((height, width), sparse=True)
    shifts = []
    for offset in range(step):  # over all places of the disc in the coarse grid, the rounding averages out
        region = (rows - 800 - offset) ** 2 + (columns - 1000 - offset) ** 2 <= 700**2
        found = find_field_of_view(np.where(region, np.array([[[180]], [[90]], [[40]]]), 0).astype(np.uint8))
        places = [[np.flatnonzero(area.any(axis=axis)).mean() for axis in (0, 1)] for area in (region, found)]
        shifts.append(np.subtract(*places))
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.6


@pytest.mark.real
@pytest.mark.parametrize("name", ["les-av/training/111", "les-av/training/34", "les-av/training/49"])
def test_photographs_with_a_dark_side_are_seen_whole(real_data: Path, name: str) -> None:
    folder, _, stem = name.rpartition("/")
    root = real_data / "retina-av" / folder
    image = np.asarray(Image.open(next((root / "images").glob(f"{stem}.*"))).convert("RGB"))
    wanted = np.asarray(Image.open(next((root / "fov").glob(f"{stem}_mask.*")))) > 0
    assert overlap(find_field_of_view(channels_first(image)), wanted) > 0.985
