"""The segment stage for volumes: delineates in a column along a line, or in the whole volume."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.devices import in_fast_layout
from gracile.geometry import Centerline
from gracile.geometry.centerline import centerline_from_mask
from gracile.losses import build_loss
from gracile.networks.slices import SliceNetwork
from gracile.networks.zoo import build_network
from gracile.recipe import Recipe, SegmentVolumeSpec
from gracile.samples.volume_samples import LineSamples, PointSamples
from gracile.stages.base import Batch, Finding, Stage
from gracile.stages.segment import decide, weighted_losses
from gracile.transforms import Prepared
from gracile.transforms.class_shares import ClassShares
from gracile.transforms.column import Column
from gracile.transforms.posed import SampledVolume
from gracile.transforms.prepared import named_by_steps
from gracile.transforms.stored import Array
from gracile.transforms.volume import resample_to_spacing, restore_spacing, steps_to

MUCH = 0.05
"""Share of a structure above which a person should look at what was mended."""


class SegmentVolumeStage(Stage):
    """Delineates the recipe's classes in a prepared volume.

    Along a line it sees a column of small slices, shifted slice by slice, whose intensities are standardized by the
    column's own; without one, the whole volume at the stage's spacing. Long columns and large volumes are predicted in
    overlapping patches with Gaussian weights. Probabilities may be smoothed along the volume's third axis.
    """

    def __init__(self, spec: SegmentVolumeSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(recipe)
        self.spec = spec
        self.name = spec.name
        network = spec.network
        channels = recipe.input.channels * max(1, spec.slices)
        self.network = build_network(
            network.name,
            channels,
            len(recipe.classes),
            initial=network.initial if initialize else "",
            dimensions=2 if spec.slices else 3,
            **network.options,
        )
        if spec.slices:
            self.network = SliceNetwork(self.network, spec.slices)
        self.terms = [(term, build_loss(term.name, recipe.structures, **term.options)) for term in spec.losses]

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
        volumes = [self._whole(case) for case in cases]
        centers = [self._foreground_samples(case) for case in cases]
        augment, per_case = self.spec.augment, self.spec.per_case
        opposites = self.recipe.opposites
        return _WithBackground(PointSamples(volumes, centers, self.patch, augment, seed, per_case, opposites=opposites))

    def _along_lines(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        volumes, lines, scales, spacings = [], [], [], []
        for case in cases:
            assert case.affine is not None
            line, own, spacing = self.true_line(case), case.spacing_mm, self.spacing_of(case)
            column = self.column(case, line)
            mean, deviation = self._levels(column, column.cut(case.image))
            heights = column.positions()[0, 0, :, 2] * own[2]
            scales.append(np.stack([heights, mean, deviation], axis=1))
            steps = spacing / own
            volumes.append(SampledVolume(case.smoothed(steps), own, self._shares(case, steps, resampled=False)))
            places = line.in_voxels(case.affine)
            lines.append(places[np.argsort(places[:, 2])] * own)  # the third axis may run down the patient
            spacings.append(spacing)
        spec = self.spec
        return LineSamples(
            volumes, lines, scales, self.patch, spacings, spec.jitter, spec.augment, seed, spec.per_case,
            self.recipe.opposites,
        )  # fmt: skip

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        return _HeldBack(self, cases)

    def column(self, case: Prepared, line: Centerline) -> Column:
        """The column of a case along a line."""
        assert case.affine is not None
        shape = (case.region.shape[0], case.region.shape[1], case.region.shape[2])
        return Column.along(line, case.affine, shape, self.spec.size, self.spec.spacing_mm)

    def evened(self, column: Column, cut: np.ndarray) -> np.ndarray:
        """``(channels, *size, length)`` standardized by mean and deviation of the slices around each one."""
        mean, deviation = self._levels(column, cut)
        return ((cut - mean) / deviation).astype(np.float32)

    def _levels(self, column: Column, cut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each slice's surroundings along the column, ``(length,)`` each."""
        means, squares = cut.mean(axis=(0, 1, 2)), np.square(cut).mean(axis=(0, 1, 2))
        if self.spec.evening_mm:
            sigma = self.spec.evening_mm / column.slice_mm
            means, squares = (ndimage.gaussian_filter1d(part, sigma, mode="nearest") for part in (means, squares))
        else:
            means, squares = (np.full(len(part), part.mean()) for part in (means, squares))
        return means, np.sqrt(np.maximum(squares - means**2, 1e-6))

    def _whole(self, case: Prepared) -> SampledVolume:
        image, steps = case.at_spacing(self.spec.spacing_mm)
        return SampledVolume(image, case.spacing_mm * steps, self._shares(case, steps, resampled=True))

    def _shares(self, case: Prepared, steps: np.ndarray, resampled: bool) -> ClassShares:
        assert case.labels is not None
        return ClassShares(case.labels, len(self.recipe.classes), steps, resampled)

    def _foreground_samples(self, case: Prepared) -> Array:
        """``(n, 3)`` samples of the whole volume at the stage's spacing that are foreground for the most part."""
        steps = steps_to(self.spec.spacing_mm, case.spacing_mm)

        def find() -> np.ndarray:
            shares, _ = resample_to_spacing(case.where(self.foreground)[None], case.spacing_mm, self.spec.spacing_mm)
            return np.argwhere(shares[0] > 0.5).astype(np.int32)

        return case.keep(named_by_steps("foreground-samples", steps), find)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return weighted_losses(self.network(batch["image"]), batch, self.terms)

    def predict(self, image: Tensor) -> Tensor:
        """Class probabilities ``(1, classes, x, y, z)`` of ``(1, channels, x, y, z)``."""

        def answer(part: Tensor) -> Tensor:
            return self.logits(in_fast_layout(part)).float().softmax(dim=1)

        def tiled(volume: Tensor) -> Tensor:
            return torch.as_tensor(
                sliding_window_inference(volume, self.patch, 2, answer, self.spec.overlap, "gaussian")
            )

        def seen_both_ways(volume: Tensor) -> Tensor:
            if not self.spec.flips:
                return tiled(volume)
            mirrored = torch.flip(tiled(torch.flip(volume, (2,))), (2,))
            return (tiled(volume) + mirrored[:, self.recipe.opposites]) / 2

        views = [seen_both_ways(image)]
        views += [turned(seen_both_ways(turned(image, angle)), -angle) for angle in self.spec.turns]
        return torch.stack(views).mean(dim=0)

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        outside = (1.0, *[0.0] * (len(self.recipe.classes) - 1))
        if not self.spec.along:
            coarse, steps = prepared.at_spacing(self.spec.spacing_mm)
            found = self.predict(torch.from_numpy(np.asarray(coarse))[None].to(self.device))[0].cpu()
            finding.probabilities = restore_spacing(found.numpy(), steps, prepared.image.shape[1:], outside)
            finding.box = None
        elif self.spec.along in finding.lines:
            column = self.column(prepared, finding.lines[self.spec.along])
            seen = torch.from_numpy(self.evened(column, column.cut(prepared.image)))[None].to(self.device)
            found = self.predict(seen)[0].cpu()
            finding.probabilities, finding.box = column.restore(found.numpy(), outside), column.box
        if self.spec.smooth_mm and finding.probabilities is not None:
            sigma = self.spec.smooth_mm / prepared.spacing_mm[2]
            finding.probabilities = ndimage.gaussian_filter1d(finding.probabilities, sigma, axis=-1, mode="nearest")
        return finding

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return decide(probabilities, self.spec.decision)

    def tidy(self, mask: np.ndarray) -> list[str]:
        flags = []
        for index in range(1, len(self.recipe.classes)):
            name, own = self.recipe.class_names[index], mask == index
            if self.spec.decision.largest_only and (dropped := _without_largest(own)).any():
                if dropped.sum() > MUCH * own.sum():
                    flags.append(
                        f"{name}: what lay apart from its largest island was left out, more than {MUCH:.0%} of it"
                    )
                mask[dropped] = 0
                own &= ~dropped
            if self.spec.decision.fill_holes and (holes := _holes(own) & (mask == 0)).any():
                mask[holes] = index
                if holes.sum() > MUCH * own.sum():
                    flags.append(f"{name}: holes in it were filled, more than {MUCH:.0%} of it")
        return flags


