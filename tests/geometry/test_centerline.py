"""The line along a tube is where it was drawn, whatever the file's axes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.errors import GeometryError
from gracile.geometry import Centerline, axial_slices, best_path, centerline_from_mask, centerline_from_places
from tests.geometry.volumes import ORIENTATIONS, oriented, tube

AFFINE = np.diag([1.0, 1.2, 2.0, 1.0])
AFFINE[:3, 3] = (-20, -25, -40)


def course(z):
    return 3 * np.sin(z / 30), 5 * np.cos(z / 25)


@pytest.fixture(scope="module")
def drawn():
    """Shares of a curved tube of 5 mm radius, in RAS."""
    return tube((40, 42, 40), AFFINE, course, lambda x, y, z: x**2 + y**2 < 25, finer=3)


@given(code=st.sampled_from(ORIENTATIONS))
def test_the_line_is_where_it_was_drawn_in_every_order_of_axes(drawn, code):
    mask, affine = oriented(drawn > 0.5, AFFINE, code)
    line = centerline_from_mask(mask, affine)
    assert len(line.points_mm) == 40
    assert (np.diff(line.points_mm[:, 2]) > 0).all()
    assert np.allclose(line.points_mm[:, 2], -40 + 2.0 * np.arange(40))
    assert np.abs(line.points_mm[:, :2] - np.stack(course(line.points_mm[:, 2]), axis=1)).max() < 0.25


def test_shares_place_the_line_better_than_whole_voxels(drawn):
    errors = []
    for mask in (drawn, drawn > 0.5):
        line = centerline_from_mask(mask, AFFINE, smoothing_mm=0)
        errors.append(np.abs(line.points_mm[:, :2] - np.stack(course(line.points_mm[:, 2]), axis=1)).mean())
    assert errors[0] < errors[1] / 2


def test_gaps_are_bridged_and_islands_ignored(drawn):
    mask = drawn > 0.5
    mask[:, :, 15:19] = False
    mask[:4, :4, 30:33] = True
    line = centerline_from_mask(mask, AFFINE)
    assert len(line.points_mm) == 40
    assert np.abs(line.points_mm[:, :2] - np.stack(course(line.points_mm[:, 2]), axis=1)).max() < 0.4


@pytest.mark.parametrize(("extend", "count"), [(False, 20), (True, 40), (6.0, 26), (1000, 40), (0, 20)])
def test_ends_go_on_as_far_as_asked(drawn, extend, count):
    mask = drawn > 0.5
    mask[:, :, :10] = mask[:, :, 30:] = False
    line = centerline_from_mask(mask, AFFINE, extend=extend)
    assert len(line.points_mm) == count
    inner = centerline_from_mask(mask, AFFINE)
    first = (count - 20) // 2
    assert np.allclose(line.points_mm[first : first + 20], inner.points_mm)


def test_an_end_goes_on_straight_turns_upright_and_stays_in_the_volume():
    mask = np.zeros((30, 30, 300), dtype=bool)
    for z in range(100, 120):
        mask[z - 95 : z - 92, 14:17, z] = True  # rises at 45 degrees
    line = centerline_from_mask(mask, np.eye(4), extend=True)
    x, z = line.points_mm[:, 0], line.points_mm[:, 2]
    near = (z >= 119) & (z <= 121)
    assert np.ptp(x[near]) == pytest.approx(2, abs=0.15)
    assert np.allclose(x[z > 250], x[-1], atol=0.05)
    assert x.min() >= 0
    assert x.max() <= 29


def test_few_slices_make_a_line():
    for count in (1, 2, 3, 5):
        mask = np.zeros((9, 9, 7), dtype=bool)
        mask[3:6, 4, 1 : 1 + count] = True
        line = centerline_from_mask(mask, np.diag([1, 1, 17.0, 1]))
        assert line.points_mm.shape == (count, 3)
        assert np.allclose(line.points_mm[:, :2], [4, 4])
        assert np.allclose(np.abs(line.tangents()), [0, 0, 1])


def test_an_empty_mask_has_no_line():
    with pytest.raises(GeometryError, match="empty"):
        centerline_from_mask(np.zeros((3, 3, 3)), np.eye(4))


def helix(count=200):
    angle = np.linspace(0, 3 * np.pi, count)
    return Centerline(np.stack([20 * np.cos(angle), 20 * np.sin(angle), 10 * angle], axis=1)), angle


def test_lengths_and_tangents_of_a_helix():
    line, angle = helix()
    pitch = np.hypot(20, 10)
    assert line.length_mm == pytest.approx(3 * np.pi * pitch, rel=1e-3)
    assert np.allclose(line.arc_mm, angle * pitch, atol=0.2)
    expected = np.stack([-20 * np.sin(angle), 20 * np.cos(angle), 10 + 0 * angle], axis=1) / pitch
    assert np.abs(line.tangents(2.0) - expected)[10:-10].max() < 0.01


@given(st.floats(0.3, 30))
def test_resampled_lines_have_equal_steps_and_keep_their_length(step):
    line, _ = helix()
    again = line.resampled(step)
    gaps = np.diff(line.resampled(step).arc_mm)
    assert np.allclose(again.points_mm[[0, -1]], line.points_mm[[0, -1]])
    assert (gaps <= step + 1e-6).all()
    if step < 3:
        assert np.allclose(gaps[:-1], step, rtol=2e-3)
        assert again.length_mm == pytest.approx(line.length_mm, rel=2e-3)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_distance_to_the_line_is_that_to_its_nearest_place(seed):
    line, _ = helix(30)
    points = np.random.default_rng(seed).normal(0, 30, (20, 3))
    dense = line.resampled(0.1).points_mm
    expected = np.linalg.norm(points[:, None] - dense, axis=2).min(axis=1)
    assert np.allclose(line.distances_mm(points), expected, atol=0.06)
    assert np.allclose(line.distances_mm(line.points_mm), 0, atol=1e-9)


def test_a_line_meets_the_slices_of_another_grid(drawn):
    line = Centerline(centerline_from_mask(drawn, AFFINE).points_mm, np.linspace(0, 1, 40))
    fine = np.diag([0.5, 0.5, 1.0, 1.0])
    fine[:3, 3] = (-20, -25, -60)
    slices = axial_slices(np.zeros((80, 90, 120)), fine)
    met, on = line.on_slices(slices)
    assert met[0] == 20
    assert met[-1] == 98
    assert np.allclose(on.points_mm[:, 2], met - 60.0)
    assert np.allclose(line.distances_mm(on.points_mm), 0, atol=1e-9)
    every, all_on = line.on_slices(slices, beyond_mm=np.inf)
    assert len(every) == len(all_on.points_mm) == 120
    assert np.allclose(all_on.points_mm[:20, :2], line.points_mm[0, :2])
    assert np.allclose(on.probabilities, all_on.probabilities[20:99])


def test_a_line_that_turns_back_or_misses_the_volume_is_refused():
    slices = axial_slices(np.zeros((5, 5, 5)), np.eye(4))
    with pytest.raises(GeometryError, match="turns back"):
        Centerline(np.array([[0.0, 0, 0], [0, 0, 3], [0, 1, 2]])).on_slices(slices)
    with pytest.raises(GeometryError, match="belong together"):
        Centerline(np.array([[0.0, 0, 20], [0, 0, 30]])).on_slices(slices)


def test_a_path_becomes_a_line_in_the_patient(drawn):
    slices = axial_slices(drawn, AFFINE)
    path = best_path(slices.volume, spacing_mm=slices.spacing_mm, threshold=0.5)
    line = centerline_from_places(path.places, slices, probabilities=path.probabilities)
    assert np.abs(line.points_mm[:, :2] - np.stack(course(line.points_mm[:, 2]), axis=1)).max() < 0.5
    assert np.array_equal(line.probabilities, path.probabilities)
    part = np.arange(40) > 9
    assert len(centerline_from_places(path.places, slices, inside=part).points_mm) == 40
    with pytest.raises(GeometryError):
        centerline_from_places(path.places, slices, inside=np.zeros(40, dtype=bool))


@pytest.mark.real
def test_lines_of_real_cords_stay_inside_their_masks(real_data):
    import nibabel as nib

    from gracile.geometry import Grid, centerline_error

    files = sorted((real_data / "spinal-cord" / "errsm-t2").glob("*/t2_seg-manual.nii.gz"))
    assert len(files) == 4
    for file in files:
        image = nib.load(file)
        mask = np.asanyarray(image.dataobj) > 0
        line = centerline_from_mask(mask, image.affine)
        error = centerline_error(line, mask, Grid(mask.shape, image.affine))
        assert error.share_outside == 0
        assert error.distances_mm.max() < 1
        assert 200 < line.length_mm < 250
