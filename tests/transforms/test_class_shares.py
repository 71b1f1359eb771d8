"""Shares of classes read a window at a time are those of maps made of the whole volume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.transforms.class_shares import ClassShares
from gracile.transforms.volume import resample_to_spacing, smoothed_for

SHAPE = (21, 26, 17)


def labels(seed: int = 0) -> np.ndarray:
    """Three classes in touching blobs, one of them at the border, and a fourth that is not there."""
    x, y, z = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    random = np.random.default_rng(seed)
    volume = np.zeros(SHAPE, dtype=np.uint8)
    for index, center in ((1, (6, 8, 8)), (2, (10, 11, 9)), (3, (20, 24, 0))):
        volume[(x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2 < 20 + random.integers(9)] = index
    return volume


def one_hot(volume: np.ndarray) -> np.ndarray:
    return np.stack([volume == index for index in range(1, 5)]).astype(np.float32)


sides = st.tuples(st.integers(0, 40), st.integers(1, 40))
steps_along = st.sampled_from([0.5, 0.8, 1.0, 1.7, 2.0, 3.3])


@settings(max_examples=60)
@given(st.tuples(steps_along, steps_along, steps_along), st.tuples(sides, sides, sides), st.booleans())
def test_a_window_holds_what_the_whole_maps_hold(steps, places, resampled):
    volume, step = labels(), np.array(steps)
    whole = (
        resample_to_spacing(one_hot(volume), np.ones(3), steps)[0] if resampled else smoothed_for(one_hot(volume), step)
    )
    shares = ClassShares(volume, 5, step, resampled)
    assert shares.shape == whole.shape[1:]
    x, y, z = (
        slice(start % n, min(n, start % n + length)) for (start, length), n in zip(places, shares.shape, strict=True)
    )
    window = shares.window((x, y, z))
    assert window.dtype == np.float32
    np.testing.assert_allclose(window, whole[:, x, y, z], atol=2e-5)


@pytest.mark.parametrize("resampled", [True, False])
def test_shares_of_voxels_themselves_are_whole(resampled):
    shares = ClassShares(labels(), 5, np.ones(3), resampled)
    window = shares.window((slice(2, 12), slice(0, 26), slice(5, 9)))
    np.testing.assert_array_equal(window, one_hot(labels())[:, 2:12, :, 5:9])
    assert not window[3].any()
