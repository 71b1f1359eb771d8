"""Patches of volumes at any places: on arrays as by torch, mirrored, and in the pose of a shape."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from gracile.geometry.similarity import Similarity
from gracile.samples.interpolation import cut
from gracile.transforms.posed import MarkedVolume, SampledVolume, cut_in_pose, mirrored_points
from tests.transforms import torch_reference

SPACING = np.array([0.5, 0.4, 0.6])
SHAPE = (21, 26, 18)


class Halves:
    """Maps that are there as a whole: half of the image."""

    def __init__(self, maps: np.ndarray) -> None:
        self.maps = maps

    def window(self, box):
        return self.maps[(slice(None), *box)]


def volume(seed: int = 0, mirrored: bool = False) -> SampledVolume:
    image = np.random.default_rng(seed).random((2, *SHAPE), dtype=np.float32)
    return SampledVolume(image, SPACING, Halves(image[:1] / 2), mirrored)


def steps(length: int, spacing: float) -> np.ndarray:
    at = (np.arange(length) - (length - 1) / 2) * spacing
    return np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1)


@pytest.mark.parametrize(("seed", "mirrored"), list(product(range(10), (False, True))))
def test_a_part_of_a_volume_is_that_of_the_whole_and_the_same_by_torch(seed, mirrored):
    random, sampled = np.random.default_rng(seed), volume(seed, mirrored)
    extent = np.array(SHAPE) * SPACING
    places = (random.uniform(-0.2, 1.1, 3) + random.uniform(0, 0.4, (5, 6, 7, 3))) * extent
    image, truth, region = sampled.cut(places)
    whole = sampled.image[:, ::-1] if mirrored else sampled.image
    np.testing.assert_allclose(image, torch_reference.sample(whole.copy(), places / SPACING), atol=2e-5)
    np.testing.assert_allclose(truth, image[:1] / 2, atol=1e-6)
    inside = ((places / SPACING >= -0.5) & (places / SPACING <= np.array(SHAPE) - 0.5)).all(axis=-1)
    assert np.array_equal(region[0] > 0.5, inside)
    for one, other in zip((image, truth, region), cut(sampled, torch.from_numpy(places)), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other.numpy(), atol=2e-5)


@pytest.mark.parametrize("seed", range(8))
def test_a_patch_lies_in_the_pose_of_the_shape(seed):
    random = np.random.default_rng(seed)
    pose = Similarity(random.uniform(0.8, 1.3), Rotation.random(random_state=seed).as_matrix(), random.normal(size=3))
    point, offsets, sampled = random.uniform(2, 8, 3), steps(9, 0.4), volume(seed)
    image, region = cut_in_pose(sampled, pose, point, offsets)
    places = np.array([pose.scale * pose.rotation @ offset + point for offset in offsets.reshape(-1, 3)])
    expected = torch_reference.sample(sampled.image, places.reshape(offsets.shape) / SPACING)
    assert image.shape == (2, 9, 9, 9)
    assert region.shape == (1, 9, 9, 9)
    np.testing.assert_allclose(image, expected, atol=2e-5)


def test_a_patch_is_the_same_under_autocast():
    pose = Similarity(1.03, Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix(), np.zeros(3))
    plain, _ = cut_in_pose(volume(), pose, np.array([5.0, 4.0, 6.0]), steps(21, 0.4))
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = cut_in_pose(volume(), pose, np.array([5.0, 4.0, 6.0]), steps(21, 0.4))
    assert np.array_equal(plain, cast)


def test_a_mirror_image_has_each_landmark_where_its_opposite_was():
    points = np.array([[1.0, 2.0, 3.0], [7.0, 2.5, 3.0], [4.0, 5.0, 6.0], [2.0, 2.0, 2.0]])
    marked = MarkedVolume(volume(), points)
    opposites = [1, 0, 2, None]
    other = marked.mirrored(opposites)
    far = (SHAPE[0] - 1) * SPACING[0]
    np.testing.assert_allclose(other.points_mm[:3], [[far - 7, 2.5, 3], [far - 1, 2, 3], [far - 4, 5, 6]])
    assert np.isnan(other.points_mm[3]).all()
    back = mirrored_points(other.sampled, other.points_mm, opposites)
    np.testing.assert_allclose(back[:3], points[:3])
    assert (other.sampled.mirrored, other.mirrored(opposites).sampled.mirrored) == (True, False)


def test_a_mirrored_part_one_voxel_wide_is_taken_by_torch():
    corner = np.full((1, 1, 1, 3), -5.0)
    image, _, region = cut(volume(mirrored=True), torch.from_numpy(corner))
    assert float(image.abs().max()) == float(region.max()) == 0.0
