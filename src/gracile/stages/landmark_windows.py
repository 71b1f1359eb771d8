"""The landmark stage that classifies small windows and scans a volume with them (SMICNet)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from gracile.geometry.islands import largest_island
from gracile.recipe import LandmarkWindowsSpec
from gracile.result import Landmark
from gracile.runners.base import Computing
from gracile.stages.base import Finding, Stage
from gracile.stages.scanning import Scan, VolumeWindows, Windows, search
from gracile.stages.window_extremes import FIRST_LAYER, Extremes
from gracile.stages.windows import DenseWindows, ExactWindows
from gracile.transforms import Prepared
from gracile.transforms.column import Box
from gracile.transforms.intensity import IntensityRange
from gracile.transforms.volume import restore_spacing

ACROSS = {"sagittal": "LR", "coronal": "AP", "axial": "SI"}
"""Where the axis across each plane runs to, as nibabel names it."""


class LandmarkWindowsStage(Stage):
    """Tells from a window which landmark lies at its middle, or none; a landmark is where windows say so.

    It classifies the windows around the voxels of the volume, or of a box around ``Prepared.start``: coarsely, then
    finely where it may not be background (`gracile.stages.scanning.search`). A landmark is its largest island's center
    of mass.
    """

    kept = FIRST_LAYER

    @cached_property
    def windows(self) -> Windows:
        """What tells windows apart, by the networks that `networks` names."""
        classes, size = len(self.recipe.landmarks) + 1, self.spec.size
        if not is_dense(self.spec):
            return ExactWindows(self.run, Extremes(self.state, not is_unpadded(self.spec)), size, classes)
        runs = {self.spec.scan.step: self.run}
        if 1 not in runs:
            runs[1] = self.others[every(1)]
        return DenseWindows(runs, size, classes)

    @classmethod
    def networks(cls, spec: Any) -> tuple[str, ...]:
        """Exact mode runs the stage's own; dense mode one for the coarse search, and one for every voxel."""
        if not is_dense(spec):
            return ("",)
        return tuple(every(step) for step in dict.fromkeys((spec.scan.step, 1)))

    @classmethod
    def computing(cls, spec: Any, asked: Computing) -> Computing:
        """Batches and tiles are handed out to threads, which is faster than several threads for each of them."""
        engine = spec.scan.engine if asked.engine == "auto" else asked.engine
        return replace(asked, engine=engine, callers=0)

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        volume, steps = prepared.at_spacing(self.spec.spacing_mm)
        shown = shown_range(prepared, self.spec).apply(volume[0])
        scan = self.scan(shown, normals_of(prepared, self.spec), self._box(prepared, shown.shape, steps))
        finding.flags += self._flags(prepared, shown.shape)
        assert prepared.affine is not None
        affine = prepared.affine @ np.diag([*steps, 1.0])
        finding.landmarks = self.landmarks(scan, affine)
        shape = np.asarray(prepared.image).shape[1:]

        searched = shown.shape

        def map_of(number: int) -> np.ndarray:
            whole = np.zeros((1, *searched), dtype=np.float32)
            whole[(0, *scan.box)] = scan.probabilities[number]
            return restore_spacing(whole, steps, shape, [0.0])[0]

        finding.landmark_maps = map_of
        return finding

    def scan(self, volume: np.ndarray, normals: Sequence[int], box: Box) -> Scan:
        """Search a box of a volume ``(x, y, z)`` from 0 to 1 with windows across some axes."""
        spec = self.spec.scan
        return search(VolumeWindows(self.windows, volume, normals), box, spec.step, spec.keep)

    def landmarks(self, scan: Scan, affine: np.ndarray) -> list[Landmark]:
        """What a search found, in the recipe's order; ``affine`` takes voxels of the searched volume to RAS+ mm."""
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        start = np.array([side.start for side in scan.box])
        threshold = self.spec.scan.threshold
        found = []
        for name, probability in zip(self.recipe.landmark_names, scan.probabilities[:-1], strict=True):
            island = largest_island(probability, threshold, spacing)
            if island is None:
                highest = float(probability.max())
                why = f"not found: its largest probability is {highest:.2f}, below {threshold:g}"
                found.append(Landmark(name, None, highest, note=why))
                continue
            point = affine[:3, :3] @ (island.center + start) + affine[:3, 3]
            note = "" if island.share > 0.5 else f"its island holds only {island.share:.0%} of its probability"
            found.append(Landmark(name, point, island.probability, island.spread_mm, note))
        return found

    def _box(self, prepared: Prepared, shape: tuple[int, ...], steps: np.ndarray) -> Box:
        """The whole volume, or what lies around the point to start from."""
        if prepared.start is None:
            sides = [slice(0, n) for n in shape]
        else:
            middle, spacing = prepared.start / steps, prepared.spacing_mm * steps
            reach = self.spec.scan.reach_mm / spacing
            low = np.clip(np.floor(middle - reach + 0.5).astype(int), 0, np.array(shape) - 1)
            high = np.clip(np.ceil(middle + reach - 0.5).astype(int) + 1, low + 1, shape)
            sides = [slice(int(a), int(b)) for a, b in zip(low, high, strict=True)]
        return sides[0], sides[1], sides[2]

    def _flags(self, prepared: Prepared, shape: tuple[int, ...]) -> list[str]:
        """Says where windows are larger than the volume."""
        normals = normals_of(prepared, self.spec)
        small = [n for axis, n in enumerate(shape) if n < self.spec.size and normals != [axis]]
        if not small:
            return []
        sizes = " and ".join(str(n) for n in small)
        return [
            f"the volume has only {sizes} samples where a window has {self.spec.size}: "
            "it was padded with its lowest intensity"
        ]


def is_unpadded(spec: LandmarkWindowsSpec) -> bool:
    """Whether its network sees nothing around its windows, so that overlapping ones can share features."""
    return spec.network.name == "smicnet-unpadded"


def is_dense(spec: LandmarkWindowsSpec) -> bool:
    """Whether windows share features."""
    return spec.scan.mode == "dense" or (spec.scan.mode == "auto" and is_unpadded(spec))


def every(step: int) -> str:
    """Name of the network that answers the windows at every ``step``-th place of a slice."""
    return f"every-{step}"


def shown_range(case: Prepared, spec: LandmarkWindowsSpec) -> IntensityRange:
    """The part of a volume's intensities that windows show."""
    return IntensityRange.of(np.asarray(case.image)[0], np.asarray(case.region), spec.clip_deviations)


def normals_of(case: Prepared, spec: LandmarkWindowsSpec) -> list[int]:
    """Axes across the recipe's planes."""
    from nibabel.orientations import aff2axcodes  # slow to import, and not for pictures

    codes = aff2axcodes(case.affine)
    return [next(i for i, code in enumerate(codes) if code in ACROSS[plane]) for plane in spec.planes]
