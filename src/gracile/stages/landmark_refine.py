"""The landmark stage that looks closely: a small patch about each landmark, in the pose of all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gracile.devices import in_fast_layout
from gracile.geometry.similarity import Similarity, fit_similarity
from gracile.recipe import AugmentSpec, LandmarkRefineSpec, Recipe
from gracile.result import Landmark
from gracile.samples.landmark_samples import LandmarkPatches
from gracile.samples.patches import CaseSamples
from gracile.stages.base import Batch, Finding
from gracile.stages.heat import HeatStage, target_heat
from gracile.transforms import Prepared
from gracile.transforms.posed import MarkedVolume, SampledVolume, cut_in_pose, mirrored_points
from gracile.transforms.volume import sample

AT_ONCE = 16
"""Patches that a network answers at once."""

POSED_BY = 3
"""Landmarks that tell the pose of all."""

WITHIN = 0.9
"""Share of the reach within which training patches are shifted."""


class LandmarkRefineStage(HeatStage):
    """Moves landmarks that a stage before found to where a patch in full resolution shows them.

    The mean shape is fitted to what was found. About each of its points a patch is cut, turned and scaled into the mean
    shape's pose, so that a landmark always looks alike and lies near the patch's middle. The network answers a map of
    logits for each landmark, of which the patch's own counts, within the stage's reach; it learns by cross-entropy to a
    Gaussian and by the distance of the mean of its softmax from the true place. In use, the heat is weighed by how far
    landmarks stray from the mean shape, and the mean of the softmax is the place. A stage that learned from mirror
    images looks at the volume's own at the end, and takes the middle of both places.
    """

    spec: LandmarkRefineSpec

    def __init__(self, spec: LandmarkRefineSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe, initialize)
        self.margin = (spec.size - 1) // 2 - int(spec.reach_mm / spec.spacing_mm + 1e-6)

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        self.configuration.learn([self.points_mm(case) for case in cases])
        return self._patches(self.learned_from(cases), self.augment(), seed, self.spec.per_case)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        quiet = AugmentSpec(**dict.fromkeys(AugmentSpec.model_fields, False))
        per_case = 2 * len(self.recipe.landmarks)
        return CaseSamples([self._patches([self.marked(case)], quiet, n, per_case) for n, case in enumerate(cases)])

    def _patches(
        self, volumes: Sequence[MarkedVolume], augment: AugmentSpec, seed: int, per_case: int
    ) -> LandmarkPatches:
        poses = []
        for volume in volumes:
            known = np.isfinite(volume.points_mm).all(axis=1)
            poses.append(fit_similarity(self.configuration.mean[known], volume.points_mm[known]))
        spec = self.spec
        return LandmarkPatches(
            volumes, poses, spec.size, spec.spacing_mm, spec.shift_mm, WITHIN * spec.reach_mm, augment, seed, per_case
        )  # fmt: skip

    def marked(self, case: Prepared) -> MarkedVolume:
        """A training case in full resolution with its landmarks."""
        return MarkedVolume(self.sampled(case), self.points_mm(case))

    def sampled(self, case: Prepared) -> SampledVolume:
        """A whole volume in full resolution, smoothed where patches are coarser."""
        steps = np.maximum(1.0, self.spec.spacing_mm / case.spacing_mm)
        return SampledVolume(case.smoothed(steps), case.spacing_mm)

    def own_logits(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Logits of each patch's own landmark within the reach, ``(batch, n, n, n)``."""
        inside = slice(self.margin, self.spec.size - self.margin)
        return self.logits(images, numbers)[:, 0, inside, inside, inside].float()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.own_logits(batch["image"], batch["number"])
        place = batch["place"]
        length = logits.shape[-1]
        ones = torch.ones(3, device=place.device)
        width = self.spec.width_mm / self.spec.spacing_mm
        heat = target_heat(place + (length - 1) / 2, (length,) * 3, ones, width * ones)
        entropy = -(heat.flatten(1) * logits.flatten(1).log_softmax(dim=1)).sum(dim=1)
        far = (_mean_place(_softmax(logits)) - place).abs().sum(dim=1)
        return {"heat": entropy.mean(), "distance": far.mean()}

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, and the mean distance in mm of a case's landmarks from the true ones."""
        batch = {name: part.flatten(0, 1) for name, part in batch.items()}
        loss = torch.stack(list(self.losses(batch).values())).sum()
        far = (_mean_place(_softmax(self.own_logits(batch["image"], batch["number"]))) - batch["place"]).norm(dim=1)
        return {"validation_loss": loss, "validation_error_mm": self.spec.spacing_mm * far.mean()}

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        found = finding.landmarks
        from_patient = np.linalg.inv(prepared.to_patient)
        points = np.full((len(self.recipe.landmarks), 3), np.nan)
        for number, landmark in enumerate(found):
            if landmark.point_mm is not None:
                points[number] = from_patient[:3, :3] @ landmark.point_mm + from_patient[:3, 3]
        known = np.isfinite(points).all(axis=1)
        volume, weights = self.sampled(prepared), np.array([landmark.probability for landmark in found])
        error: float = self.spec.error_mm
        look: _Look | None = None
        for _ in range(self.spec.passes):
            look = self._look(volume, points, weights, error)
            if look is None:
                finding.flags.append(f"the stage {self.name!r} had too few landmarks to look at them closely")
                return finding
            points[known] = look.points[known]
            error = min(error, self.spec.width_mm)
        assert look is not None  # there is one pass at least
        if self.spec.augment.flip:
            look = self._with_mirror_image(look, volume, points, weights, error)
        places = look.points @ prepared.to_patient[:3, :3].T + prepared.to_patient[:3, 3]
        finding.landmarks = [
            replace(landmark, point_mm=place, uncertainty_mm=float(spread), note=self._note(landmark, spread))
            if seen
            else landmark
            for landmark, place, spread, seen in zip(found, places, look.spreads, known, strict=True)
        ]
        finding.landmark_maps = partial(
            _map_of, look, known, self.spec.spacing_mm, prepared.image.shape[1:], prepared.spacing_mm
        )
        return finding

    def _note(self, landmark: Landmark, spread_mm: float) -> str:
        """What the stage before noted, unless the patch showed the landmark after all.

        It did where the heat's spread is nearer to that of the heat that was taught than to that of heat that is the
        same everywhere within the reach.
        """
        taught, blank = np.sqrt(3) * self.spec.width_mm, self.spec.reach_mm
        return "" if spread_mm < (taught + blank) / 2 else landmark.note

    def _with_mirror_image(
        self, look: "_Look", volume: SampledVolume, points: np.ndarray, weights: np.ndarray, error_mm: float
    ) -> "_Look":
        """A look whose landmarks that have an opposite are moved halfway to where the mirror image shows them."""
        opposites = self.opposites
        mirrored = MarkedVolume(volume, points).mirrored(opposites)
        swapped = np.array([0.0 if opposite is None else weights[opposite] for opposite in opposites])
        other = self._look(mirrored.sampled, mirrored.points_mm, swapped, error_mm)
        if other is None:
            return look
        way = np.nan_to_num(mirrored_points(volume, other.points, opposites) - look.points) / 2
        spreads = np.array([s if o is None else other.spreads[o] for s, o in zip(look.spreads, opposites, strict=True)])
        # The spread of both heats together.
        both = np.sqrt((look.spreads**2 + spreads**2) / 2 + (way**2).sum(axis=1))
        return replace(look, centers=look.centers + way, points=look.points + way, spreads=both)

    def _centers(self, pose: Similarity, points: np.ndarray, agreeing: np.ndarray, error_mm: float) -> np.ndarray:
        """Middles of the patches: between what was found and the mean shape, by how sure each is."""
        placed = pose.apply(self.configuration.mean)
        stray = (pose.scale * self.configuration.stray) ** 2
        trust = np.where(agreeing, stray / (stray + error_mm**2), 0.0)[:, None]
        return placed + trust * np.nan_to_num(points - placed)

    def _look(self, volume: SampledVolume, points: np.ndarray, weights: np.ndarray, error_mm: float) -> "_Look | None":
        """Patches about ``(landmarks, 3)`` points in their common pose; None where they do not tell one."""
        pose, agreeing = self.configuration.pose(points, weights, error_mm)
        if pose is None or agreeing.sum() < (POSED_BY if self.configuration.tells_pose else 1):
            return None
        centers = self._centers(pose, points, agreeing, error_mm)
        spacing = self.spec.spacing_mm
        offsets = _steps(self.spec.size, spacing).numpy()
        answers = []
        for some in torch.arange(len(centers), device=self.device).split(AT_ONCE):
            seen = [cut_in_pose(volume, pose, centers[number], offsets) for number in some.tolist()]
            patches = torch.from_numpy(np.stack([image * region for image, region in seen]))
            answers.append(self.own_logits(in_fast_layout(patches.to(self.device)), some).cpu())
        logits = torch.cat(answers)
        # Where a patch's own frame has the mean shape's point.
        middle = (pose.apply(self.configuration.mean) - centers) @ pose.rotation / pose.scale
        grid = _steps(logits.shape[-1], spacing)
        far = (grid - torch.from_numpy(middle).float()[:, None, None, None]).square().sum(dim=-1)
        prior = far / (2 * self.configuration.stray_mm.cpu()[:, None, None, None] ** 2)
        heat = _softmax(logits - self.spec.prior * prior)
        places = _mean_place(heat) * spacing
        squares = (grid - places[:, None, None, None]).square().sum(dim=-1)
        spreads = pose.scale * (heat * squares).sum(dim=(1, 2, 3)).sqrt().numpy()
        points = centers + pose.scale * places.double().numpy() @ pose.rotation.T
        return _Look(pose, centers, heat.numpy(), points, spreads)


