"""Slices are the same whatever the order of the file's axes."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.errors import GeometryError
from gracile.geometry import axial_slices
from tests.geometry.volumes import ORIENTATIONS, oriented

RAS = np.diag([0.5, 0.7, 2.0, 1.0])
RAS[:3, 3] = (-10, 20, 30)


@given(st.sampled_from(ORIENTATIONS))
def test_every_order_of_axes_gives_the_same_slices(code):
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    expected = axial_slices(volume, RAS)
    turned, affine = oriented(volume, RAS, code)
    assert "".join(nib.aff2axcodes(affine)) == code
    found = axial_slices(turned, affine)
    assert np.array_equal(found.volume, expected.volume)
    assert np.allclose(found.affine, expected.affine)
    assert np.shares_memory(found.volume, turned)
    assert np.array_equal(np.moveaxis(turned, found.file_axis, 0)[found.in_file(2)].sum(), expected.volume[2].sum())


def test_slices_go_up_rows_back_and_columns_left():
    slices = axial_slices(np.zeros((4, 5, 6)), RAS)
    assert slices.volume.shape == (6, 5, 4)
    assert "".join(nib.aff2axcodes(slices.affine)) == "SPL"
    assert slices.spacing_mm == pytest.approx((2.0, 0.7, 0.5))


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_an_oblique_slice_has_its_own_normal_and_area(about_x, about_y):
    turn_x = np.array([[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]])
    turn_y = np.array([[np.cos(about_y), 0, np.sin(about_y)], [0, 1, 0], [-np.sin(about_y), 0, np.cos(about_y)]])
    affine = np.eye(4)
    affine[:3, :3] = turn_x @ turn_y @ np.diag([0.5, 0.7, 2.0])
    slices = axial_slices(np.zeros((4, 5, 6)), affine)
    assert slices.volume.shape == (6, 5, 4)
    assert np.allclose(slices.normal, turn_x @ turn_y @ [0, 0, 1])
    assert slices.distance_mm == pytest.approx(2.0)
    assert slices.pixel_mm2 == pytest.approx(0.35)
    places = np.array([[1.0, 2.0, 3.0], [0.5, 0.0, 2.5]])
    assert np.allclose(slices.to_places(slices.to_mm(places)), places)


def test_what_is_no_volume_is_refused():
    with pytest.raises(GeometryError, match="volume"):
        axial_slices(np.zeros((3, 4)), np.eye(4))
    with pytest.raises(GeometryError, match="affine"):
        axial_slices(np.zeros((3, 4, 5)), np.diag([1.0, 1.0, 0.0, 1.0]))
