"""Sections of drawn tubes have the areas and diameters that they were drawn with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.geometry import axial_slices, centerline_from_mask
from gracile.measure.cross_sections import cross_sections
from tests.geometry.volumes import tube

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
AFFINE[:3, 3] = (-24, -30, -30)
SHAPE = (48, 60, 60)


def measured(shares, affine, plane):
    slices = axial_slices(shares, affine)
    line = centerline_from_mask(shares, affine)
    first = int(np.flatnonzero(slices.volume.any(axis=(1, 2)))[0])
    return cross_sections(slices, line, line.tangents(), first, plane)


def tilted_tube(ap, rl, tilt_x, tilt_y, finer=4):
    """An elliptic tube along a tilted axis, its section at a right angle to the axis having the given diameters."""
    axis = np.array([np.tan(tilt_x), np.tan(tilt_y), 1.0])
    axis /= np.linalg.norm(axis)
    front = np.array([0.0, 1, 0]) - axis[1] * axis
    front /= np.linalg.norm(front)
    right = np.cross(front, axis)

    def inside(x, y, z):
        offset = np.stack([x, y, np.zeros_like(x)], axis=-1)
        offset -= (offset @ axis)[..., None] * axis
        return (offset @ right / (rl / 2)) ** 2 + (offset @ front / (ap / 2)) ** 2 < 1

    return tube(SHAPE, AFFINE, lambda z: (z * np.tan(tilt_x), z * np.tan(tilt_y)), inside, finer)


TILTS = [(0, 0), (0.0, 0.35), (0.3, 0.0), (0.3, -0.4), (0.0, 0.6)]


@pytest.mark.parametrize(("tilt_x", "tilt_y"), TILTS)
@pytest.mark.parametrize("plane", ["projected", "resampled"])
def test_a_tilted_tube_has_its_own_area_and_diameters(tilt_x, tilt_y, plane):
    shares = tilted_tube(8.0, 12.0, tilt_x, tilt_y)
    sections = [s for s in measured(shares, AFFINE, plane) if s is not None][12:-12]
    area = np.pi * 4 * 6
    assert np.mean([s.area_mm2 for s in sections]) == pytest.approx(area, rel=0.02)
    assert max(abs(s.area_mm2 / area - 1) for s in sections) < 0.03
    assert np.mean([s.diameter_ap_mm for s in sections]) == pytest.approx(8, rel=0.03)
    assert np.mean([s.diameter_rl_mm for s in sections]) == pytest.approx(12, rel=0.03)
    assert np.mean([s.eccentricity for s in sections]) == pytest.approx(np.sqrt(1 - (8 / 12) ** 2), abs=0.02)


@pytest.mark.parametrize(("tilt_x", "tilt_y"), TILTS)
def test_both_planes_agree_within_two_percent(tilt_x, tilt_y):
    mask = tilted_tube(8.0, 12.0, tilt_x, tilt_y) > 0.5
    pairs = zip(measured(mask, AFFINE, "projected"), measured(mask, AFFINE, "resampled"), strict=True)
    areas = np.array([[a.area_mm2, b.area_mm2] for a, b in pairs if a is not None and b is not None])
    assert len(areas) > 30
    assert areas[:, 0].mean() == pytest.approx(areas[:, 1].mean(), rel=0.02)


def test_without_the_correction_a_tilted_tube_would_be_too_large():
    shares = tilted_tube(8.0, 12.0, 0.0, 0.6)
    in_slice = shares.sum(axis=(0, 1))[25:35].mean()
    assert in_slice == pytest.approx(np.pi * 24 / np.cos(0.6), rel=0.02)


def test_a_curved_tube_keeps_its_area():
    radius = 60.0  # of the bend

    def center(z):
        return 0 * z, radius - np.sqrt(radius**2 - z**2) - 10

    def inside(x, y, z):  # nearest place on the circle around (radius - 10, 0) in the plane of y and z
        y_here = y + radius - np.sqrt(radius**2 - z**2) - 10
        return x**2 + (np.hypot(y_here - (radius - 10), z) - radius) ** 2 < 25

    shares = tube(SHAPE, AFFINE, center, inside, 4)
    for plane in ("projected", "resampled"):
        areas = np.array([s.area_mm2 for s in measured(shares, AFFINE, plane)[4:-4] if s is not None])
        assert areas.mean() == pytest.approx(np.pi * 25, rel=0.02)
        assert np.abs(areas / (np.pi * 25) - 1).max() < 0.05


@settings(max_examples=8)
@given(turn=st.floats(-80, 80))
def test_the_orientation_is_counted_from_right_towards_anterior(turn):
    angle = np.deg2rad(turn)

    def inside(x, y, z):
        along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
        return (along / 7) ** 2 + (across / 4) ** 2 < 1

    shares = tube((20, 20, 7), np.array([[1, 0, 0, -10], [0, 1, 0, -10], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
                  lambda z: (0 * z, 0 * z), inside, 4)  # fmt: skip
    affine = AFFINE.copy()
    section = measured(shares, affine, "projected")[3]
    assert section.orientation_deg == pytest.approx(turn, abs=2)
    caliper = 2 * np.hypot(7 * np.sin(angle), 4 * np.cos(angle))
    assert section.diameter_ap_mm == pytest.approx(caliper, rel=0.03)


def test_sections_cut_by_the_ends_of_the_structure_are_not_told_when_resampled():
    shares = tilted_tube(8.0, 12.0, 0.0, 0.6)
    sections = measured(shares, AFFINE, "resampled")
    assert sections[0] is None
    assert sections[-1] is None
    assert sections[30] is not None


def test_anisotropic_and_oblique_voxels_do_not_change_the_area():
    turn = 0.3
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine[:3, :3] @= np.diag([0.5, 0.7, 3.0])
    affine[:3, 3] = -affine[:3, :3] @ (20, 25, 8)
    shares = tube((40, 50, 16), affine, lambda z: (0 * z, 0 * z), lambda x, y, z: x**2 + y**2 < 25, 4)
    for plane in ("projected", "resampled"):
        areas = [s.area_mm2 for s in measured(shares, affine, plane)[4:-4] if s is not None]
        assert np.mean(areas) == pytest.approx(np.pi * 25, rel=0.02)
