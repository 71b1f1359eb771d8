"""Pictures change their size as torch changes it, whatever the sizes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from gracile.transforms import Placement
from gracile.transforms.frames import Frame
from gracile.transforms.separable import along, on_grid, reading, resized, resizing
from tests.transforms import torch_reference

sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))


@settings(max_examples=150)
@given(sizes, sizes, st.integers(1, 4), st.integers(0, 1000))
def test_any_size_becomes_any_other_as_by_torch(size, wanted, channels, seed):
    picture = np.random.default_rng(seed).random((channels, *size), dtype=np.float32)
    answer = resized(picture, wanted)
    assert answer.dtype == np.float32
    assert answer.flags.c_contiguous
    np.testing.assert_allclose(answer, torch_reference.resized(picture, wanted), atol=2e-6)


@settings(max_examples=100)
@given(sizes, sizes, st.sampled_from([1, 2, 3, 4]), st.integers(0, 1000))
def test_whole_gray_levels_are_at_most_one_from_those_of_torch(size, wanted, channels, seed):
    levels = np.random.default_rng(seed).integers(0, 256, (channels, *size), dtype=np.uint8)
    answer = resized(levels, wanted, whole_levels=True)
    shrinks = wanted[0] < size[0] or wanted[1] < size[1]
    assert answer.dtype == np.float32
    assert answer.shape == (channels, *wanted)
    expected = torch_reference.resized(levels, wanted, whole_levels=shrinks)
    assert np.abs(answer - expected).max() <= (1.0 if shrinks else 1e-3)
    assert not shrinks or np.array_equal(answer, np.round(answer))


ORDINARY = [((584, 565), (640, 619)), ((1080, 1081), (512, 513)), ((97, 803), (301, 64))]


@pytest.mark.parametrize(("size", "wanted"), ORDINARY)
def test_pictures_of_ordinary_sizes_too(size, wanted):
    picture = np.random.default_rng(0).random((3, *size), dtype=np.float32)
    answer = resized(picture, wanted)
    np.testing.assert_allclose(answer, torch_reference.resized(picture, wanted), atol=2e-6)
    single = functional.interpolate(
        torch.from_numpy(picture)[None], wanted, mode="bilinear", antialias=wanted[0] < size[0] or wanted[1] < size[1]
    )
    np.testing.assert_allclose(answer, single[0].numpy(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("wanted", [(2, 1), (1, 2), (3, 1), (1, 1)])
def test_what_becomes_one_pixel_wide_keeps_its_rows(wanted):
    picture = np.arange(9, dtype=np.float32).reshape(1, 9, 1) * np.ones(5, dtype=np.float32)
    found = resized(picture, wanted)[0]
    np.testing.assert_allclose(found, found[:, :1].repeat(wanted[1], axis=1), atol=1e-5)
    assert (np.diff(found[:, 0]) > 2).all()
    assert found.mean() == pytest.approx(4.0, abs=1e-5)


def test_any_leading_axes_are_taken_and_a_view_is_no_trouble():
    stack = np.random.default_rng(0).random((2, 3, 20, 31), dtype=np.float32)
    each = np.stack([[resized(one[None], (13, 40))[0] for one in part] for part in stack])
    np.testing.assert_allclose(resized(stack, (13, 40)), each, atol=1e-6)
    turned = stack[0].transpose(0, 2, 1)
    np.testing.assert_allclose(resized(turned, (13, 40)), resized(turned.copy(), (13, 40)))
    assert resized(stack[0] > 0.5, (13, 40)).dtype == np.float32
    assert resized(np.zeros((0, 20, 31)), (13, 40)).shape == (0, 13, 40)


@given(st.integers(1, 200), st.integers(1, 200))
def test_weights_add_up_to_one(length, wanted):
    np.testing.assert_allclose(resizing(length, wanted).sum(axis=1), 1.0, atol=1e-6)


def test_beyond_the_ends_of_an_axis_lies_nothing():
    matrix = reading(np.array([-1.5, -0.25, 0.0, 1.5, 2.0, 2.75, 3.5]), 3).toarray()
    expected = [[0, 0, 0], [0.75, 0, 0], [1, 0, 0], [0, 0.5, 0.5], [0, 0, 1], [0, 0, 0.25], [0, 0, 0]]
    np.testing.assert_allclose(matrix, expected)


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 4, 80, 90), (6,), (1, 200, 1)])
def test_an_axis_is_weighed_wherever_it_lies(shape):
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    for axis in range(-len(shape), len(shape)):
        matrix = reading(np.linspace(-0.5, shape[axis], 9), shape[axis])
        expected = np.moveaxis(np.tensordot(matrix.toarray(), array, axes=(1, axis)), 0, axis)
        np.testing.assert_allclose(along(matrix, array, axis), expected, atol=1e-5)


@settings(max_examples=60)
@given(st.tuples(*[st.integers(1, 14)] * 3), st.tuples(*[st.floats(0.2, 4.0)] * 3), st.tuples(*[st.floats(-6, 9)] * 3),
       st.integers(0, 99))  # fmt: skip
def test_a_grid_is_read_from_a_volume_as_by_torch(shape, steps, starts, seed):
    values = np.random.default_rng(seed).random((2, *shape), dtype=np.float32)
    axes = [start + np.arange(6) * step for start, step in zip(starts, steps, strict=True)]
    np.testing.assert_allclose(on_grid(values, axes), torch_reference.on_grid(values, axes), atol=1e-5)


@settings(max_examples=60)
@given(sizes, sizes, st.integers(0, 99))
def test_a_frame_shrinks_places_and_restores_as_by_torch(prepared, size, seed):
    frame, maps = Frame.around(prepared, size), np.random.default_rng(seed).random((2, *prepared), dtype=np.float32)
    inner = torch_reference.resized(maps, frame.inner) if frame.inner != prepared else maps
    np.testing.assert_allclose(frame.shrink(maps), inner, atol=2e-6)
    placed = frame.place(maps)
    (top, left), (height, width) = frame.corner, frame.inner
    assert placed.shape == (2, *size)
    np.testing.assert_allclose(placed[:, top : top + height, left : left + width], inner, atol=2e-6)
    assert np.count_nonzero(placed) <= 2 * height * width
    back = frame.restore(placed)
    expected = torch_reference.resized(inner, prepared) if frame.inner != prepared else maps
    np.testing.assert_allclose(back, expected, atol=5e-6)


def test_a_placed_map_lies_in_its_box():
    placement = Placement((40, 50), (5, 7, 35, 47), (60, 83))
    maps = np.random.default_rng(0).random((2, 60, 83), dtype=np.float32)
    back = placement.restore(maps, (1.0, 0.0))
    np.testing.assert_allclose(back[:, 5:35, 7:47], torch_reference.resized(maps, (30, 40)), atol=2e-6)
    assert (back[0, :5] == 1.0).all()
    assert (back[1, :, 47:] == 0.0).all()
