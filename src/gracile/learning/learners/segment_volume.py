"""How the segment stage for volumes learns: from pieces of columns along lines, or from patches of whole volumes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.utils.data import Dataset

from gracile.geometry import Centerline
from gracile.geometry.boxes import widened
from gracile.geometry.centerline import centerline_from_mask
from gracile.learning.learners.base import VOLUME, Batch, Learner, network_of
from gracile.learning.learners.segment import build_terms, weighted_losses
from gracile.networks.slices import SliceNetwork
from gracile.recipe import Recipe
from gracile.samples.class_points import ClassPoints, voxels_of_classes
from gracile.samples.volume_samples import LineSamples, PointSamples, SampledVolume
from gracile.transforms import Prepared
from gracile.transforms.class_shares import ClassShares
from gracile.transforms.evening import column_of, evened, levels
from gracile.transforms.prepared import named_by_steps
from gracile.transforms.stored import Array
from gracile.transforms.volume import resample_to_spacing, steps_to


class SegmentVolumeLearner(Learner):
    """Learns to delineate the recipe's classes in a column along the true line, jittered, or in the whole volume."""

    example_batch, example_sizes = 2, VOLUME
    learns_classes = True

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
        channels = recipe.input.channels * max(1, spec.slices)
        self.network = network_of(
            spec.network, channels, len(recipe.answers), initialize, dimensions=2 if spec.slices else 3
        )
        if spec.slices:
            self.network = SliceNetwork(self.network, spec.slices)
        self.terms = build_terms(recipe, spec.losses)

    @property
    def foreground(self) -> range:
        """Indices of the classes that are delineated."""
        return range(1, len(self.recipe.classes))

    @property
    def patch(self) -> tuple[int, int, int]:
        """Samples of a patch along each axis."""
        return (*self.spec.size, self.spec.length)

    def learns_from(self, case: Prepared) -> bool:
        return case.labels is not None and (not self.spec.along or case.shows(self.foreground))

    def looked_at(self, case: Prepared) -> Prepared:
        """What it learns from a case: the box around its structures where a stage before tells that, else all."""
        if not self.spec.within:
            return case
        (near,) = ndimage.find_objects(case.where(self.foreground).astype(np.uint8)) or (None,)
        if near is None:
            return case
        return case.part(widened(near, self.spec.margin_mm / case.spacing_mm, case.image.shape[1:]))

    def true_line(self, case: Prepared) -> Centerline:
        """The line through the mask of a training case, all classes together."""
        assert case.affine is not None
        return centerline_from_mask(case.where(self.foreground), case.affine)

    def spacing_of(self, case: Prepared) -> np.ndarray:
        """``(3,)`` mm at which the network sees a case."""
        return np.array([wanted or own for wanted, own in zip(self.spec.spacing_mm, case.spacing_mm, strict=True)])

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        if self.spec.along:
            return self._along_lines(cases, seed)
        cases = [self.looked_at(case) for case in cases]
        volumes = [self._whole(case) for case in cases]
        centers = [self._foreground_samples(case) for case in cases]
        spec, recipe = self.spec, self.recipe
        samples = PointSamples(
            volumes, centers, self.patch, spec.augment, seed, spec.per_case, spec.foreground, self.opposites,
            recipe.prepare.left_right,
        )  # fmt: skip
        return _OfClasses(samples, len(recipe.classes), background=False)

    @property
    def opposites(self) -> list[int]:
        """Class that each class is in a mirror image; what is ignored, where anything is, comes last and stays."""
        ignored = [len(self.recipe.classes)] if self.recipe.ignores else []
        return [*self.recipe.opposites, *ignored]

    def _along_lines(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        volumes, lines, scales, spacings = [], [], [], []
        for case in cases:
            assert case.affine is not None
            line, own, spacing = self.true_line(case), case.spacing_mm, self.spacing_of(case)
            column = column_of(case, line, self.spec)
            mean, deviation = levels(column, column.cut(case.image), self.spec.evening_mm)
            heights = column.positions()[0, 0, :, 2] * own[2]
            scales.append(np.stack([heights, mean, deviation], axis=1))
            steps = spacing / own
            volumes.append(SampledVolume(case.smoothed(steps), own, self._shares(case, steps, resampled=False)))
            places = line.in_voxels(case.affine)
            lines.append(places[np.argsort(places[:, 2])] * own)  # the third axis may run down the patient
            spacings.append(spacing)
        spec = self.spec
        samples = LineSamples(
            volumes, lines, scales, self.patch, spacings, spec.jitter, spec.augment, seed, spec.per_case,
            self.opposites, self.recipe.prepare.left_right,
        )  # fmt: skip
        return _OfClasses(samples, len(self.recipe.classes), background=True)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        return _HeldBack(self, cases)

    def _whole(self, case: Prepared) -> SampledVolume:
        image, steps = case.at_spacing(self.spec.spacing_mm)
        return SampledVolume(image, case.spacing_mm * steps, self._shares(case, steps, resampled=True))

    def _shares(self, case: Prepared, steps: np.ndarray, resampled: bool) -> ClassShares:
        assert case.labels is not None
        return ClassShares(case.labels, len(self.recipe.classes), steps, resampled, self.recipe.ignores)

    def _foreground_samples(self, case: Prepared) -> Array | ClassPoints:
        """``(n, 3)`` samples of the whole volume at the stage's spacing that are foreground for the most part.

        Where classes are balanced, samples of each class.
        """
        steps, labels, classes = steps_to(self.spec.spacing_mm, case.spacing_mm), case.labels, len(self.recipe.classes)
        if self.spec.balance == "classes" and labels is not None:
            name = named_by_steps("samples-of-each-class", steps)
            return ClassPoints(case.keep(name, partial(voxels_of_classes, labels, classes, steps)), classes - 1)

        def find() -> np.ndarray:
            shares, _ = resample_to_spacing(case.where(self.foreground)[None], case.spacing_mm, self.spec.spacing_mm)
            return np.argwhere(shares[0] > 0.5).astype(np.int32)

        return case.keep(named_by_steps("foreground-samples", steps), find)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return weighted_losses(self.network(batch["image"]), batch, self.terms)


class _HeldBack(Dataset[Batch]):
    """Columns along the true lines, or whole volumes, with their truth."""

    def __init__(self, learner: SegmentVolumeLearner, cases: Sequence[Prepared]) -> None:
        self.learner = learner
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Batch:
        case = self.cases[index]
        assert case.labels is not None
        if self.learner.spec.along:
            column = column_of(case, self.learner.true_line(case), self.learner.spec)
            image = evened(column, column.cut(case.image), self.learner.spec.evening_mm)
            ignored = self.learner.recipe.ignores
            truth = column.cut_shares(case.labels, len(self.learner.recipe.classes), ignored)
        else:
            volume = self.learner._whole(self.learner.looked_at(case))
            x, y, z = (slice(0, n) for n in volume.shape)
            channels = len(volume.image)
            image, truth = np.split(volume.window((x, y, z)), [channels])
        whole = np.concatenate([1.0 - truth.sum(axis=0, keepdims=True), truth])
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)),
            "truth": torch.from_numpy(whole[: len(self.learner.recipe.classes)].astype(np.float32)),
            "region": torch.ones(1, *image.shape[1:]),
        }


class _OfClasses(Dataset[Batch]):
    """Samples whose truth is the share of each class, the background first: what the others leave, the ignored too.

    Args:
        samples: Their truth is the share of each foreground class and, where anything is ignored, that of it.
        classes: Number of classes.
        background: Whether they have the background's share already.
    """

    def __init__(self, samples: PointSamples | LineSamples, classes: int, *, background: bool) -> None:
        self.inner = samples
        self.classes = classes
        self.background = background

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Batch:
        batch = self.inner[index]
        truth = batch["truth"]
        if not self.background:
            truth = torch.cat([1.0 - truth.sum(dim=0, keepdim=True), truth])
        return {**batch, "truth": truth[: self.classes]}
