"""A recipe: everything that defines a cascade, its training and its measurements, as plain typed data."""

from gracile.recipe.base import Spec
from gracile.recipe.cascade import Recipe, StageSpec
from gracile.recipe.intensity import ChannelIntensity, TrainingSetSpec, WindowSpec
from gracile.recipe.landmark_stages import (
    LandmarkHeatSpec,
    LandmarkRefineSpec,
    LandmarkWindowsSpec,
    ScanSpec,
    WindowSamplerSpec,
)
from gracile.recipe.measures import MeasureSpec
from gracile.recipe.reading import read_recipe, recipe_from, recipe_path, recipe_with
from gracile.recipe.stages import (
    CenterlineSpec,
    DecisionSpec,
    FuseSpec,
    GateSpec,
    JitterSpec,
    SamplerSpec,
    SegmentSpec,
    SegmentVolumeSpec,
)
from gracile.recipe.subject import ClassSpec, InputSpec, LandmarkSpec, PrepareSpec
from gracile.recipe.training import AugmentSpec, LossSpec, NetworkSpec, PhaseSpec, TrainerSpec, TrainSpec, TransferSpec

__all__ = [
    "AugmentSpec",
    "CenterlineSpec",
    "ChannelIntensity",
    "ClassSpec",
    "DecisionSpec",
    "FuseSpec",
    "GateSpec",
    "InputSpec",
    "JitterSpec",
    "LandmarkHeatSpec",
    "LandmarkRefineSpec",
    "LandmarkSpec",
    "LandmarkWindowsSpec",
    "LossSpec",
    "MeasureSpec",
    "NetworkSpec",
    "PhaseSpec",
    "PrepareSpec",
    "Recipe",
    "SamplerSpec",
    "ScanSpec",
    "SegmentSpec",
    "SegmentVolumeSpec",
    "Spec",
    "StageSpec",
    "TrainSpec",
    "TrainerSpec",
    "TrainingSetSpec",
    "TransferSpec",
    "WindowSamplerSpec",
    "WindowSpec",
    "read_recipe",
    "recipe_from",
    "recipe_path",
    "recipe_with",
]
