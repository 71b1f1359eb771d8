"""Volumes are read and resampled as by torch: any sizes, spacings and places, and all 48 orientations."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.geometry import Centerline
from gracile.transforms.column import Column
from gracile.transforms.volume import resample_to_spacing, resampled_shape, restore_spacing, sample, smoothed_for
from tests.transforms import torch_reference

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
shapes = st.tuples(*[st.integers(1, 17)] * 3)
spacings = st.tuples(*[st.floats(0.3, 4.0)] * 3)


def turned_volume(order: tuple[int, ...], signs: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A volume of odd sizes as a view whose axes run another way."""
    volume = np.random.default_rng(seed).random((2, 13, 18, 11), dtype=np.float32)
    return volume.transpose(0, *(axis + 1 for axis in order))[:, :: signs[0], :: signs[1], :: signs[2]]


@settings(max_examples=100)
@given(shapes, st.integers(1, 3), st.integers(0, 1000))
def test_any_places_are_read_as_by_torch(shape, channels, seed):
    random = np.random.default_rng(seed)
    volume = random.random((channels, *shape), dtype=np.float32)
    places = random.uniform(-3, np.array(shape) + 2, (4, 5, 6, 3))
    places[0] = np.round(places[0])  # on voxels, and on the border's
    answer = sample(volume, places)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, torch_reference.sample(volume, places), atol=2e-6)
    np.testing.assert_allclose(sample(volume, places.astype(np.float32)), answer, atol=1e-5)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_volume_of_any_orientation_is_read_as_by_torch(order, signs):
    volume = turned_volume(order, signs)
    places = np.random.default_rng(1).uniform(-2, 20, (5, 6, 7, 3))
    np.testing.assert_allclose(sample(volume, places), torch_reference.sample(volume.copy(), places), atol=2e-6)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_volume_of_any_orientation_takes_another_spacing_and_comes_back_as_by_torch(order, signs):
    volume = turned_volume(order, signs)
    spacing = np.array([0.7, 0.9, 2.2])[list(order)]
    check_spacing(volume, spacing, (1.3, 0.0, 1.0))


@settings(max_examples=100)
@given(shapes, spacings, st.tuples(*[st.sampled_from([0.0, 0.4, 1.0, 1.7, 3.0])] * 3), st.integers(0, 1000))
def test_any_spacing_becomes_any_other_and_back_as_by_torch(shape, spacing, target, seed):
    check_spacing(np.random.default_rng(seed).random((2, *shape), dtype=np.float32), np.array(spacing), target)


def check_spacing(volume: np.ndarray, spacing: np.ndarray, target: tuple[float, ...]) -> None:
    coarse, steps = resample_to_spacing(volume, spacing, target)
    sizes = resampled_shape(volume.shape[1:], steps)
    expected = torch_reference.on_grid(
        smoothed_for(volume, steps), [np.arange(n) * step for n, step in zip(sizes, steps, strict=True)]
    )
    assert coarse.dtype == np.float32
    np.testing.assert_allclose(coarse, expected, atol=1e-5)
    back = restore_spacing(coarse, steps, volume.shape[1:], (1.0, 0.0))
    axes = [np.minimum(np.arange(n) / step, m - 1)
            for n, step, m in zip(volume.shape[1:], steps, coarse.shape[1:], strict=True)]  # fmt: skip
    shift = np.array([1.0, 0.0])[:, None, None, None]
    np.testing.assert_allclose(back, torch_reference.on_grid(coarse - shift, axes) + shift, atol=1e-5)


@settings(max_examples=60)
@given(spacings, st.tuples(*[st.sampled_from([0.0, 0.5, 0.9, 1.6])] * 3), st.integers(0, 1000))
def test_a_column_is_cut_and_restored_as_by_torch(spacing, wanted, seed):
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.integers(8, 40, 3))
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    heights = np.sort(random.uniform(-2, shape[2] + 1, 6))
    middles = np.array(shape[:2]) * random.uniform(-0.1, 1.1, (6, 2))  # beside the volume too
    line = Centerline(np.column_stack([middles, heights]) @ affine[:3, :3].T)
    column = Column.along(line, affine, shape, (int(random.integers(4, 20)), int(random.integers(4, 20))), wanted)
    volume = random.random((2, *shape), dtype=np.float32)
    cut = column.cut(volume)
    assert cut.shape == (2, *column.size, column.length)
    np.testing.assert_allclose(cut, torch_reference.cut_column(column, volume), atol=1e-5)
    back = column.restore(cut, (1.0, 0.25))
    np.testing.assert_allclose(back, torch_reference.restored_column(column, cut, (1.0, 0.25)), atol=1e-5)