class _HeldBack(Dataset[Batch]):
    """Columns along the true lines, or whole volumes, with their truth."""

    def __init__(self, stage: SegmentVolumeStage, cases: Sequence[Prepared]) -> None:
        self.stage = stage
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Batch:
        case = self.cases[index]
        assert case.labels is not None
        if self.stage.spec.along:
            column = self.stage.column(case, self.stage.true_line(case))
            image = self.stage.evened(column, column.cut(case.image))
            truth = column.cut_shares(case.labels, len(self.stage.recipe.classes))
        else:
            volume = self.stage._whole(case)
            x, y, z = (slice(0, n) for n in volume.shape)
            channels = len(volume.image)
            image, truth = np.split(volume.window((x, y, z)), [channels])
        whole = np.concatenate([1.0 - truth.sum(axis=0, keepdims=True), truth])
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)),
            "truth": torch.from_numpy(whole.astype(np.float32)),
            "region": torch.ones(1, *image.shape[1:]),
        }


class _WithBackground(Dataset[Batch]):
    """Samples whose truth gets its first class, the background: what the others leave."""

    def __init__(self, samples: PointSamples) -> None:
        self.inner = samples

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Batch:
        batch = self.inner[index]
        truth = batch["truth"]
        return {**batch, "truth": torch.cat([1.0 - truth.sum(dim=0, keepdim=True), truth])}


def turned(volumes: Tensor, degrees: float) -> Tensor:
    """``(batch, channels, x, y, z)`` turned about the third axis, linearly; borders go on as they are."""
    batch, _, x, y, z = volumes.shape
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    long, wide = max(1, x - 1), max(1, y - 1)
    turn = volumes.new_tensor([[cosine, -sine * long / wide, 0.0], [sine * wide / long, cosine, 0.0]])
    slices = volumes.permute(0, 4, 1, 2, 3).flatten(0, 1)
    grid = functional.affine_grid(turn.expand(batch * z, 2, 3), list(slices.shape), align_corners=True)
    slices = functional.grid_sample(slices, grid, padding_mode="border", align_corners=True)
    return slices.unflatten(0, (batch, z)).permute(0, 2, 3, 4, 1)


def _without_largest(own: np.ndarray) -> np.ndarray:
    """The voxels that are not of the largest island (26 neighbors)."""
    islands, count = ndimage.label(own, structure=np.ones((3, 3, 3)))
    if count < 2:
        return np.zeros_like(own)
    sizes = np.bincount(islands.ravel())
    sizes[0] = 0
    return own & (islands != sizes.argmax())


def _holes(own: np.ndarray) -> np.ndarray:
    """Background enclosed by the structure within slices across the third axis."""
    filled = np.stack([ndimage.binary_fill_holes(own[..., k]) for k in range(own.shape[-1])], axis=-1)
    return filled & ~own
