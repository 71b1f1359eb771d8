"""The landmark stage that looks closely: a small patch about each landmark, in the pose of all of them together."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gracile.geometry.similarity import Similarity
from gracile.recipe import LandmarkRefineSpec, Recipe
from gracile.result import Landmark
from gracile.runners.base import Runner
from gracile.stages.base import Finding, State
from gracile.stages.heat import HeatStage
from gracile.stages.landmark_heat import in_volume
from gracile.stages.views import softmax
from gracile.transforms import Prepared
from gracile.transforms.posed import MarkedVolume, SampledVolume, cut_in_pose, mirrored_points
from gracile.transforms.volume import sample

AT_ONCE = 16
"""Patches that the network answers at once."""

POSED_BY = 3
"""Landmarks that tell the pose of all."""


class LandmarkRefineStage(HeatStage):
    """Moves landmarks that a stage before found to where a patch in full resolution shows them.

    The mean shape is fitted to what was found. About each of its points a patch is cut, turned and scaled into the mean
    shape's pose, so that a landmark always looks alike and lies near the patch's middle. The network answers a map of
    logits of the patch's own landmark, which counts within the stage's reach. The heat is weighed by how far landmarks
    stray from the mean shape, and the mean of the softmax is the place. A stage that learned from mirror images looks
    at the volume's own at the end, and takes the middle of both places.
    """

    def __init__(self, spec: Any, recipe: Recipe, run: Runner, state: State) -> None:
        super().__init__(spec, recipe, run, state)
        self.opposites = recipe.landmark_opposites

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        found = finding.landmarks
        points = in_volume(found, prepared.to_patient)
        before = points.copy()
        known = np.isfinite(points).all(axis=1)
        volume, weights = sampled(prepared, self.spec), np.array([landmark.probability for landmark in found])
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
        alone = look
        if self.spec.augment.flip:
            look = self._with_mirror_image(look, volume, points, weights, error)
        if finding.signed:
            self._leave_signs(finding, alone, look, np.where(known[:, None], before, np.nan))
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

    def _leave_signs(self, finding: Finding, alone: "_Look", look: "_Look", before: np.ndarray) -> None:
        """How far each landmark ``moved`` from where it was found first, in mm; half of how far from it the
        ``mirrored`` volume shows it; and how far it lies from where the mean shape has it.
        """
        moved = np.linalg.norm(look.points - before, axis=1)
        mirrored = np.linalg.norm(look.points - alone.points, axis=1)
        for name, far, apart in zip(self.recipe.landmark_names, moved, mirrored, strict=True):
            if np.isfinite(far):
                finding.signs |= {f"{name}: moved": float(far), f"{name}: mirrored": float(apart)}
        error_mm = float(self.spec.width_mm)
        self.leave_strays(finding, np.where(np.isfinite(before), look.points, np.nan), look.pose, error_mm)

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
        logits = self._logits(volume, pose, centers)
        # Where a patch's own frame has the mean shape's point.
        middle = (pose.apply(self.configuration.mean) - centers) @ pose.rotation / pose.scale
        grid = offsets_mm(logits.shape[-1], spacing)
        far = ((grid - middle[:, None, None, None].astype(np.float32)) ** 2).sum(axis=-1)
        prior = far / (2 * self.configuration.stray[:, None, None, None] ** 2)
        flat = (logits - self.spec.prior * prior).reshape(len(logits), -1)
        heat = softmax(flat, axis=1).reshape(logits.shape)
        places = mean_places(heat) * spacing
        squares = ((grid - places[:, None, None, None]) ** 2).sum(axis=-1)
        spreads = pose.scale * np.sqrt((heat * squares).sum(axis=(1, 2, 3)))
        return _Look(pose, centers, heat, centers + pose.scale * places @ pose.rotation.T, spreads)

    def _logits(self, volume: SampledVolume, pose: Similarity, centers: np.ndarray) -> np.ndarray:
        """Logits of each patch's own landmark within the reach, ``(landmarks, n, n, n)``."""
        offsets = offsets_mm(self.spec.size, self.spec.spacing_mm)
        inside = slice(self.spec.margin, self.spec.size - self.spec.margin)
        answers = []
        for first in range(0, len(centers), AT_ONCE):
            some = np.arange(first, min(first + AT_ONCE, len(centers)))
            seen = [cut_in_pose(volume, pose, centers[number], offsets) for number in some]
            patches = np.stack([image * region for image, region in seen]).astype(np.float32)
            answers.append(self.run(patches, some)[:, 0, inside, inside, inside])
        return np.concatenate(answers)


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


def sampled(case: Prepared, spec: LandmarkRefineSpec) -> SampledVolume:
    """A whole volume in full resolution, smoothed where patches are coarser."""
    steps = np.maximum(1.0, spec.spacing_mm / case.spacing_mm)
    return SampledVolume(case.smoothed(steps), case.spacing_mm)


def offsets_mm(length: int, spacing: float) -> np.ndarray:
    """``(length, length, length, 3)`` float32 mm of a patch's samples from its middle."""
    at = (np.arange(length, dtype=np.float32) - np.float32((length - 1) / 2)) * np.float32(spacing)
    return np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1)


def mean_places(heat: np.ndarray) -> np.ndarray:
    """``(batch, n, n, n)`` that add up to 1 each to their mean places ``(batch, 3)`` from the middle, in samples."""
    length = heat.shape[-1]
    at = np.arange(length) - (length - 1) / 2
    sides = [heat.sum(axis=tuple(d for d in (1, 2, 3) if d != axis)) for axis in (1, 2, 3)]
    return np.stack([side @ at for side in sides], axis=1)
