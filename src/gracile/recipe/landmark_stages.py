"""The stages that find landmarks."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from gracile.names import VOLUMES, Kind
from gracile.recipe.base import Gift, Side, Spacing, Spec, StageBase, StageName
from gracile.recipe.training import NetworkSpec, VolumeAugmentSpec


class WindowSamplerSpec(Spec):
    """Which windows a training epoch draws. Lengths are in samples of a window.

    Each landmark and the background are drawn equally often.
    """

    per_case: int = Field(256, ge=1, description="windows drawn from each case in an epoch")
    rotation: tuple[float, float, float] = Field(
        (10.0, 10.0, 330.0), description="largest angles in degrees: about the window's two axes, and in its plane"
    )
    shift: float = Field(3.0, ge=0, description="largest distance of a landmark's window from the landmark")
    gap: float = Field(4.0, ge=0, description="distance from all landmarks that the background keeps")
    reach: float = Field(30.0, gt=0, description="largest distance of the background from a landmark")
    anywhere: float = Field(0.25, ge=0, le=1, description="share of the background drawn from the whole volume")

    @model_validator(mode="after")
    def _distances_fit(self) -> "WindowSamplerSpec":
        if not self.shift <= self.gap < self.reach:
            raise ValueError("`shift` is at most `gap`, and `gap` less than `reach`")
        return self


class ScanSpec(Spec):
    """How a volume is searched with windows."""

    mode: Literal["auto", "exact", "dense"] = Field(
        "auto", description="dense shares features between windows, for networks without padding; auto where it can"
    )
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = Field(
        "auto", description="deprecated: --engine says what computes; this does where it says nothing"
    )
    step: Literal[1, 2, 4, 8] = Field(4, description="samples from window to window in the coarse search")
    keep: float = Field(
        0.1, ge=0, le=1, description="probability of any landmark from which on the surroundings are searched finely"
    )
    reach_mm: float = Field(10.0, gt=0, description="half side of the box that is searched around a given point")
    threshold: float = Field(0.5, gt=0, le=1, description="probability that a landmark's island has throughout")

    @model_validator(mode="after")
    def _nothing_found_is_left_out(self) -> "ScanSpec":
        if self.keep > self.threshold:
            raise ValueError("`keep` is at most `threshold`")
        return self


class LandmarkWindowsSpec(StageBase):
    """Find the recipe's landmarks by classifying small windows of a volume's slices, scanned over it.

    Wang et al., Automatic Landmark Localization in 3D Medical CT Images, ICBRA 2023.
    """

    inputs: ClassVar[tuple[Kind, ...]] = VOLUMES
    gives: ClassVar[Gift | None] = "landmarks"
    role: ClassVar[str] = "scans windows"
    starts_near: ClassVar[bool] = True

    kind: Literal["landmark-windows"] = "landmark-windows"
    name: StageName = "windows"
    network: NetworkSpec = NetworkSpec(name="smicnet-unpadded")
    size: Side = Field(81, description="samples of a window's side; odd, so that it has a middle")
    spacing_mm: Spacing = Field((0.0, 0.0, 0.0), description="between samples; 0 keeps an axis of the volume")
    planes: list[Literal["sagittal", "coronal", "axial"]] = Field(
        ["axial"], min_length=1, description="planes of the windows; the answers of several are averaged"
    )
    clip_deviations: float = Field(
        4.0, ge=0, description="standard deviations at which intensities are cut, so that metal does not set the scale"
    )
    sampler: WindowSamplerSpec = WindowSamplerSpec()
    scan: ScanSpec = ScanSpec()
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")

    @model_validator(mode="after")
    def _windows_fit(self) -> "LandmarkWindowsSpec":
        if self.size % 2 == 0:
            raise ValueError("`size` is odd, so that a window has a middle")
        if len(set(self.planes)) != len(self.planes):
            raise ValueError("each of the `planes` is named once")
        return self


class LandmarkHeatSpec(StageBase):
    """Find the recipe's landmarks by heat maps over a coarse copy of a volume, and by how they lie to each other."""

    inputs: ClassVar[tuple[Kind, ...]] = VOLUMES
    gives: ClassVar[Gift | None] = "landmarks"

    kind: Literal["landmark-heat"] = "landmark-heat"
    name: StageName = "locate"
    network: NetworkSpec
    spacing_mm: Spacing = Field((1.0, 1.0, 1.0), description="of the coarse copy; 0 keeps an axis of the volume")
    width_mm: float = Field(2.0, gt=0, description="deviation of the heat around a landmark")
    presence: float = Field(0.5, ge=0, le=1, description="probability that a landmark needs to count as found")
    absence: float = Field(
        0.05, ge=0, le=1, description="probability of being anywhere below which it is not found, whatever others say"
    )
    patch: tuple[Side, Side, Side] = (64, 64, 64)
    per_case: int = Field(16, ge=1, description="patches drawn from each case in an epoch")
    empty: float = Field(
        0.1, ge=0, le=1, description="share of the patches that are scrambled to noise, which holds no landmark"
    )
    augment: VolumeAugmentSpec = VolumeAugmentSpec()
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")


class LandmarkRefineSpec(StageBase):
    """Look closely at each landmark that a stage before found: a small patch in the pose of all of them together."""

    inputs: ClassVar[tuple[Kind, ...]] = VOLUMES
    gives: ClassVar[Gift | None] = "landmarks"

    kind: Literal["landmark-refine"] = "landmark-refine"
    name: StageName = "refine"
    network: NetworkSpec
    spacing_mm: float = Field(0.5, gt=0, description="of a patch, in the mean size of the training cases")
    width_mm: float = Field(0.5, gt=0, description="deviation of the heat around a landmark")
    size: Side = Field(32, description="samples of a patch's side")
    reach_mm: float = Field(2.0, gt=0, description="how far from a patch's middle, along each axis, a landmark may lie")
    shift_mm: float = Field(0.5, ge=0, description="deviation of a patch's middle from where it should be, in training")
    error_mm: float = Field(0.5, gt=0, description="deviation along an axis with which the stage before finds them")
    prior: float = Field(0.03, ge=0, description="weight of the landmarks' mean shape against what a patch shows")
    passes: int = Field(2, ge=1, description="looks, each in the pose of the landmarks that the one before found")
    per_case: int = Field(64, ge=1, description="patches drawn from each case in an epoch")
    augment: VolumeAugmentSpec = VolumeAugmentSpec()
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")

    @property
    def margin(self) -> int:
        """Samples at each side of a patch that lie beyond its reach."""
        return (self.size - 1) // 2 - int(self.reach_mm / self.spacing_mm + 1e-6)

    @model_validator(mode="after")
    def _patch_fits(self) -> "LandmarkRefineSpec":
        if 2 * self.reach_mm > (self.size - 1) * self.spacing_mm:
            raise ValueError("`reach_mm` goes beyond the patch: make `size` or `spacing_mm` larger")
        return self
