"""Left and right: a sample that was mirrored has its classes named anew, and one that was turned has not."""

import numpy as np
import pytest
import torch

from gracile.recipe import AugmentSpec, JitterSpec, SamplerSpec
from gracile.recipe.training import VolumeAugmentSpec
from gracile.samples.frames import WholeImageSamples
from gracile.samples.patches import PatchSamples
from gracile.samples.volume_samples import LineSamples, PointSamples
from gracile.transforms import Placement, Prepared
from gracile.transforms.posed import SampledVolume

STILL = AugmentSpec(
    rotation=0, flip=True, scale=0, shear=0, elastic=0, gain=0, channel_gain=0, bias=0, channel_bias=0, curve=0,
    illumination=0, noise=0, blur=0,
)  # fmt: skip
OPPOSITES = [0, 2, 1, 3]


def picture() -> Prepared:
    """Class 1 left, 2 right, 3 in the middle; the image shows where they are, and is bright above."""
    classes = np.zeros((32, 32), int)
    classes[12:20, 4:10], classes[12:20, 22:28], classes[12:20, 14:18] = 1, 2, 3
    truth = np.stack([classes == index for index in range(4)]).astype(np.float32)
    rows = np.broadcast_to(np.arange(32, dtype=np.float32)[:, None], (32, 32))
    image = np.stack([np.arange(32, dtype=np.float32) + 0 * rows, rows]) - 15.5
    return Prepared(image, np.ones((32, 32), bool), Placement((32, 32), (0, 0, 32, 32), (32, 32)), truth=truth)


def samples(kind, augment, opposites):
    cases = [picture()]
    if kind == "whole":
        return WholeImageSamples(cases, (32, 32), augment, 3, 1, opposites)
    return PatchSamples(cases, SamplerSpec(patch=(32, 32), per_case=1), augment, 3, opposites)


@pytest.mark.parametrize("kind", ["whole", "patches"])
@pytest.mark.parametrize("rotation", [0, 180])
def test_in_a_mirrored_picture_each_class_is_its_opposite(kind, rotation):
    augment = STILL.model_copy(update={"rotation": rotation})
    named, plain = samples(kind, augment, OPPOSITES), samples(kind, augment, ())
    mirrored = 0
    for index in range(12):
        one, other = named[index], plain[index]
        assert torch.equal(one["image"], other["image"])
        # Which way the columns' and the rows' values grow says whether the sample is a mirror image.
        inside = one["region"][0, 1:, 1:] > 0.5
        slopes = [
            [part.diff(dim=1)[1:][inside].median(), part.diff(dim=0)[:, 1:][inside].median()] for part in one["image"]
        ]
        is_mirror = torch.linalg.det(torch.tensor(slopes)) < 0
        mirrored += int(is_mirror)
        assert torch.equal(one["truth"], other["truth"][OPPOSITES] if is_mirror else other["truth"])
    assert 0 < mirrored < 12


class Drawn:
    """Maps that are there as a whole."""

    def __init__(self, maps):
        self.maps = maps

    def window(self, box):
        return self.maps[(slice(None), *box)]


def part() -> SampledVolume:
    truth = np.zeros((3, 20, 20, 20), np.float32)
    truth[0, 2:8, 8:12], truth[1, 12:18, 8:12], truth[2, 9:11, 8:12] = 1, 1, 1
    image = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None, None], (1, 20, 20, 20)) - 9.5
    return SampledVolume(np.ascontiguousarray(image), np.ones(3), Drawn(truth))


def points(opposites):
    return PointSamples([part()], [np.full((1, 3), 9.5)], (16, 16, 16), STILL, 1, 8, 1.0, opposites=opposites)


def lines(opposites):
    line = np.stack([np.full(20, 9.5), np.full(20, 9.5), np.arange(20.0)], axis=1)
    levels = np.array([[0.0, 0, 1], [19.0, 0, 1]])
    still = JitterSpec(offset_mm=0, wander_mm=0)
    return LineSamples([part()], [line], [levels], (16, 16, 8), [np.ones(3)], still, STILL, 1, 8, opposites)


