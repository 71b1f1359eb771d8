"""What the landmark stages that answer heat maps share while they learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gracile.learning.learners.base import VOLUME, Learner, final, network_of
from gracile.networks.light_unet_3d import LightUNet3d
from gracile.recipe import AugmentSpec, Recipe
from gracile.samples.landmark_samples import MarkedVolume
from gracile.stages.configuration import Configuration
from gracile.transforms import Prepared


class StoredConfiguration(nn.Module):
    """The mean shape of the landmarks among a stage's weights.

    Args:
        landmarks: How many.
    """

    mean_mm: Tensor
    stray_mm: Tensor

    def __init__(self, landmarks: int) -> None:
        super().__init__()
        self.register_buffer("mean_mm", torch.zeros(landmarks, 3))
        self.register_buffer("stray_mm", torch.ones(landmarks))

    def learn(self, shapes: Sequence[np.ndarray]) -> None:
        """Take mean and stray from cases, each ``(landmarks, 3)`` mm."""
        learned = Configuration.learned(shapes)
        self.mean_mm.copy_(torch.from_numpy(learned.mean))
        self.stray_mm.copy_(torch.from_numpy(learned.stray))

    @property
    def mean(self) -> np.ndarray:
        """``(landmarks, 3)`` mm as float64."""
        return self.mean_mm.double().cpu().numpy()


class HeatLearner(Learner):
    """A network that answers a map of logits for each landmark, and how the landmarks lie to each other."""

    choosing = ("validation_error_mm", "min")
    example_sizes = VOLUME

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
        count = len(recipe.landmarks)
        self.network = network_of(spec.network, recipe.input.channels, count, initialize, dimensions=3)
        self.configuration = StoredConfiguration(count)

    def answer_names(self) -> list[str]:
        return self.recipe.landmark_names

    def learns_from(self, case: Prepared) -> bool:
        return bool(case.points)

    def points_mm(self, case: Prepared) -> np.ndarray:
        """``(landmarks, 3)`` mm of a training case's landmarks along its axes, from its first voxel."""
        return np.stack([case.points[name] for name in self.recipe.landmark_names]) * case.spacing_mm

    def learned_from(self, cases: Sequence[Prepared]) -> list[MarkedVolume]:
        """Training volumes, and with `augment.flip` the mirror image of each."""
        volumes = [self.marked(case) for case in cases]
        if not self.spec.augment.flip:
            return volumes
        return [*volumes, *(volume.mirrored(self.recipe.landmark_opposites) for volume in volumes)]

    def augment(self) -> AugmentSpec:
        """How patches vary, which are not mirrored: their volumes are."""
        return self.spec.augment.model_copy(update={"flip": False})

    def marked(self, case: Prepared) -> MarkedVolume:
        """A training case as its patches are cut, with its landmarks."""
        raise NotImplementedError

    def logits(self, images: Tensor, only: Tensor | None = None) -> Tensor:
        """``(batch, channels, x, y, z)`` volumes or patches to ``(batch, landmarks, x', y', z')``.

        With ``only``, ``(batch,)`` numbers of a landmark each, the answer is ``(batch, 1, x', y', z')``, that one's.
        """
        if only is not None and isinstance(self.network, LightUNet3d):
            return self.network(images, only)
        answers = final(self.network(images))
        return answers if only is None else answers[torch.arange(len(answers), device=answers.device), only][:, None]


def target_heat(places: Tensor, sizes: tuple[int, ...], steps: Tensor, width: Tensor) -> Tensor:
    """Gaussians that add up to 1 over a grid.

    Args:
        places: ``(..., 3)`` in samples of the grid that the steps count.
        sizes: Of the heat.
        steps: ``(3,)`` samples between two of the heat.
        width: ``(..., 3)`` deviation in samples.

    Returns:
        ``(..., x, y, z)`` float32.
    """
    sides = []
    for axis, size in enumerate(sizes):
        at = torch.arange(size, device=places.device) * steps[axis]
        squares = ((at - places[..., axis, None]) / width[..., axis, None]) ** 2
        sides.append((-0.5 * squares).softmax(dim=-1))
    x, y, z = sides
    return x[..., :, None, None] * y[..., None, :, None] * z[..., None, None, :]
