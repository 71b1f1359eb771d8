from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.morphology import remove_small_holes

from gracile.errors import GeometryError
from gracile.geometry.skeleton import distance_to_background, skeleton_graph, skeletonize
from gracile.geometry.thinning import thinned
from tests.geometry.blobs import blobs


def band(degrees: float, width: float, size: int = 161, length: float = 110) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    angle = np.deg2rad(degrees)
    along, across = rows * np.sin(angle) + columns * np.cos(angle), rows * np.cos(angle) - columns * np.sin(angle)
    return (np.abs(across) <= width / 2) & (np.abs(along) <= length / 2)


@settings(max_examples=30, deadline=None)
@given(degrees=st.one_of(st.floats(0, 180), st.just(45.0)), width=st.floats(2.5, 15))
def test_a_straight_band_is_one_segment_of_nearly_its_length(degrees, width):
    graph = skeleton_graph(band(degrees, width))
    assert len(graph.segments) == 1
    assert len(graph.branch_points) == 0
    points = graph.segments[0].points
    assert 110 - 1.6 * width - 4 <= np.linalg.norm(points[-1] - points[0]) <= 112


def test_points_of_a_segment_touch_in_order():
    for segment in skeleton_graph(band(30, 5) | band(120, 5)).segments:
        assert np.abs(np.diff(segment.points, axis=0)).max() == 1


def test_a_cross_has_four_arms_and_one_branch_point():
    mask = np.zeros((101, 101), bool)
    mask[49:52, 5:96] = mask[5:96, 49:52] = True
    graph = skeleton_graph(mask)
    assert len(graph.segments) == 4
    assert np.allclose(graph.branch_points, [[50, 50]], atol=1)
    assert sorted((s.start < 0) + (s.end < 0) for s in graph.segments) == [1, 1, 1, 1]


def test_a_ring_is_one_closed_segment():
    rows, columns = np.mgrid[:101, :101] - 50
    distance = np.hypot(rows, columns)
    (segment,) = skeleton_graph((distance > 28) & (distance < 33)).segments
    assert (segment.points[0] == segment.points[-1]).all()
    assert segment.length > 2 * np.pi * 28


def test_short_spurs_are_dropped_and_the_segment_stays_whole():
    mask = np.zeros((60, 120), bool)
    mask[30, 10:110] = True
    mask[26:30, 60] = True
    assert len(skeleton_graph(mask, spur_length=6).segments) == 1
    assert len(skeleton_graph(mask, spur_length=0).segments) == 3


def test_a_staircase_has_no_branch_points():
    mask = np.zeros((40, 40), bool)
    for i in range(5, 30):
        mask[i, i] = mask[i, i + 1] = True
    graph = skeleton_graph(mask)
    assert len(graph.segments) == 1
    assert len(graph.branch_points) == 0


def test_an_empty_mask_gives_an_empty_graph():
    graph = skeleton_graph(np.zeros((20, 30), bool))
    assert graph.segments == []
    assert graph.branch_points.shape == (0, 2)
    assert not graph.mask.any()


def test_distance_counts_the_border_of_the_picture_as_background():
    assert distance_to_background(np.ones((9, 9), bool), np.array([[4, 4], [0, 3], [6, 7]])).tolist() == [5, 1, 2]
    assert distance_to_background(np.zeros((9, 9), bool), np.zeros((0, 2), int)).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(mask=blobs())
def test_distances_are_those_of_a_distance_transform(mask):
    pixels = np.argwhere(mask)
    expected = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    assert np.allclose(distance_to_background(mask, pixels), expected[mask])


@settings(max_examples=150, deadline=None)
@given(mask=blobs())
def test_holes_of_four_pixels_are_filled_before_thinning_and_larger_ones_stay(mask):
    (box,) = ndimage.find_objects(mask.astype(np.uint8)) or [(slice(0), slice(0))]
    expected = thinned(remove_small_holes(mask[box], max_size=4))
    assert (skeletonize(mask)[box] == expected).all()


@settings(max_examples=60, deadline=None)
@given(mask=blobs(), spur=st.sampled_from([0.0, 4.0]))
def test_every_pixel_of_a_skeleton_lies_in_a_segment_and_each_step_in_one(mask, spur):
    graph = skeleton_graph(mask, spur_length=spur)
    steps = [tuple(sorted(map(tuple, pair))) for s in graph.segments for pair in pairwise(s.points)]
    assert len(steps) == len(set(steps))
    for segment in graph.segments:
        assert np.abs(np.diff(segment.points, axis=0)).max(initial=0) <= 1
        assert len(segment.radius) == len(segment.points)
        assert len({tuple(point) for point in segment.points[1:].tolist()}) == max(0, len(segment.points) - 1)
    if spur == 0:
        assert graph.mask.sum() > 0 or not mask.any()
        assert not (graph.mask & ~skeletonize(mask)).any()


def test_volumes_are_refused():
    with pytest.raises(GeometryError):
        skeletonize(np.zeros((3, 3, 3), bool))
