"""Patches show a landmark where they say that it is, however they were warped."""

import numpy as np
import pytest
import torch

from gracile.geometry.similarity import Similarity
from gracile.recipe import AugmentSpec
from gracile.samples.landmark_samples import LandmarkPatches, ScatteredPatches
from gracile.transforms.posed import MarkedVolume, SampledVolume

QUIET = {"shear": 0, "gain": 0, "channel_gain": 0, "bias": 0, "channel_bias": 0, "curve": 0, "illumination": 0,
         "noise": 0, "blur": 0, "flip": False}  # fmt: skip
SPACING = np.array([0.5, 0.4, 0.6])
POINTS = np.array([[9.0, 7.0, 8.0], [5.0, 9.0, 10.0], [10.5, 6.0, 12.0]])


def blob_volume(which: int) -> MarkedVolume:
    """A Gaussian of light about one of the points."""
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip((36, 40, 32), SPACING, strict=True)], indexing="ij")
    squares = sum((axis - c) ** 2 for axis, c in zip(axes, POINTS[which], strict=True))
    return MarkedVolume(SampledVolume(np.exp(-squares / 2)[None].astype(np.float32), SPACING), POINTS)


def middle_of_light(image: torch.Tensor) -> torch.Tensor:
    light = image[0].double().clamp_min(0)
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in light.shape], indexing="ij")
    return torch.stack([(axis * light).sum() / light.sum() for axis in axes])


WARPS = [
    {"rotation": 0, "tilt": 0, "scale": 0, "elastic": 0},
    {"rotation": 180, "tilt": 180, "scale": 0.2, "elastic": 0},
    {"rotation": 20, "tilt": 20, "scale": 0.1, "elastic": 1.0},
]


@pytest.mark.parametrize("how", WARPS)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_light_about_a_landmark_is_where_a_scattered_patch_places_it(how, which):
    samples = ScatteredPatches([blob_volume(which)], (44, 44, 44), AugmentSpec(**QUIET, **how), seed=3, per_case=3)
    for index in range(len(samples)):
        sample = samples[index]
        assert sample["places"].shape == (3, 3)
        # A local stretch of the light moves its middle a little.
        error = (middle_of_light(sample["image"]) - sample["places"][which]).norm()
        assert error < (0.6 if how["elastic"] else 0.15)


@pytest.mark.parametrize("how", WARPS)
def test_the_light_about_a_landmark_is_where_its_own_patch_places_it(how):
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    pose = Similarity(1.1, turn, np.zeros(3))
    volumes = [blob_volume(which) for which in range(3)]
    samples = LandmarkPatches(volumes, [pose] * 3, 31, 0.4, 0.6, 1.5, AugmentSpec(**QUIET, **how), seed=1, per_case=12)
    seen = 0
    for index in range(len(samples)):
        sample = samples[index]
        if int(sample["number"]) == index % 3:  # the volume's light is about this landmark
            error = (middle_of_light(sample["image"]) - 15 - sample["place"]).norm()
            assert error < (0.6 if how["elastic"] else 0.2)
            seen += 1
    assert seen > 3


def test_beyond_the_volume_a_patch_is_zero_however_intensities_vary():
    bright = AugmentSpec(**{**QUIET, "rotation": 0, "tilt": 0, "scale": 0, "elastic": 0, "bias": 5.0})
    volume = MarkedVolume(SampledVolume(np.ones((1, 9, 9, 9), np.float32), np.ones(3)), np.zeros((1, 3)))
    samples = LandmarkPatches([volume], [Similarity(1.0, np.eye(3), np.zeros(3))], 9, 1.0, 0.0, 1.0, bright, 0, 3)
    for index in range(3):
        image = samples[index]["image"]
        assert (image[:, :4] == 0).all()
        assert (image[:, 4:, 4:, 4:] != 0).all()


def test_a_scrambled_patch_has_no_landmark_and_nothing_of_the_light():
    plain, empty = (
        ScatteredPatches([blob_volume(0)], (24,) * 3, AugmentSpec(flip=False), 7, 20, share) for share in (0.0, 0.5)
    )
    scrambled = [index for index in range(20) if (empty[index]["places"] < -0.5).all()]
    assert 4 < len(scrambled) < 16
    for index in range(20):
        if index in scrambled:
            same = np.corrcoef(plain[index]["image"].ravel(), empty[index]["image"].ravel())[0, 1]
            assert abs(same) < 0.6  # smooth noise is like anything by chance
            assert empty[index]["image"].std() < 1.1 * plain[index]["image"].std()
        else:
            assert all(torch.equal(plain[index][name], empty[index][name]) for name in plain[index])


def test_a_sample_depends_on_its_index_alone():
    one, other = (ScatteredPatches([blob_volume(0)], (16,) * 3, AugmentSpec(flip=False), 7, 4) for _ in range(2))
    other[1]
    assert torch.equal(one[2]["image"], other[2]["image"])
    assert not torch.equal(one[2]["image"], one[3]["image"])
