"""How stages learn: one for each kind, beside the one in `gracile.stages` that applies it."""

from collections.abc import Callable
from typing import Any

from gracile.learning.learners.base import Batch, Exported, Learner, TorchRunner
from gracile.learning.learners.centerline import CenterlineLearner
from gracile.learning.learners.fuse import FuseLearner
from gracile.learning.learners.gate import GateLearner
from gracile.learning.learners.landmark_heat import LandmarkHeatLearner
from gracile.learning.learners.landmark_refine import LandmarkRefineLearner
from gracile.learning.learners.landmark_windows import LandmarkWindowsLearner
from gracile.learning.learners.segment import SegmentLearner
from gracile.learning.learners.segment_volume import SegmentVolumeLearner
from gracile.recipe import Recipe, StageSpec

LEARNERS: dict[str, Callable[[Any, Recipe, bool], Learner]] = {
    "gate": GateLearner,
    "segment": SegmentLearner,
    "fuse": FuseLearner,
    "centerline": CenterlineLearner,
    "segment-volume": SegmentVolumeLearner,
    "landmark-windows": LandmarkWindowsLearner,
    "landmark-heat": LandmarkHeatLearner,
    "landmark-refine": LandmarkRefineLearner,
}


def build_learner(spec: StageSpec, recipe: Recipe, *, initialize: bool = False) -> Learner:
    """What learns a recipe's entry, untrained; ``initialize`` gives its networks their first weights."""
    return LEARNERS[spec.kind](spec, recipe, initialize)


__all__ = ["LEARNERS", "Batch", "Exported", "Learner", "TorchRunner", "build_learner"]
