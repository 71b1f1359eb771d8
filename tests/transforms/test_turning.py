"""Volumes are turned about their third axis as torch turns them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.transforms.turning import turned
from tests.transforms.torch_reference import turned as turned_by_torch


@settings(max_examples=100)
@given(st.tuples(*[st.integers(1, 24)] * 3), st.floats(-360, 360), st.integers(1, 3), st.integers(0, 1000))
def test_any_volume_is_turned_by_any_angle_as_by_torch(shape, degrees, channels, seed):
    volume = np.random.default_rng(seed).random((channels, *shape), dtype=np.float32)
    answer = turned(volume, degrees)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, turned_by_torch(torch.from_numpy(volume)[None], degrees)[0], atol=1e-4)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_only_move_voxels(quarters):
    volume = np.random.default_rng(0).random((2, 9, 9, 4), dtype=np.float32)
    np.testing.assert_allclose(turned(volume, 90 * quarters), np.rot90(volume, quarters, (1, 2)), atol=1e-5)


def test_a_view_is_turned_like_a_copy():
    volume = np.random.default_rng(0).random((4, 9, 12, 2), dtype=np.float32).transpose(3, 1, 2, 0)[:, ::-1]
    np.testing.assert_array_equal(turned(volume, 10), turned(volume.copy(), 10))
