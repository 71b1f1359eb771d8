"""The landmark stage that looks at a whole volume: heat maps on a coarse copy, checked against the mean shape."""

from collections.abc import Sequence

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.utils.data import Dataset

from gracile.devices import in_fast_layout
from gracile.networks.light_unet_3d import pad_to_multiple_3d
from gracile.recipe import LandmarkHeatSpec, Recipe
from gracile.result import Landmark
from gracile.samples.landmark_samples import ScatteredPatches
from gracile.stages.base import Batch, Finding
from gracile.stages.heat import HeatStage, read_peak, target_heat
from gracile.transforms import Prepared
from gracile.transforms.posed import MarkedVolume, SampledVolume
from gracile.transforms.volume import restore_spacing

LARGEST_INPUT = 4_000_000
"""Coarse voxels above which the heat is computed in overlapping tiles."""

TILE, TILES_AT = 128, 8
"""Side of a tile in voxels; and a multiple of every network's step, at which tiles begin so that their answers meet."""

HINT = 0.1
"""Probability from which a landmark that does not count as found still helps to tell the pose of all."""

SIZES = (0.6, 1 / 0.6)
"""How much smaller and larger than the mean shape the landmarks of a volume may lie to each other."""

LOST_MM = 50.0
"""What a landmark that is missed counts in validation."""