@dataclass(frozen=True)
class _Look:
    """What patches showed.

    Args:
        pose: In which they were cut.
        centers: ``(landmarks, 3)`` mm of the volume, their middles.
        heat: ``(landmarks, n, n, n)`` probabilities in the pose.
        points: ``(landmarks, 3)`` mm of the volume.
        spreads: ``(landmarks,)`` mm.
    """

    pose: Similarity
    centers: np.ndarray
    heat: np.ndarray
    points: np.ndarray
    spreads: np.ndarray


def _map_of(
    look: _Look, known: np.ndarray, spacing_mm: float, shape: tuple[int, ...], voxel_mm: np.ndarray, number: int
) -> np.ndarray:
    """Probabilities of a landmark on a volume's own voxels, ``(x, y, z)``; 0 where it is not known."""
    pose, side = look.pose, look.heat.shape[-1]
    reach = np.sqrt(3) * pose.scale * spacing_mm * side / 2
    # A sample's heat is a share of 1; a voxel's is that of its own size.
    size = float(np.prod(voxel_mm)) / (pose.scale * spacing_mm) ** 3
    whole = np.zeros(shape, dtype=np.float32)
    center = look.centers[number]
    low = np.clip(np.floor((center - reach) / voxel_mm).astype(int), 0, shape)
    high = np.clip(np.ceil((center + reach) / voxel_mm).astype(int) + 1, 0, shape)
    if not known[number] or (low >= high).any():
        return whole
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    inside = (voxels * voxel_mm - center) @ pose.rotation / pose.scale
    values = sample(look.heat[number][None], inside / spacing_mm + (side - 1) / 2)[0]
    x, y, z = (slice(a, b) for a, b in zip(low, high, strict=True))
    whole[x, y, z] = np.minimum(1.0, size * values)
    return whole


def _steps(length: int, spacing: float) -> Tensor:
    """``(length, length, length, 3)`` mm of a patch's samples from its middle."""
    at = (torch.arange(length) - (length - 1) / 2) * spacing
    return torch.stack(torch.meshgrid(at, at, at, indexing="ij"), dim=-1)


def _softmax(logits: Tensor) -> Tensor:
    """``(batch, n, n, n)`` that add up to 1 each."""
    return logits.flatten(1).softmax(dim=1).unflatten(1, logits.shape[1:])


def _mean_place(heat: Tensor) -> Tensor:
    """``(batch, n, n, n)`` that add up to 1 each to their mean places ``(batch, 3)`` from the middle, in samples."""
    length = heat.shape[-1]
    at = torch.arange(length, device=heat.device) - (length - 1) / 2
    sides = [heat.sum(dim=[d for d in (1, 2, 3) if d != axis]) for axis in (1, 2, 3)]
    return torch.stack([(side * at).sum(dim=1) for side in sides], dim=1)  # no product that autocast would round
