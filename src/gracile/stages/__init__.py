"""Stages, applied: each is one decision on arrays. How they learn lies in `gracile.learning.learners`."""

from gracile.recipe import Recipe, StageSpec
from gracile.runners.base import Runner
from gracile.stages.base import Finding, Stage, State
from gracile.stages.centerline import CenterlineStage
from gracile.stages.fuse import FuseStage
from gracile.stages.gate import GateStage
from gracile.stages.landmark_heat import LandmarkHeatStage
from gracile.stages.landmark_refine import LandmarkRefineStage
from gracile.stages.landmark_windows import LandmarkWindowsStage
from gracile.stages.segment import SegmentStage
from gracile.stages.segment_volume import SegmentVolumeStage

STAGES: dict[str, type[Stage]] = {
    "gate": GateStage,
    "segment": SegmentStage,
    "fuse": FuseStage,
    "centerline": CenterlineStage,
    "segment-volume": SegmentVolumeStage,
    "landmark-windows": LandmarkWindowsStage,
    "landmark-heat": LandmarkHeatStage,
    "landmark-refine": LandmarkRefineStage,
}


def build_stage(spec: StageSpec, recipe: Recipe, run: Runner, state: State) -> Stage:
    """The stage that a recipe's entry describes, with its network as a function and its weights."""
    return STAGES[spec.kind](spec, recipe, run, state)


__all__ = ["STAGES", "Finding", "Stage", "State", "build_stage"]