@pytest.mark.parametrize(("make", "shift"), [(points, 1), (lines, 0)])
def test_in_a_mirrored_volume_each_class_is_its_opposite(make, shift):
    named, plain = make(OPPOSITES), make(())
    mirrored = 0
    for index in range(8):
        one, other = named[index], plain[index]
        is_mirror = bool(one["image"][0].diff(dim=0).mean() < 0)
        mirrored += int(is_mirror)
        order = [index - shift for index in OPPOSITES[shift:]]  # along a line the background is among the classes
        assert torch.equal(one["truth"], other["truth"][order] if is_mirror else other["truth"])
    assert 0 < mirrored < 8


ALONG = VolumeAugmentSpec(**STILL.model_dump() | {"flip": False, "flip_axes": [0, 1, 2]})


def shown(axis: int) -> SampledVolume:
    """The part, whose image rises along an axis."""
    rising = np.arange(20, dtype=np.float32).reshape([20 if one == axis else 1 for one in range(3)]) - 9.5
    image = np.ascontiguousarray(np.broadcast_to(rising, (1, 20, 20, 20)))
    return SampledVolume(image, np.ones(3), part().truth)


def mirrored_along(axis: int, opposites, left_right: int) -> list[tuple[bool, torch.Tensor]]:
    """Of sixteen samples, whether each was mirrored along an axis, and its truth."""
    places = [np.full((1, 3), 9.5)]
    samples = PointSamples([shown(axis)], places, (16, 16, 16), ALONG, 1, 16, 1.0, opposites, left_right)
    drawn = [samples[index] for index in range(16)]
    return [(bool(one["image"][0].diff(dim=axis).mean() < 0), one["truth"]) for one in drawn]


@pytest.mark.parametrize("left_right", [0, 1])
def test_samples_are_mirrored_along_each_chosen_axis_and_sides_are_swapped_along_theirs_alone(left_right):
    for axis in range(3):
        assert 0 < sum(mirrored for mirrored, _ in mirrored_along(axis, (), left_right)) < 16
    plain = [truth for _, truth in mirrored_along(0, (), left_right)]
    named = mirrored_along(left_right, OPPOSITES, left_right)
    for (mirrored, truth), before in zip(named, plain, strict=True):
        assert torch.equal(truth, before[[1, 0, 2]] if mirrored else before)


def test_flip_alone_draws_what_it_drew_before_there_were_axes():
    old = PointSamples([part()], [np.full((1, 3), 9.5)], (16, 16, 16), STILL, 1, 8, 1.0)
    new = PointSamples(
        [part()], [np.full((1, 3), 9.5)], (16, 16, 16), VolumeAugmentSpec(**STILL.model_dump()), 1, 8, 1.0
    )
    assert all(torch.equal(old[index]["image"], new[index]["image"]) for index in range(8))


def test_along_a_line_that_runs_aslant_a_piece_mirrored_up_and_down_still_follows_it():
    image = np.zeros((1, 20, 20, 20), np.float32)
    heights = np.arange(20)
    image[0, heights // 2 + 4, 10, heights] = 1.0
    line = np.stack([heights / 2 + 4, np.full(20, 10.0), heights], axis=1)
    volume = SampledVolume(image, np.ones(3), Drawn(image))
    levels = np.array([[0.0, 0, 1], [19.0, 0, 1]])
    augment = ALONG.model_copy(update={"flip_axes": [2]})
    samples = LineSamples(
        [volume], [line], [levels], (9, 9, 9), [np.ones(3)], JitterSpec(offset_mm=0, wander_mm=0), augment, 1, 8
    )
    for index in range(8):
        sample = samples[index]
        within = sample["region"][0, 4, 4] > 0.5  # a piece may begin a little beyond the line's ends
        assert sample["image"][0, 3:6, 3:6].sum(dim=(0, 1))[within].min() > 0.4
