"""Volumes are turned and brought back unchanged, and resampled without moving."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.spatial.transform import Rotation

from gracile.errors import GeometryError
from gracile.geometry import Grid, axial_slices
from gracile.transforms import volume
from gracile.transforms.volume import Orientation, resample_to_spacing, restore_spacing, sample, smoothed_for

SIZE = (5, 6, 7)
CODES = ["LAS", "RAS", "PSR", "AIL", "SLP", "IPR"]


def grid_of(codes: str) -> Grid:
    """A grid with the axes of `codes`, spacings of 1, 2 and 3 mm, a shift, and a slight tilt."""
    turn = ornt_transform(axcodes2ornt(("R", "A", "S")), axcodes2ornt(tuple(codes)))
    tilt = np.eye(4)
    tilt[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    plain = tilt @ np.diag([1.0, 2.0, 3.0, 1.0]) + np.array(
        [[0, 0, 0, 10.0], [0, 0, 0, -20.0], [0, 0, 0, 5.0], [0] * 4]
    )
    return Grid(SIZE, affine=plain @ inv_ornt_aff(turn, SIZE))


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("target", ["LAS", "RAS"])
def test_turned_and_turned_back_it_is_the_same(codes, target):
    grid = grid_of(codes)
    volume = np.random.default_rng(0).normal(size=SIZE)
    orientation = Orientation.to(target, grid)
    turned = orientation.apply(volume)
    assert turned.shape == orientation.oriented.shape
    assert nib.aff2axcodes(orientation.oriented.affine) == tuple(target)
    assert np.array_equal(orientation.restore(turned), volume)
    assert np.array_equal(orientation.restore(orientation.apply(volume[None].repeat(2, 0)))[1], volume)


@pytest.mark.parametrize("codes", CODES)
def test_every_voxel_keeps_its_place_in_the_patient(codes):
    grid = grid_of(codes)
    orientation = Orientation.to("LAS", grid)
    assert grid.affine is not None
    assert orientation.oriented.affine is not None
    for voxel in [(0, 0, 0), (4, 1, 6), (2, 5, 3)]:
        marked = np.zeros(SIZE)
        marked[voxel] = 1
        (found,) = np.argwhere(orientation.apply(marked))
        there = orientation.oriented.affine @ [*found, 1]
        assert there == pytest.approx(grid.affine @ [*voxel, 1], abs=1e-9)


def test_the_third_axis_is_the_one_that_slices_follow_however_a_volume_is_tilted():
    rng = np.random.default_rng(0)
    for turn in Rotation.random(300, rng).as_matrix():
        affine = np.eye(4)
        affine[:3, :3] = turn * rng.uniform(0.3, 6, 3)
        oriented = Orientation.to("LAS", Grid(SIZE, affine=affine)).oriented
        assert oriented.affine is not None
        slices = axial_slices(np.zeros(oriented.shape), oriented.affine)
        assert (slices.file_axis, slices.falling) == (2, False)


def test_a_volume_without_geometry_is_refused():
    with pytest.raises(GeometryError, match="affine"):
        Orientation.to("LAS", Grid(SIZE))


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(0.4, 3.0)] * 3), st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.7])] * 3))
def test_resampling_moves_nothing(spacing, target):
    # A linear ramp stays the same ramp in millimeters, away from the border.
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip((14, 15, 16), spacing, strict=True)], indexing="ij")
    ramp = axes[0] - 2 * axes[1] + 3 * axes[2]
    coarse, steps = resample_to_spacing(ramp[None], np.array(spacing), target)
    places = np.meshgrid(
        *[np.arange(n) * k * s for n, k, s in zip(coarse.shape[1:], steps, spacing, strict=True)], indexing="ij"
    )
    expected = places[0] - 2 * places[1] + 3 * places[2]
    inner = np.ones(coarse.shape[1:], dtype=bool)
    for axis, (place, own) in enumerate(zip(places, axes, strict=True)):
        margin = 3.0 * max(spacing[axis], target[axis])
        inner &= (place >= margin) & (place <= own.max() - margin)
    assert np.allclose(coarse[0][inner], expected[inner], atol=1e-3 * np.abs(ramp).max())


def test_what_is_finer_than_the_new_spacing_does_not_alias():
    stripes = np.zeros((1, 32, 8, 8))
    stripes[:, ::2] = 1.0
    coarse, _ = resample_to_spacing(stripes, np.ones(3), (4.0, 0.0, 0.0))
    assert coarse[0, 1:-1].std() < 0.05
    assert coarse[0, 1:-1].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_values_are_alike_however_many_places_are_sampled_at_once(monkeypatch, at_once):
    random = np.random.default_rng(0)
    values, places = random.random((2, 5, 6, 4)), random.uniform(-2, 7, (3, 4, 5, 3))
    whole = sample(values, places)
    monkeypatch.setattr(volume, "AT_ONCE", at_once)
    np.testing.assert_array_equal(sample(values, places), whole)


def test_a_structure_that_reaches_the_far_border_is_not_thinned_there():
    # Nine voxels in steps of 2.5: the last coarse one stands at 7.5, short of the last voxel.
    shares = np.stack([np.full((4, 1, 1), 0.2), np.full((4, 1, 1), 0.8)]).astype(np.float32)
    back = restore_spacing(shares, np.array([2.5, 1.0, 1.0]), (9, 1, 1), [1.0, 0.0])
    np.testing.assert_allclose(back[:, :, 0, 0], [[0.2] * 9, [0.8] * 9], atol=1e-5)


@pytest.mark.parametrize("step", [3, 4, 6])
def test_a_thin_plane_becomes_as_wide_as_a_coarse_voxel_and_no_wider(step):
    plane = np.zeros((1, 41, 1, 1))
    plane[0, 20] = 1.0
    seen = smoothed_for(plane, np.array([step, 1.0, 1.0]))[0, :, 0, 0]
    variance = seen @ (np.arange(41) - 20) ** 2 / seen.sum()
    assert seen.sum() == pytest.approx(1, rel=1e-3)
    assert variance + 1 / 12 == pytest.approx(step**2 / 12, rel=0.02)  # of a box as wide as a fine and a coarse voxel
