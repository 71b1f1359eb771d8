"""Heat maps of points: networks that answer them, what these learn, and how a point is read from an answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gracile.networks.light_unet_3d import LightUNet3d
from gracile.networks.zoo import build_network
from gracile.recipe import AugmentSpec, LandmarkHeatSpec, LandmarkRefineSpec, Recipe
from gracile.stages.base import Stage
from gracile.stages.configuration import Configuration
from gracile.transforms import Prepared
from gracile.transforms.posed import MarkedVolume

REACH = 2.5
"""Deviations around the warmest sample within which a point is averaged."""


class HeatStage(Stage):
    """A network that answers a map of logits for each landmark, and how the landmarks lie to each other."""

    choosing = ("validation_error_mm", "min")

    def __init__(self, spec: LandmarkHeatSpec | LandmarkRefineSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(recipe)
        self.spec = spec
        self.name = spec.name
        network, count = spec.network, len(recipe.landmarks)
        initial = network.initial if initialize else ""
        self.network = build_network(
            network.name, recipe.input.channels, count, initial=initial, dimensions=3, **network.options
        )
        self.configuration = Configuration(count)

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
        return [*volumes, *(volume.mirrored(self.opposites) for volume in volumes)]

    @property
    def opposites(self) -> list[int | None]:
        """Number of each landmark's opposite."""
        names = self.recipe.landmark_names
        return [names.index(one.opposite) if one.opposite else None for one in self.recipe.landmarks]

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
        answers = self.network(images)
        answers = answers[-1] if isinstance(answers, list | tuple) else answers
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


@dataclass(frozen=True)
class Peak:
    """Where a heat map is warmest.

    Args:
        place: ``(3,)`` mean place in samples around the warmest one.
        mass: Share of the heat that lies there.
        spread_mm: Root mean square distance of that heat from the place.
    """

    place: np.ndarray
    mass: float
    spread_mm: float


def read_peak(heat: np.ndarray, spacing_mm: np.ndarray, width_mm: float) -> Peak:
    """The warmest place of a heat map ``(x, y, z)`` of probabilities, between its samples."""
    top = np.array(np.unravel_index(int(heat.argmax()), heat.shape))
    reach = np.ceil(REACH * width_mm / spacing_mm).astype(int)
    low, high = np.maximum(top - reach, 0), np.minimum(top + reach + 1, heat.shape)
    near = heat[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(float)
    mass = float(near.sum())
    axes = [np.arange(a, b, dtype=float) for a, b in zip(low, high, strict=True)]
    sides = [near.sum(axis=tuple(i for i in range(3) if i != axis)) / max(mass, 1e-12) for axis in range(3)]
    place = np.array([side @ at for side, at in zip(sides, axes, strict=True)])
    squares = sum(
        float(side @ (at - middle) ** 2) * float(step) ** 2
        for side, at, middle, step in zip(sides, axes, place, spacing_mm, strict=True)
    )
    return Peak(place, mass, float(np.sqrt(squares)))
