"""Surfaces lie apart as another program measures it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_surface_dice
from scipy import ndimage

from gracile.evaluation.surfaces import surface_gaps


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]), st.floats(0, 4))
def test_normalized_surface_distance_is_that_of_monai(seed, dimensions, tolerance):
    random = np.random.default_rng(seed)
    spacing = tuple(random.uniform(0.4, 3, dimensions))
    truth, found = (
        ndimage.binary_dilation(random.random((11, 12, 9)[:dimensions]) > 0.95, iterations=2) for _ in range(2)
    )
    gaps = surface_gaps(truth, found, spacing)
    if gaps is None:
        return
    # MONAI crops to the masks with a margin, so that the array's border is no surface there: ours is padded likewise.
    arrays = [torch.from_numpy(np.pad(one, 1).astype(np.float32))[None, None] for one in (found, truth)]
    other = compute_surface_dice(*arrays, [tolerance], include_background=True, spacing=spacing)
    assert gaps.within(tolerance) == pytest.approx(float(other), abs=1e-6)


def test_a_shift_of_just_the_tolerance_lies_within_it_whatever_a_header_rounds():
    truth, found = np.zeros((2, 12, 12, 12), bool)
    truth[3:7, 3:7, 3:7] = found[4:8, 3:7, 3:7] = True
    assert surface_gaps(truth, found, (1.0000002, 1.0, 1.0)).within(1.0) == 1
    assert surface_gaps(truth, found, (1.1, 1.0, 1.0)).within(1.0) < 1
