"""Answers of mirror images are named anew; a gate behind the stage that delineates takes nothing from it."""

import numpy as np
import pytest
import torch
from torch import nn

from gracile.case import Case
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe
from gracile.stages.segment import delineated

CLASSES = (
    "classes=[{name: background, color: [0, 0, 0]}, {name: left, color: [1, 0, 0], opposite: right}, "
    "{name: right, color: [2, 0, 0], opposite: left}]"
)


class Sides(nn.Module):
    """Answers left and right as one does who faces where a picture grows brighter, along its rows."""

    def forward(self, images):
        facing = torch.sign(images.diff(dim=2).mean(dim=(1, *range(2, images.ndim)), keepdim=True))
        ramp = torch.linspace(-1, 1, images.shape[3]).view(1, 1, 1, -1, *[1] * (images.ndim - 4))
        ramp = (ramp * facing).expand(len(images), 1, *images.shape[2:])
        return 4 * torch.cat([0 * ramp, -ramp, ramp], dim=1)


@pytest.mark.parametrize("flips", [True, "horizontal"])
def test_answers_of_mirrored_pictures_agree_with_those_of_the_picture(flips):
    recipe = read_recipe("structure-2d", [CLASSES, f"stages.segment.flips={flips}"])
    stage = build_learner(recipe.stages[0], recipe).eval()
    stage.network = Sides()
    image = np.broadcast_to(np.arange(32, dtype=np.float32)[:, None], (3, 32, 32))
    alone = delineated(stage.runner(), image, recipe.opposites)
    assert (alone[1, :, 0] > 0.9).all()
    np.testing.assert_allclose(delineated(stage.runner(), image, recipe.opposites, flips), alone, atol=1e-6)


def test_answers_of_mirrored_volumes_agree_with_those_of_the_volume():
    settings = [
        "stages.cord.flips=true",
        "stages.cord.turns=[]",
        "stages.cord.smooth_mm=0",
        "stages.cord.size=[16, 16]",
    ]
    recipe = read_recipe("spinal-cord", [CLASSES, *settings, "stages.cord.length=8"])
    learner = build_learner(recipe.stages[1], recipe)

    class Lying(Sides):  # it faces along the second axis, and the first is mirrored
        def forward(self, images):
            return super().forward(images.transpose(2, 3)).transpose(2, 3)

    learner.network = Lying()
    stage = learner.applied()
    volume = np.broadcast_to(np.arange(16, dtype=np.float32)[None, :, None], (1, 16, 16, 8))
    both = stage.predict(volume)
    stage.spec = stage.spec.model_copy(update={"flips": False})
    np.testing.assert_allclose(both, stage.predict(volume), atol=1e-5)
    assert (both[1, 0] > 0.9).all()


def test_a_gate_may_stand_behind_the_stage_that_delineates():
    recipe = read_recipe("surgical-tool")
    turned = recipe.model_copy(update={"stages": recipe.stages[::-1]})
    assert turned.deciding.name == "structures"
    stages = [build_learner(spec, turned) for spec in turned.stages]
    stages[1].threshold.fill_(0.0)
    result = Pipeline(turned, [stage.applied() for stage in stages])(
        Case.from_array(np.full((48, 64, 3), 90, np.uint8))
    )
    assert result.mask.shape == (48, 64)
    assert "presence" in "".join(result.seconds)
