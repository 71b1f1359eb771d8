"""Other pictures than color fundus photographs are told from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
