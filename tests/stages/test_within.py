"""Coarse, then fine: a stage for volumes that looks within what another found."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gracile.case import Case
from gracile.errors import RecipeError
from gracile.geometry.boxes import box_of_islands, widened
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe, read_recipe
from gracile.result import Result

CASCADE = [
    "prepare.orientation=RAS", "prepare.intensity=unit", "measure=[]",
    "stages=[{kind: segment-volume, name: locate, network: {name: light-unet-3d, options: {width: 4}}, "
    "losses: [{name: dice}], spacing_mm: [3, 3, 3], size: [16, 16], length: 16}, "
    "{kind: segment-volume, name: fine, within: locate, margin_mm: 4, network: {name: light-unet-3d, "
    "options: {width: 4}}, losses: [{name: dice}], spacing_mm: [0, 0, 0], size: [16, 16], length: 16}]",
]  # fmt: skip


def recipe() -> Recipe:
    return read_recipe("spinal-cord", CASCADE)


class Bright(torch.nn.Module):
    """Takes what is bright for the structure, and remembers how much it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shown.append(tuple(images.shape[2:]))
        return torch.cat([2 - 40 * images, 40 * images - 2], dim=1)


def answer(image: np.ndarray) -> tuple[Result, Bright]:
    cascade = recipe()
    learners = [build_learner(spec, cascade).eval() for spec in cascade.stages]
    networks = [Bright(), Bright()]
    for learner, network in zip(learners, networks, strict=True):
        learner.network = network
    pipeline = Pipeline(cascade, [learner.applied("float32") for learner in learners])
    return pipeline(Case.from_volume(image, np.eye(4))), networks[1]


def test_the_fine_stage_sees_the_box_alone_and_answers_in_place() -> None:
    image = np.zeros((80, 70, 60), np.float32)
    image[50:57, 12:20, 30:36] = 255.0
    found, fine = answer(image)
    np.testing.assert_array_equal(found.mask, image > 0)
    assert len(fine.shown) < 30  # the whole volume takes hundreds of patches


def test_where_nothing_is_found_nothing_is_there() -> None:
    found, fine = answer(np.zeros((40, 40, 40), np.float32))
    assert found.status == "absent"
    assert "nothing was found on the coarse copy of the stage locate" in found.notes
    assert not fine.shown


def test_a_structure_at_the_border_is_found() -> None:
    image = np.zeros((60, 60, 60), np.float32)
    image[:8, 20:30, 50:] = 255.0
    found, _ = answer(image)
    np.testing.assert_array_equal(found.mask, image > 0)


def test_specks_do_not_make_the_box_larger() -> None:
    mask = np.zeros((40, 40, 40), bool)
    mask[10:20, 10:20, 10:20] = True
    mask[35, 35, 35] = True
    assert box_of_islands([mask]) == (slice(10, 20),) * 3
    small = np.zeros_like(mask)
    small[35, 35, 35] = True
    assert box_of_islands([mask, small]) == (slice(10, 36),) * 3  # a class of its own is no speck
    assert box_of_islands([np.zeros_like(mask)]) is None
    assert widened((slice(0, 5), slice(3, 9), slice(38, 40)), np.full(3, 4.0), mask.shape) == (
        slice(0, 9), slice(0, 13), slice(34, 40),
    )  # fmt: skip


def test_a_stage_within_none_is_refused() -> None:
    with pytest.raises(RecipeError, match="looks within what 'loc' found"):
        read_recipe("spinal-cord", [*CASCADE, "stages.fine.within=loc"])
    with pytest.raises(RecipeError, match="both `along` and `within`"):
        read_recipe("spinal-cord", ["stages.cord.within=centerline"])
