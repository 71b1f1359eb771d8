"""How the landmark stage learns that classifies small windows (SMICNet)."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from gracile.errors import RecipeError
from gracile.learning.learners.base import Batch, Exported, Learner, TorchRunner
from gracile.networks.smicnet import SMICNet, build_window_network
from gracile.networks.smicnet_dense import EveryWindow
from gracile.networks.smicnet_exact import FromExtremes
from gracile.recipe import Recipe, ScanSpec, WindowSamplerSpec
from gracile.runners.base import Runner
from gracile.samples.patches import CaseSamples
from gracile.samples.window_samples import WindowSamples, WindowSource
from gracile.stages.landmark_windows import every, normals_of, shown_range
from gracile.stages.windows import BATCH, side_of_extremes
from gracile.transforms import Prepared

HELD_BACK_WINDOWS = 24
"""Windows of each class and case that validation looks at."""

STEPS: tuple[int, ...] = get_args(ScanSpec.model_fields["step"].annotation)
"""Of a search, each of which has a graph of its own where windows share features."""


class LandmarkWindowsLearner(Learner):
    """Learns by cross-entropy on windows drawn equally often for each class."""

    network: SMICNet
    choosing = ("validation_loss", "min")

    def __init__(self, spec: Any, recipe: Recipe, initialize: bool = False) -> None:
        super().__init__(spec, recipe)
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
        sources, normals = [], normals_of(cases[0], self.spec)
        for case in cases:
            own = case.spacing_mm
            spacing = np.array([wanted or n for wanted, n in zip(self.spec.spacing_mm, own, strict=True)])
            points = np.stack([case.points[name] for name in self.recipe.landmark_names])
            sources.append(
                WindowSource(case.smoothed(spacing / own), shown_range(case, self.spec), own, spacing, points)
            )
        return WindowSamples(sources, self.spec.size, normals, sampler, seed)

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

    def exported(self) -> Exported:
        """Batches of windows' extremes, as exact mode takes them."""
        side = side_of_extremes(self.spec.size, self.network.padded)
        return Exported(self._network(""), (torch.zeros(BATCH, 2, side, side),), ((),), ("extremes",))

    def further_exported(self) -> dict[str, Exported]:
        """Without padding, tiles of slices at every step that a search may take, as dense mode takes them."""
        if self.network.padded:
            return {}
        size = self.spec.size
        planes = {step: torch.zeros(1, 1, size + 8 * step, size + 16 * step) for step in STEPS}
        return {
            every(step): Exported(self._network(every(step)), (planes[step],), ((2, 3),), ("planes",)) for step in STEPS
        }

    def runner(self, precision: str = "auto", threads: int = 0, network: str = "") -> Runner:
        """In float32, unless bfloat16 is asked for."""
        precision = "float32" if precision == "auto" else precision
        return TorchRunner(self, precision, threads, self._network(network))

    def _network(self, name: str) -> nn.Module:
        """A network of the stage, with the weights of this learner."""
        if not name:
            return FromExtremes(self.network)
        return EveryWindow(self.network, self.spec.size, {every(step): step for step in STEPS}[name])
