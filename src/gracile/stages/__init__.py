"""Stages: each is one decision, with a face that learns and a face that applies."""

from collections.abc import Callable
from typing import Any

from gracile.recipe import Recipe, StageSpec
from gracile.stages.base import Finding, Stage
from gracile.stages.centerline import CenterlineStage
from gracile.stages.fuse import FuseStage
from gracile.stages.gate import GateStage
from gracile.stages.landmark_heat import LandmarkHeatStage
from gracile.stages.landmark_refine import LandmarkRefineStage
from gracile.stages.landmark_windows import LandmarkWindowsStage
from gracile.stages.segment import SegmentStage
from gracile.stages.segment_volume import SegmentVolumeStage

STAGES: dict[str, Callable[[Any, Recipe, bool], Stage]] = {
    "gate": GateStage,
    "segment": SegmentStage,
    "fuse": FuseStage,
    "centerline": CenterlineStage,
    "segment-volume": SegmentVolumeStage,
    "landmark-windows": LandmarkWindowsStage,
    "landmark-heat": LandmarkHeatStage,
    "landmark-refine": LandmarkRefineStage,
}


def build_stage(spec: StageSpec, recipe: Recipe, *, initialize: bool = False) -> Stage:
    """The stage that a recipe's entry describes, untrained; ``initialize`` gives its networks their first weights."""
    return STAGES[spec.kind](spec, recipe, initialize)


__all__ = [
    "STAGES",
    "CenterlineStage",
    "Finding",
    "FuseStage",
    "GateStage",
    "LandmarkHeatStage",
    "LandmarkRefineStage",
    "LandmarkWindowsStage",
    "SegmentStage",
    "SegmentVolumeStage",
    "Stage",
    "build_stage",
]
