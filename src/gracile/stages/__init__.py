"""Stages, applied: each is one decision on arrays. How they learn lies in `gracile.learning.learners`."""

from collections.abc import Mapping
from dataclasses import replace

from gracile.bundle import Bundle, network_name
from gracile.recipe import Recipe, StageSpec
from gracile.runners import Computing, Runner, open_runner
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


def build_stage(spec: StageSpec, recipe: Recipe, runs: Mapping[str, Runner], state: State) -> Stage:
    """The stage of a recipe's entry, with its weights and the networks that its kind names, in that order."""
    first, *others = runs
    stage = STAGES[spec.kind](spec, recipe, runs[first], state)
    stage.others = {name: runs[name] for name in others}
    return stage


def open_stage(bundle: Bundle, spec: StageSpec, computing: Computing) -> Stage:
    """The stage of a bundle that a recipe's entry describes, its networks computed as asked.

    Raises:
        BundleError: Its weights or graphs do not fit.
        UsageError: The engine, the precision or the device that is asked for cannot be had.
    """
    kind = STAGES[spec.kind]
    own, names = kind.computing(spec, computing), kind.networks(spec)
    if any(network_name(spec.name, name) not in bundle.graphs for name in names):
        own = replace(own, engine=computing.engine)  # whichever engine the recipe would rather have needs graphs
    runs = {name: open_runner(bundle, network_name(spec.name, name), own) for name in names}
    return build_stage(spec, bundle.recipe, runs, bundle.weights[spec.name])


__all__ = ["STAGES", "Finding", "Stage", "State", "build_stage", "open_stage"]