class LandmarkHeatStage(HeatStage):
    """Tells for each landmark where in a coarse copy of the volume it is, or that it is nowhere.

    The network answers a map of logits for each landmark. With one more logit for "nowhere", which is learned, a
    softmax makes them probabilities; they are taught a Gaussian around the landmark by cross-entropy, and "nowhere"
    where a training patch lacks it, as some that are scrambled to noise lack all. A landmark that lies where the mean
    shape of all cannot have it is put where the others place it, and this is said; one that is nowhere is not found.
    """

    spec: LandmarkHeatSpec

    def __init__(self, spec: LandmarkHeatSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe, initialize)
        self.nowhere = nn.Parameter(torch.full((len(recipe.landmarks),), 8.0))

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        self.configuration.learn([self.points_mm(case) for case in cases])
        spec = self.spec
        return ScatteredPatches(self.learned_from(cases), spec.patch, self.augment(), seed, spec.per_case, spec.empty)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        return _WholeVolumes([self.marked(case) for case in cases])

    def marked(self, case: Prepared) -> MarkedVolume:
        """The coarse copy of a training case with its landmarks."""
        coarse, steps = case.at_spacing(self.spec.spacing_mm)
        return MarkedVolume(SampledVolume(coarse, case.spacing_mm * steps), self.points_mm(case))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"heat": self._entropy(self.logits(batch["image"]).float(), batch)}

    def _entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the answers to ``image`` of a ``spacing`` in mm with its landmarks at ``places``."""
        places, spacing = batch["places"], batch["spacing"][:, None].float()
        whole = torch.tensor(batch["image"].shape[2:], device=places.device)
        sizes = tuple(logits.shape[2:])
        steps = torch.from_numpy(self.steps(batch["image"].shape[2:], sizes)).float().to(places.device)
        logs = self._logs(logits)
        known = places.isfinite().all(dim=-1)
        heat = target_heat(places.nan_to_num(), sizes, steps, self.spec.width_mm / spacing)
        there = ((places >= -0.5) & (places <= whole - 0.5)).all(dim=-1)
        where = -(heat.flatten(2) * logs[..., :-1]).sum(dim=-1)
        return torch.where(there, where, -logs[..., -1])[known].mean()

    def _logs(self, logits: Tensor) -> Tensor:
        """Logarithms of the probabilities, "nowhere" last: ``(batch, landmarks, samples + 1)``."""
        nowhere = self.nowhere[None, :, None].expand(len(logits), -1, 1)
        return torch.cat([logits.flatten(2), nowhere], dim=-1).log_softmax(dim=-1)

    def whole_logits(self, coarse: Tensor) -> Tensor:
        """As `logits` for one coarse volume of any size, in float32; a large one is answered in tiles."""
        coarse = in_fast_layout(coarse)
        if coarse[0, 0].numel() <= LARGEST_INPUT:
            return self.logits(coarse).float()
        padded = pad_to_multiple_3d(coarse, (TILES_AT,) * 3)
        tiles = torch.as_tensor(
            sliding_window_inference(padded, (TILE,) * 3, 1, lambda x: self.logits(x).float(), 0.25, "gaussian")
        )
        steps = self.steps(padded.shape[2:], tiles.shape[2:])
        x, y, z = (int(-(-size // step)) for size, step in zip(coarse.shape[2:], steps, strict=True))
        return tiles[..., :x, :y, :z]

    def steps(self, sizes: Sequence[int], answered: Sequence[int]) -> np.ndarray:
        """``(3,)`` samples of a volume from one of the network's answers to the next.

        A network that does not tell its ``answer_steps`` is taken to have the smallest ones that fit the sizes.
        """
        told = getattr(self.network, "answer_steps", None)
        return steps_between(sizes, answered) if told is None else np.array(told, dtype=float)

    def heat(self, logits: Tensor) -> np.ndarray:
        """``(1, landmarks, x', y', z')`` to probabilities ``(landmarks, x', y', z')`` that add up to at most 1 each."""
        return self._logs(logits)[0, :, :-1].exp().unflatten(1, logits.shape[2:]).cpu().numpy()

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        coarse, steps = prepared.at_spacing(self.spec.spacing_mm)
        heat = self.heat(self.whole_logits(torch.from_numpy(np.asarray(coarse))[None].to(self.device)))
        apart = steps * self.steps(coarse.shape[1:], heat.shape[1:])
        shape = prepared.image.shape[1:]
        finding.landmarks = self.landmarks(
            heat, apart * prepared.spacing_mm, bounds_mm(shape, prepared.spacing_mm), prepared.to_patient
        )

        def map_of(number: int) -> np.ndarray:
            # A sample's heat is a share of 1; a voxel's is that of its own size.
            whole = restore_spacing(heat[number : number + 1], apart, shape, [0.0])[0]
            return np.minimum(1.0, whole / np.float32(apart.prod()))

        finding.landmark_maps = map_of
        return finding

    def landmarks(
        self, heat: np.ndarray, apart_mm: np.ndarray, bounds: np.ndarray, to_patient: np.ndarray
    ) -> list[Landmark]:
        """Landmarks from heat, in the recipe's order.

        Args:
            heat: ``(landmarks, x', y', z')`` probabilities.
            apart_mm: ``(3,)`` between its samples, of which the first lies on the volume's first voxel.
            bounds: ``(2, 3)`` mm where the volume begins and ends; a landmark beyond it is not found.
            to_patient: ``(4, 4)`` from mm along the axes to RAS+ mm.
        """
        peaks = [read_peak(one, apart_mm, self.spec.width_mm) for one in heat]
        points = np.stack([peak.place * apart_mm for peak in peaks])
        masses = np.array([peak.mass for peak in peaks])
        pose, agreeing = self.configuration.pose(
            np.where(masses[:, None] >= HINT, points, np.nan), masses, self.spec.width_mm / 2
        )
        placed = None
        if pose is not None and self.configuration.tells_pose and agreeing.sum() >= 4:
            if not SIZES[0] <= pose.scale <= SIZES[1]:
                missed = f"not found: the landmarks lie as they should, but at {pose.scale:.2g} times the size"
                return [Landmark(name, None, peak.mass, note=missed)
                        for name, peak in zip(self.recipe.landmark_names, peaks, strict=True)]  # fmt: skip
            placed = pose.apply(self.configuration.mean)
        found = []
        for number, (name, peak) in enumerate(zip(self.recipe.landmark_names, peaks, strict=True)):
            sure, point, spread, note = peak.mass >= self.spec.presence, points[number], peak.spread_mm, ""
            missed = "" if sure else f"not found: its probability is {peak.mass:.2f}, below {self.spec.presence:g}"
            if placed is not None and not (sure and agreeing[number]):
                off, anywhere = np.linalg.norm(point - placed[number]), float(heat[number].sum())
                why = f"lies {off:.1f} mm off" if sure else "is unsure"
                note = f"placed by the other landmarks: its own place {why}"
                point, spread = placed[number], float(np.sqrt(3) * self.configuration.stray[number])
                inside = ((point >= bounds[0]) & (point <= bounds[1])).all()
                missed = "" if inside else "not found: the other landmarks place it outside of the volume"
                if inside and anywhere < self.spec.absence:
                    x, y, z = _in_patient(point, to_patient)
                    missed = f"not found: its heat is {anywhere:.2f} in all, below {self.spec.absence:g}; the other "
                    missed += f"landmarks would have it at {x:.1f}, {y:.1f}, {z:.1f} mm (RAS)"
            if missed:
                found.append(Landmark(name, None, peak.mass, note=missed))
            else:
                found.append(Landmark(name, _in_patient(point, to_patient), peak.mass, spread, note))
        return found

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, and the mean distance in mm of the landmarks from the true ones."""
        logits, sizes = self.whole_logits(batch["image"]), batch["image"].shape[2:]
        spacing = batch["spacing"][0].double().cpu().numpy()
        apart = spacing * self.steps(sizes, logits.shape[2:])
        found = self.landmarks(self.heat(logits), apart, bounds_mm(sizes, spacing), np.eye(4))
        true = batch["places"][0].double().cpu().numpy() * spacing
        errors = [LOST_MM if landmark.point_mm is None else float(np.linalg.norm(landmark.point_mm - point))
                  for landmark, point in zip(found, true, strict=True)]  # fmt: skip
        loss = self._entropy(logits, batch)
        return {"validation_loss": loss, "validation_error_mm": loss.new_tensor(float(np.mean(errors)))}


def steps_between(sizes: Sequence[int], answered: Sequence[int]) -> np.ndarray:
    """``(3,)`` smallest steps with which a volume of some sizes has so many answers; the last may be incomplete."""
    return np.array([float(-(-size // own)) for size, own in zip(sizes, answered, strict=True)])


def _in_patient(point_mm: np.ndarray, to_patient: np.ndarray) -> np.ndarray:
    """``(3,)`` mm along a volume's axes to RAS+ mm."""
    return to_patient[:3, :3] @ point_mm + to_patient[:3, 3]


def bounds_mm(shape: Sequence[int], spacing_mm: np.ndarray) -> np.ndarray:
    """``(2, 3)`` where a volume's first and last voxels end, in mm along its axes from the middle of the first."""
    return np.stack([np.full(3, -0.5), np.array(shape) - 0.5]) * spacing_mm


class _WholeVolumes(Dataset[Batch]):
    """Coarse volumes with their landmarks."""

    def __init__(self, volumes: Sequence[MarkedVolume]) -> None:
        self.volumes = volumes

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> Batch:
        volume = self.volumes[index]
        return {
            "image": torch.from_numpy(np.array(volume.sampled.image)),
            "places": torch.from_numpy(volume.points_mm / volume.sampled.spacing_mm).float(),
            "spacing": torch.from_numpy(volume.sampled.spacing_mm),
        }
