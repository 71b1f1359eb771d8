"""Classes drawn equally often, however small they are: the places that are kept of them, and what is drawn of those."""

from collections import Counter

import numpy as np
import torch

from gracile.recipe import SamplerSpec
from gracile.recipe.training import VolumeAugmentSpec
from gracile.samples.class_points import (
    POINTS_OF_A_CLASS,
    ClassPoints,
    class_table,
    pixels_of_classes,
    some_places,
    voxels_of_classes,
)
from gracile.samples.patches import PatchSamples
from gracile.samples.volume_samples import PointSamples
from gracile.transforms import Placement, Prepared
from gracile.transforms.class_shares import ClassShares
from gracile.transforms.posed import SampledVolume
from tests.samples.test_patches import NONE

ONE = np.ones(3)


def drawn_classes(points: ClassPoints, labels: np.ndarray, count: int = 300) -> Counter[int]:
    generator = torch.Generator().manual_seed(0)
    return Counter(int(labels[tuple(points.draw(generator))]) for _ in range(count))


def test_each_class_that_a_volume_has_is_drawn_equally_often():
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[:20, :20, :20], labels[25, 25, 25:27], labels[0, 29, 29] = 1, 2, 4
    found = drawn_classes(ClassPoints(voxels_of_classes(labels, 6, ONE), 5), labels)
    assert set(found) == {1, 2, 4}
    assert min(found.values()) > 70


def test_what_is_ignored_is_no_class():
    labels = np.full((8, 8, 8), 255, np.uint8)
    labels[3, 3, 3] = 1
    assert set(drawn_classes(ClassPoints(voxels_of_classes(labels, 3, ONE), 2), labels, 20)) == {1}


def test_places_lie_on_the_samples_of_another_spacing_and_within_the_volume():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[8, 8, 8] = labels[4, 2, 6] = 1
    table = voxels_of_classes(labels, 2, np.array([2.0, 3.0, 1.0]))
    assert sorted(table[1:].tolist()) == [[2, 1, 6], [4, 2, 8]]


def test_what_is_kept_of_a_large_class_is_bounded_and_from_all_over_it():
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[:50] = 1
    table = voxels_of_classes(labels, 3, ONE)
    assert len(table) == 2 + POINTS_OF_A_CLASS
    assert (labels[tuple(table[2:].T)] == 1).all()
    assert len(np.unique(table[2:], axis=0)) == POINTS_OF_A_CLASS
    np.testing.assert_allclose(table[2:].mean(axis=0), [24.5, 29.5, 29.5], atol=2)


def test_few_places_are_all_found():
    where = np.random.default_rng(0).random((7, 8, 9)) < 0.1
    np.testing.assert_array_equal(some_places(where, 1000), np.argwhere(where))
    assert some_places(np.zeros((3, 4), bool), 5).shape == (0, 2)


def test_a_case_without_structures_has_no_places():
    assert len(ClassPoints(voxels_of_classes(np.zeros((4, 4, 4), np.uint8), 3, ONE), 2)) == 0
    assert len(ClassPoints(class_table([np.zeros((0, 2), np.int32)], 2), 1)) == 0


def test_254_classes_are_drawn():
    labels = np.zeros((16, 16, 16), np.uint8)
    labels.ravel()[:254] = np.arange(1, 255)
    found = drawn_classes(ClassPoints(voxels_of_classes(labels, 255, ONE), 254), labels, 3000)
    assert len(found) == 254


def picture() -> Prepared:
    """A large class, one of four pixels, one so fine that no pixel is half of it, and one beyond the region."""
    truth = np.zeros((5, 64, 64), np.float32)
    truth[1, :40, :40] = 1
    truth[2, 50:52, 50:52] = 1
    truth[3, 60, 10:20] = 0.3
    truth[4, 5, 60] = 1
    truth[0] = 1 - truth.sum(axis=0)
    region = np.ones((64, 64), bool)
    region[:10, 50:] = False
    return Prepared(truth[1:].copy(), region, Placement((64, 64), (0, 0, 64, 64), (64, 64)), truth=truth)


def test_a_fine_class_of_a_picture_is_found_and_one_outside_the_region_is_not():
    table = pixels_of_classes(picture())
    ends = table[:4, :2]
    assert (ends[:, 1] - ends[:, 0]).tolist() == [1600, 4, 10, 0]
    assert (table[ends[2, 0] : ends[2, 1], 0] == 60).all()


def test_balanced_patches_show_the_small_class_as_often_as_the_large_one():
    sampler = SamplerSpec(patch=(8, 8), per_case=1, foreground=1.0)
    centers = {}
    for balance in ("foreground", "classes"):
        drawn = PatchSamples([picture()], sampler.model_copy(update={"balance": balance}), NONE, 0)
        patches = [drawn[index]["truth"][:, 3:5, 3:5].amax(dim=(1, 2)) for index in range(120)]
        centers[balance] = [sum(float(patch[number]) > 0.2 for patch in patches) for number in (1, 2, 3)]
    assert centers["foreground"][1] + centers["foreground"][2] < 10
    assert min(centers["classes"]) > 25


def test_patches_of_volumes_are_centered_on_classes_drawn_equally_often():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[:30, :30, :30], labels[36, 36, 36] = 1, 2
    volume = SampledVolume(np.zeros((1, 40, 40, 40), np.float32), ONE, ClassShares(labels, 3, ONE, resampled=True))
    still = VolumeAugmentSpec(rotation=0, tilt=0, scale=0, shear=0, elastic=0)
    points = ClassPoints(voxels_of_classes(labels, 3, ONE), 2)
    samples = PointSamples([volume], [points], (9, 9, 9), still, 0, 1, 1.0)
    centers = [samples[index]["truth"][:, 4, 4, 4] for index in range(60)]
    assert 18 < sum(float(center[1]) > 0.9 for center in centers) < 42
    assert all(float(center.sum()) > 0.9 for center in centers)
