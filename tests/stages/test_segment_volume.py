"""What the segment stage for volumes does around its network: turns, mirror images, and evening along the line."""

from collections.abc import Callable
from math import erf, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from gracile.geometry import Centerline
from gracile.learning.learners import build_learner
from gracile.recipe import read_recipe
from gracile.stages import Finding
from gracile.stages.segment_volume import SegmentVolumeStage
from gracile.transforms import Prepared
from gracile.transforms.column import Column
from gracile.transforms.evening import evened

SETTINGS = [
    "stages.cord.network.options={width: 4}",
    "stages.cord.size=[24, 24]",
    "stages.cord.length=12",
]


def stage_of(answer: Callable[[Tensor], Tensor], *settings: str) -> SegmentVolumeStage:
    """The cord's stage, whose network's answer for the cord is a function of the image."""
    recipe = read_recipe("spinal-cord", [*SETTINGS, *settings])
    learner = build_learner(recipe.stages[1], recipe)
    learner.logits = lambda images: torch.cat([torch.zeros_like(images[:, :1]), answer(images[:, :1])], dim=1)
    stage = learner.applied()
    assert isinstance(stage, SegmentVolumeStage)
    return stage


def bright(images: Tensor) -> Tensor:
    """A sure answer: all that is bright."""
    return 40.0 * images - 20.0


@pytest.mark.parametrize("settings", [["stages.cord.turns=[25]"], ["stages.cord.turns=[-40, 15]"], []])
@pytest.mark.parametrize("flips", ["true", "false"])
def test_what_was_seen_turned_or_mirrored_lies_where_it_is(settings, flips):
    image = np.zeros((1, 24, 24, 12), np.float32)
    image[..., 14:20, 5:11, :] = 1.0
    found = stage_of(bright, f"stages.cord.flips={flips}", *settings).predict(image)
    assert found.shape == (2, 24, 24, 12)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-3)
    assert found[1, 15:19, 6:10].min() > 0.95
    assert found[1, :11].max() < 0.05
    assert found[1, :, 14:].max() < 0.05


def test_flips_even_out_a_network_that_prefers_one_side():
    def leaning(images: Tensor) -> Tensor:
        return torch.linspace(-3, 3, 24)[:, None, None].expand_as(images).clone()

    plain = stage_of(leaning, "stages.cord.flips=false").predict(np.zeros((1, 24, 24, 12), np.float32))[1]
    assert float(plain[-1].mean() - plain[0].mean()) > 0.8
    even = stage_of(leaning, "stages.cord.flips=true").predict(np.zeros((1, 24, 24, 12), np.float32))[1]
    np.testing.assert_allclose(even, 0.5, atol=1e-3)


@pytest.mark.parametrize("slice_mm", [1.0, 3.0])
def test_brightness_is_evened_over_so_many_mm_however_far_apart_slices_lie(slice_mm):
    count = round(144 / slice_mm) + 1
    line = Centerline(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 144.0]]))
    column = Column.along(line, np.diag([-1.0, 1.0, slice_mm, 1.0]), (40, 40, count), (24, 24), (0.0, 0.0, 0.0))
    heights = np.arange(count) * slice_mm - 72.0 - slice_mm / 2
    checkers = np.where(np.indices((24, 24)).sum(axis=0) % 2, 10.0, -10.0)
    cut = checkers[None, :, :, None] + np.where(heights > 0, 100.0, 0.0)
    means = evened(column, cut, 12.0).mean(axis=(0, 1, 2))
    for away in (-24.0, -12.0, 12.0, 24.0):  # so far from where it becomes brighter, that much of it is known
        at = int(np.abs(heights - away).argmin())
        known = (1 + erf(heights[at] / 12 / sqrt(2))) / 2
        deviation = sqrt(100 + 100**2 * known * (1 - known))
        assert means[at] == pytest.approx(((100 if heights[at] > 0 else 0) - 100 * known) / deviation, abs=0.05)


def test_a_whole_volume_behind_a_column_is_answered_as_a_whole():
    stage = stage_of(bright, "stages.cord.along=''", "stages.cord.spacing_mm=[0, 0, 0]")
    image = np.zeros((1, 30, 28, 14), dtype=np.float32)
    whole = Prepared(image, np.ones(image.shape[1:], dtype=bool), None, affine=np.eye(4))
    found = stage.find(whole, Finding(box=(slice(3, 9), slice(3, 9), slice(3, 9))))
    assert found.probabilities is not None
    assert found.probabilities.shape == (2, 30, 28, 14)
    assert found.box is None


def test_copies_are_mirrored_along_each_chosen_axis():
    seen = []

    def remembering(images: Tensor) -> Tensor:
        seen.append(images[0, 0].numpy().copy())
        return bright(images)

    image = np.zeros((1, 24, 24, 12), np.float32)
    image[:, 14:20, 5:11, 2:5] = 1.0
    found = stage_of(remembering, "stages.cord.flips=[0, 1, 2]", "stages.cord.turns=[]").predict(image)
    assert len({one.tobytes() for one in seen}) == 8
    np.testing.assert_allclose(found[1], np.where(image[0] > 0, 1.0, 0.0), atol=1e-4)


SIDES = (
    "classes=[{name: background, color: [0, 0, 0]}, {name: left, color: [1, 1, 1], opposite: right}, "
    "{name: right, color: [2, 2, 2], opposite: left}]"
)


@pytest.mark.parametrize(("codes", "axis"), [("LAS", 0), ("PRS", 1)])
def test_sides_change_where_the_axis_from_left_to_right_is_mirrored_and_nowhere_else(codes, axis):
    """A network calls the first half of that axis left: mirrored along it, that is right; along others, it is not."""
    views = ["stages.cord.flips=[0, 1, 2]", "stages.cord.turns=[]"]
    unmirrored = ["stages.cord.augment.flip=false", "stages.centerline.augment.flip=false", "measure=[]"]
    recipe = read_recipe(
        "spinal-cord", [*SETTINGS, SIDES, f"prepare.orientation={codes}", *views, *unmirrored]
    )  # fmt: skip
    learner = build_learner(recipe.stages[1], recipe)

    def halves(images: Tensor) -> Tensor:
        sides = torch.linspace(20, -20, 24).reshape([-1 if one == axis else 1 for one in range(3)])
        left = sides.expand(24, 24, 12)
        return torch.stack([torch.full_like(left, -40.0), left, -left])[None].repeat(len(images), 1, 1, 1, 1)

    learner.logits = halves
    found = learner.applied().predict(np.zeros((1, 24, 24, 12), np.float32))
    first, last = (np.take(found, places, axis=axis + 1) for places in (range(8), range(16, 24)))
    assert first[1].min() > 0.99
    assert last[2].min() > 0.99
