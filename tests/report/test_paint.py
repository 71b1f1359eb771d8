"""Painted frames: every pixel as computed by hand."""

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.report.paint import GREEN, Painter, outline, side_by_side, write_line

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def block(value: int = 1) -> np.ndarray:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:12, 8:20] = value
    return mask


def test_the_overlay_is_a_fifth_of_green_and_leaves_the_rest_alone():
    painted = Painter([(0, 0, 0), GREEN]).paint(PICTURE, block())
    expected = PICTURE.astype(float)
    expected[5:12, 8:20] = 0.8 * expected[5:12, 8:20] + 0.2 * np.array(GREEN)
    assert np.abs(painted - expected).max() <= 0.5
    np.testing.assert_array_equal(painted[block() == 0], PICTURE[block() == 0])
    pixel = np.full((1, 1, 3), (100, 100, 7), np.uint8)
    assert Painter([(0, 0, 0), GREEN]).paint(pixel, np.ones((1, 1), np.uint8)).tolist() == [[[80, 131, 6]]]


def test_the_picture_itself_is_not_touched():
    before = PICTURE.copy()
    painted = Painter([(0, 0, 0), GREEN], contour=True).paint(PICTURE, block())
    write_line(painted, "text")
    np.testing.assert_array_equal(PICTURE, before)


@pytest.mark.parametrize(("opacity", "shown"), [(0.0, PICTURE[6, 9]), (1.0, (10, 20, 200))])
def test_no_opacity_shows_the_picture_and_full_opacity_the_color(opacity, shown):
    painted = Painter([(0, 0, 0), (1, 1, 1), (10, 20, 200)], opacity).paint(PICTURE, block(2))
    assert painted[6, 9].tolist() == list(shown)


def test_each_class_has_its_color():
    mask = block()
    mask[:, 15:] *= 2
    painted = Painter([(0, 0, 0), (255, 0, 0), (0, 0, 255)], 1.0).paint(PICTURE, mask)
    assert painted[6, 10].tolist() == [255, 0, 0]
    assert painted[6, 18].tolist() == [0, 0, 255]


def test_an_outline_is_the_edge_of_the_mask_in_full_color():
    painted = Painter([(0, 0, 0), GREEN], opacity=0.0, contour=True).paint(PICTURE, block())
    changed = (painted != PICTURE).any(axis=2)
    edge = block() > 0
    edge[6:11, 9:19] = False
    np.testing.assert_array_equal(changed, edge)
    assert (painted[edge] == GREEN).all()
    assert outline(block() > 0, thickness=2).sum() == 7 * 12 - 3 * 8


def test_a_mask_without_structure_changes_nothing():
    np.testing.assert_array_equal(Painter([(0, 0, 0), GREEN]).paint(PICTURE, np.zeros((20, 30), np.uint8)), PICTURE)


def test_a_mask_of_another_size_or_class_is_refused():
    with pytest.raises(DataError, match="size"):
        Painter([(0, 0, 0), GREEN]).paint(PICTURE, block()[:10])
    with pytest.raises(DataError, match="class 2"):
        Painter([(0, 0, 0), GREEN]).paint(PICTURE, block(2))


def test_a_line_is_written_into_the_corner_alone_even_where_it_does_not_fit():
    picture = np.full((200, 400, 3), 120, np.uint8)
    write_line(picture, "nerve 0.98  12 ms")
    assert picture[:20, :100].max() > 200
    assert picture[2, 2].tolist() == [40, 40, 40]
    assert (picture[40:] == 120).all()
    assert (picture[:, 250:] == 120).all()
    small = np.full((6, 9, 3), 120, np.uint8)
    write_line(small, "nerve 0.98  12 ms")
    assert small.shape == (6, 9, 3)


def test_side_by_side_is_twice_as_wide():
    both = side_by_side(PICTURE, PICTURE[::-1])
    assert both.shape == (20, 60, 3)
    np.testing.assert_array_equal(both[:, 30:], PICTURE[::-1])
    with pytest.raises(DataError, match="equal"):
        side_by_side(PICTURE, PICTURE[:10])
