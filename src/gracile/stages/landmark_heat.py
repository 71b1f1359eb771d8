"""The landmark stage that looks at a whole volume: heat maps on a coarse copy, checked against the mean shape."""

from collections.abc import Sequence

import numpy as np

from gracile.result import Landmark
from gracile.stages.base import Finding
from gracile.stages.heat import MEAN, STRAY, HeatStage, read_peak
from gracile.stages.views import tiled
from gracile.transforms import Prepared
from gracile.transforms.volume import restore_spacing

LARGEST_INPUT = 4_000_000
"""Coarse voxels above which the heat is computed in overlapping tiles."""

TILE, MULTIPLE = 128, 8
"""Side of a tile in voxels; and a multiple of every network's step, to which volumes are padded, so that answers lie at
whole steps and those of tiles meet."""

HINT = 0.1
"""Probability from which a landmark that does not count as found still helps to tell the pose of all."""

SIZES = (0.6, 1 / 0.6)
"""How much smaller and larger than the mean shape the landmarks of a volume may lie to each other."""

AGREEING = 4
"""Landmarks that must lie as the shape has them before it places others."""


class LandmarkHeatStage(HeatStage):
    """Tells for each landmark where in a coarse copy of the volume it is, or that it is nowhere.

    The network answers a map of logits for each landmark. With one more logit for "nowhere", which was learned, a
    softmax makes them probabilities. A landmark that lies where the mean shape of all cannot have it is put where the
    others place it, and this is said; one that is nowhere is not found.
    """

    kept = ("nowhere", MEAN, STRAY)

    def logits(self, coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Answers to a coarse volume of any size.

        Args:
            coarse: ``(channels, x, y, z)`` float32.

        Returns:
            ``(landmarks, x', y', z')``, and the ``(3,)`` voxels of the copy from one answer to the next.
        """
        sizes = coarse.shape[1:]
        padded = np.pad(coarse, [(0, 0), *((0, -size % MULTIPLE) for size in sizes)], mode="edge")
        whole = coarse[0].size <= LARGEST_INPUT
        answers = self.run(padded[None])[0] if whole else tiled(self.run, padded, (TILE,) * 3, 0.25)
        steps = np.array(padded.shape[1:]) / answers.shape[1:]
        x, y, z = (int(-(-size // step)) for size, step in zip(sizes, steps, strict=True))
        return answers[:, :x, :y, :z], steps

    def heat(self, logits: np.ndarray) -> np.ndarray:
        """``(landmarks, x', y', z')`` logits to probabilities that add up to at most 1 each, float32."""
        flat = logits.reshape(len(logits), -1)
        nowhere = self.state["nowhere"].astype(np.float32)[:, None]
        highest = np.maximum(flat.max(axis=1, keepdims=True), nowhere)
        raised = np.exp(flat - highest)
        raised /= raised.sum(axis=1, keepdims=True) + np.exp(nowhere - highest)
        return raised.reshape(logits.shape)

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        coarse, steps = prepared.at_spacing(self.spec.spacing_mm)
        logits, own = self.logits(np.asarray(coarse, dtype=np.float32))
        heat, apart = self.heat(logits), steps * own
        shape = prepared.image.shape[1:]
        finding.landmarks = self.landmarks(
            heat, apart * prepared.spacing_mm, bounds_mm(shape, prepared.spacing_mm), prepared.to_patient
        )
        if finding.signed:
            self._leave_signs(finding, heat, prepared.to_patient)

        def map_of(number: int) -> np.ndarray:
            # A sample's heat is a share of 1; a voxel's is that of its own size.
            whole = restore_spacing(heat[number : number + 1], apart, shape, [0.0])[0]
            return np.minimum(1.0, whole / np.float32(apart.prod()))

        finding.landmark_maps = map_of
        return finding

    def _leave_signs(self, finding: Finding, heat: np.ndarray, to_patient: np.ndarray) -> None:
        """How much heat each landmark has in all, and how far it lies from where the mean shape has it."""
        for name, own in zip(self.recipe.landmark_names, heat, strict=True):
            finding.signs[f"{name}: heat"] = float(own.sum())
        points, error_mm = in_volume(finding.landmarks, to_patient), self.spec.width_mm / 2
        weights = np.array([landmark.probability for landmark in finding.landmarks])
        pose, _ = self.configuration.pose(points, weights, error_mm)
        self.leave_strays(finding, points, pose, error_mm)

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
        if pose is not None and self.configuration.tells_pose and agreeing.sum() >= AGREEING:
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


def in_volume(landmarks: Sequence[Landmark], to_patient: np.ndarray) -> np.ndarray:
    """``(landmarks, 3)`` mm along a volume's axes; NaN where one was not found."""
    from_patient = np.linalg.inv(to_patient)
    points = np.full((len(landmarks), 3), np.nan)
    for number, landmark in enumerate(landmarks):
        if landmark.point_mm is not None:
            points[number] = from_patient[:3, :3] @ landmark.point_mm + from_patient[:3, 3]
    return points


def _in_patient(point_mm: np.ndarray, to_patient: np.ndarray) -> np.ndarray:
    """``(3,)`` mm along a volume's axes to RAS+ mm."""
    return to_patient[:3, :3] @ point_mm + to_patient[:3, 3]


def bounds_mm(shape: Sequence[int], spacing_mm: np.ndarray) -> np.ndarray:
    """``(2, 3)`` where a volume's first and last voxels end, in mm along its axes from the middle of the first."""
    return np.stack([np.full(3, -0.5), np.array(shape) - 0.5]) * spacing_mm
