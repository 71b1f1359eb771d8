"""The landmark stage that classifies small windows and scans a volume with them (SMICNet)."""

from collections.abc import Sequence

import numpy as np
from nibabel.orientations import aff2axcodes
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.errors import RecipeError
from gracile.geometry.islands import largest_island
from gracile.networks.smicnet import SMICNet, build_window_network
from gracile.recipe import LandmarkWindowsSpec, Recipe, WindowSamplerSpec
from gracile.result import Landmark
from gracile.samples.patches import CaseSamples
from gracile.samples.window_samples import WindowSamples, WindowSource
from gracile.stages.base import Batch, Finding, Stage
from gracile.stages.scanning import Scan, VolumeWindows, search
from gracile.stages.window_scanners import DenseWindows, ExactWindows
from gracile.transforms import Prepared
from gracile.transforms.column import Box
from gracile.transforms.intensity import IntensityRange
from gracile.transforms.volume import restore_spacing

ACROSS = {"sagittal": "LR", "coronal": "AP", "axial": "SI"}
"""Where the axis across each plane runs to, as nibabel names it."""

HELD_BACK_WINDOWS = 24
"""Windows of each class and case that validation looks at."""


class LandmarkWindowsStage(Stage):
    """Tells from a window which landmark lies at its middle, or none; a landmark is where windows say so.

    It learns by cross-entropy on windows drawn equally often for each class. Applied, it classifies the windows around
    the voxels of the volume, or of a box around ``Prepared.start``: coarsely, then finely where it may not be
    background (`gracile.stages.scanning.search`). A landmark is its largest island's center of mass.
    """

    network: SMICNet
    choosing = ("validation_loss", "min")

    def __init__(self, spec: LandmarkWindowsSpec, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(recipe)
        self.spec = spec
        self.name = spec.name
        if spec.network.initial:
            raise RecipeError(f"The network {spec.network.name!r} takes no first weights.", "Leave `initial` out.")
        classes = len(recipe.landmarks) + 1
        self.network = build_window_network(spec.network.name, classes, **spec.network.options)
        self.network.sides(spec.size)
        if spec.scan.mode == "dense" and self.network.padded:
            raise RecipeError(
                f"The network {spec.network.name!r} pads inside its windows, which cannot share features then.",
                "Set scan.mode to exact, or take smicnet-unpadded.",
            )

    def answer_names(self) -> list[str]:
        return [*self.recipe.landmark_names, "background"]

    def learns_from(self, case: Prepared) -> bool:
        return bool(case.points)

    def samples(self, cases: Sequence[Prepared], seed: int) -> Dataset[Batch]:
        return self._windows(cases, self.spec.sampler, seed)

    def held_back(self, cases: Sequence[Prepared]) -> Dataset[Batch]:
        per_case = HELD_BACK_WINDOWS * (len(self.recipe.landmarks) + 1)
        sampler = self.spec.sampler.model_copy(update={"per_case": per_case})
        return CaseSamples([self._windows([case], sampler, number) for number, case in enumerate(cases)])

    def _windows(self, cases: Sequence[Prepared], sampler: WindowSamplerSpec, seed: int) -> WindowSamples:
        sources, normals = [], self._normals(cases[0])
        for case in cases:
            own = case.spacing_mm
            spacing = np.array([wanted or n for wanted, n in zip(self.spec.spacing_mm, own, strict=True)])
            points = np.stack([case.points[name] for name in self.recipe.landmark_names])
            sources.append(WindowSource(case.smoothed(spacing / own), self._shown(case), own, spacing, points))
        return WindowSamples(sources, self.spec.size, normals, sampler, seed)

    def _shown(self, case: Prepared) -> IntensityRange:
        return IntensityRange.of(np.asarray(case.image)[0], np.asarray(case.region), self.spec.clip_deviations)

    def _normals(self, case: Prepared) -> list[int]:
        """Axes across the recipe's planes."""
        codes = aff2axcodes(case.affine)
        return [next(i for i, code in enumerate(codes) if code in ACROSS[plane]) for plane in self.spec.planes]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        entropy = functional.cross_entropy(self.logits(batch["image"]).float(), batch["target"])
        return {"cross-entropy": entropy, "penalty": self.network.penalty()}

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy and accuracy over windows of all classes alike."""
        logits, target = self.logits(batch["image"].flatten(0, 1)).float(), batch["target"].flatten()
        right = (logits.argmax(dim=1) == target).float().mean()
        return {"validation_loss": functional.cross_entropy(logits, target), "validation_accuracy": right}

    def logits(self, images: Tensor) -> Tensor:
        """``(batch, 1, size, size)`` windows from 0 to 1 to ``(batch, landmarks + 1)`` logits, the background last."""
        return self.network(images)

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        volume, steps = prepared.at_spacing(self.spec.spacing_mm)
        shown = self._shown(prepared).apply(volume[0])
        scan = self.scan(shown, self._normals(prepared), self._box(prepared, shown.shape, steps))
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
        dense = spec.mode == "dense" or (spec.mode == "auto" and not self.network.padded)
        size = self.spec.size
        windows = DenseWindows(self.network, size) if dense else ExactWindows(self.network, size, spec.engine)
        return search(VolumeWindows(windows, volume, normals), box, spec.step, spec.keep)

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
        normals = self._normals(prepared)
        small = [n for axis, n in enumerate(shape) if n < self.spec.size and normals != [axis]]
        if not small:
            return []
        sizes = " and ".join(str(n) for n in small)
        return [
            f"the volume has only {sizes} samples where a window has {self.spec.size}: "
            "it was padded with its lowest intensity"
        ]
