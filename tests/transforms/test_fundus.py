"""The field of view is found, and other pictures than color fundus photographs are told from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.draw import disk

from gracile.case import Case
from gracile.errors import DataError
from gracile.recipe import read_recipe
from gracile.transforms import find_field_of_view, prepare, why_not_a_fundus
from tests.conftest import draw_fundus


def channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


def reason(image: np.ndarray) -> str:
    picture = channels_first(image)
    return why_not_a_fundus(picture, find_field_of_view(picture))


def scene(size: int = 150) -> np.ndarray:
    """Blocks of random color to the very border, as in a snapshot."""
    blocks = np.random.default_rng(0).integers(20, 255, (10, 10, 3)).astype(np.uint8)
    return np.kron(blocks, np.ones((size // 10, size // 10, 1), dtype=np.uint8))


def document(size: int = 150) -> np.ndarray:
    """A reddish page on a black table."""
    image = np.zeros((size, size, 3), dtype=np.uint8)
    image[10:60, 10:-10] = (200, 150, 100)
    return image


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
    found = find_field_of_view(channels_first(image))
    assert (found & region).sum() / (found | region).sum() > 0.97


def test_a_picture_without_dark_surround_is_field_of_view_all_over():
    assert find_field_of_view(channels_first(scene())).mean() > 0.95
    assert find_field_of_view(np.zeros((3, 40, 50), dtype=np.uint8)).all()


@settings(max_examples=25)
@given(st.integers(0, 50), st.sampled_from([100, 160, 420]), st.floats(0.45, 1.2), st.integers(0, 12))
def test_a_drawn_fundus_passes_at_any_brightness(seed, size, brightness, lift):
    image, _, _ = draw_fundus(seed, size)
    assert reason((image * brightness + lift * (image > 0)).clip(0, 255).astype(np.uint8)) == ""


def test_a_fundus_cut_off_by_the_frame_passes():
    image, _, _ = draw_fundus(1, 300)
    for border in (15, 45, 66):
        assert reason(image[border:-border]) == ""
        assert reason(image[:, border:-border]) == ""
    assert reason(image[:, 45:]) == ""


OTHERS = {
    "scene": scene(),
    "document": document(),
    "black": np.zeros((80, 90, 3), dtype=np.uint8),
    "white": np.full((80, 90, 3), 255, dtype=np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8),
    "gray fundus": np.repeat(draw_fundus(0)[0][..., 1:2], 3, axis=2),
    "blue disc": np.ascontiguousarray(draw_fundus(0)[0][..., ::-1]),
    "green disc": np.ascontiguousarray(draw_fundus(0)[0][..., [1, 0, 2]]),
    "one channel": draw_fundus(0)[0][..., :1],
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_picture_is_told_from_a_fundus_and_refused(name):
    assert reason(OTHERS[name])
    with pytest.raises(DataError, match=f"{name} is no fundus photograph: ") as caught:
        prepare(Case.from_array(OTHERS[name], id=name), read_recipe("retina-av"))
    assert "input.wrong_kind=flag" in caught.value.remedy


def test_the_reason_says_what_is_wrong():
    assert "gray" in reason(OTHERS["gray fundus"])
    assert "colors" in reason(OTHERS["blue disc"])
    assert "not a disc" in reason(OTHERS["document"])
    picture = channels_first(draw_fundus(0)[0])
    assert "field of view" in why_not_a_fundus(picture, np.zeros(picture.shape[1:], dtype=bool))


def test_the_recipe_may_flag_instead_of_refuse():
    recipe = read_recipe("retina-av", ["input.wrong_kind=flag", "prepare.diameter=64"])
    prepared, _ = prepare(Case.from_array(OTHERS["scene"]), recipe)
    assert any("may be no fundus" in flag for flag in prepared.flags)


def test_a_transparent_or_two_channel_picture_is_refused_not_misread():
    image = np.concatenate([draw_fundus(0)[0], np.full((120, 120, 1), 255, np.uint8)], axis=2)
    for channels in (2, 4):
        with pytest.raises(DataError, match="channels"):
            prepare(Case.from_array(image[..., :channels]), read_recipe("retina-av"))


def test_labeled_data_is_taken_by_its_owners_word():
    image = OTHERS["gray fundus"]
    assert prepare(Case.from_array(image), read_recipe("retina-av"), allow_wrong_kind=True)[0].flags == []


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
