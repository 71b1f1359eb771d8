"""The stages that close gates and delineate."""

from itertools import combinations
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from gracile.errors import nearest
from gracile.names import PICTURES, VOLUMES, Kind
from gracile.recipe.base import Axis, Gift, Side, Spacing, Spec, StageBase, StageName
from gracile.recipe.training import AugmentSpec, LossSpec, NetworkSpec, VolumeAugmentSpec

ABSENT, PRESENT = "absent", "present"
YES, NO = (PRESENT, "1", "yes", "true"), (ABSENT, "0", "no", "false")
"""What a table may write for a frame with and without the structures."""


Balance = Literal["foreground", "classes"]
"""What a patch is centered on: anything labeled, or a class drawn from those that the case has, each equally often."""


class SamplerSpec(Spec):
    """Which patches a training epoch draws.

    ``whole`` shows each prepared picture as a whole, in the middle of a patch of that size and made smaller where it
    does not fit: for structures that are told by where they lie.
    """

    patch: tuple[Side, Side] = (256, 256)
    per_case: int = Field(8, ge=1, description="patches drawn from each case in an epoch")
    foreground: float = Field(0.5, ge=0, le=1, description="share of patches centered on a labeled pixel")
    balance: Balance = Field(
        "foreground", description="classes: the pixel is one of a class drawn from those that the case has"
    )
    whole: bool = False


class DecisionSpec(Spec):
    """How probabilities become classes.

    ``argmax`` takes the likeliest class. ``foreground-first`` takes the likeliest foreground class where the
    foreground classes together reach ``threshold``. Regions are decided by ``threshold`` each, whatever the rule.
    What is mended afterwards never takes a whole structure away, but for ``smallest``, which is there to empty frames
    of what is too small to be one.
    """

    rule: Literal["argmax", "foreground-first"] = "argmax"
    threshold: float = Field(0.5, ge=0, le=1)
    smallest: int = Field(0, ge=0, description="foreground islands with fewer pixels are dropped")
    largest_only: bool | Literal["together"] | list[str] = Field(
        False, description="keep only the largest island of each class, of those named, or of all classes together"
    )
    fill_holes: bool | list[str] = Field(
        False, description="fill holes of each class, or of those named; of volumes in slices across the third axis"
    )
    hold_together: bool = Field(
        False, description="decide vessel by vessel which tree it is of, bridge gaps whose ends agree, drop specks"
    )

    @property
    def named(self) -> list[str]:
        """The classes that it names."""
        return [name for value in (self.largest_only, self.fill_holes) if isinstance(value, list) for name in value]


class GateSpec(StageBase):
    """Look first: are the structures there, or which kind of frame is this?

    Without ``classes`` the gate tells absent from present, from masks, class folders or a table. With ``classes`` it
    tells these kinds of frames apart, and the structures are there in those of ``present``. Where the gate finds them
    absent, their classes are left empty.
    """

    inputs: ClassVar[tuple[Kind, ...]] = PICTURES
    role: ClassVar[str] = "classifies"

    kind: Literal["gate"] = "gate"
    name: StageName = "gate"
    network: NetworkSpec
    structures: list[str] = Field(min_length=1, description="classes of the recipe that need this gate to be open")
    classes: list[str] = Field(default_factory=list, description="kinds of frames by name; empty: absent or present")
    present: list[str] = Field(default_factory=list, description="kinds of frames in which the structures are there")
    smallest: float = Field(0.0, ge=0, description="prepared pixels that a mask must exceed to count as present")
    size: tuple[Side, Side] = (224, 224)
    augment: AugmentSpec = AugmentSpec()
    operations: int = Field(0, ge=0, description="random operations on each frame besides, as RandAugment's")
    magnitude: float = Field(5.0, ge=0, le=10, description="how strong these operations are")
    per_case: int = Field(1, ge=1, description="samples of an epoch by case; classes are drawn equally often")
    masks: float = Field(0.0, ge=0, description="weight of what masks teach the map of a network map:NAME")
    recall: float = Field(
        0.95,
        gt=0,
        le=1,
        description="share of present frames that the operating point lets pass, in the mean over people",
    )
    promise: Literal["average", "confidence"] = Field(
        "average", description="in which form that is promised of people who were not seen"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="of the form confidence")
    crossfit: int = Field(
        3,
        ge=0,
        description="where nothing is held back: parts of which each is judged by a gate trained "
        "without it, to calibrate on; 0 leaves the gate uncalibrated",
    )
    memory: Literal["none", "filter"] = Field(
        "none",
        description="filter: on clips, frames before and a few after count in what it says of a frame",
    )
    memory_delay: float = Field(0.2, ge=0, le=2, description="seconds that a frame of a clip may wait for later ones")
    enabled: bool = Field(True, description="false lets every frame pass, and says so in the result")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")

    @property
    def kinds(self) -> list[str]:
        """The kinds of frames that it tells apart, in the order of its network's answers."""
        return self.classes or [ABSENT, PRESENT]

    @property
    def label(self) -> str:
        """Name of a presence gate's answer: its structures."""
        return "+".join(self.structures)

    @property
    def parts_judged(self) -> int:
        return self.crossfit

    @model_validator(mode="after")
    def _frames_fit(self) -> "GateSpec":
        unknown = [name for name in self.present if name not in self.classes]
        if bool(self.classes) != bool(self.present) or unknown:
            hint = f". There is no {unknown[0]!r}. {nearest(unknown[0], self.classes)}" if unknown else ""
            raise ValueError(f"`present` names those of the gate's `classes` in which the structures are there{hint}")
        if len(self.classes) == 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError("a gate tells at least two classes of different names apart")
        if self.classes and self.memory != "none":
            raise ValueError("a gate that tells kinds of frames apart has no `memory`: leave its `classes` out")
        return self


class SegmentSpec(StageBase):
    """Delineate the classes with one network."""

    inputs: ClassVar[tuple[Kind, ...]] = PICTURES
    gives: ClassVar[Gift | None] = "mask"

    kind: Literal["segment"] = "segment"
    name: StageName = "segment"
    network: NetworkSpec
    losses: list[LossSpec] = Field(min_length=1)
    sampler: SamplerSpec = SamplerSpec()
    augment: AugmentSpec = AugmentSpec()
    decision: DecisionSpec = DecisionSpec()
    flips: bool | Literal["horizontal"] = Field(False, description="average mirrored answers: all four, or left-right")
    largest_input: int = Field(4_000_000, ge=4096, description="prepared pixels above which it is predicted in tiles")
    positives_only: bool = Field(False, description="learn only from cases that hold a structure; behind a gate")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")


class FuseSpec(StageBase):
    """Artery branch, vein branch and an all-class generator whose last features are fused, trained adversarially.

    Zhou et al., Learning to Address Intra-segment Misclassification in Retinal Imaging, MICCAI 2021.
    """

    inputs: ClassVar[tuple[Kind, ...]] = PICTURES
    gives: ClassVar[Gift | None] = "mask"
    role: ClassVar[str] = "fuses"

    kind: Literal["fuse"] = "fuse"
    name: StageName = "fuse"
    network: NetworkSpec
    discriminator: NetworkSpec
    branches: dict[str, list[str]]
    activation: Literal["softmax", "sigmoid"] = "softmax"
    adversarial_weight: float = 0.08
    cross_entropy_weight: float = 1.1
    mse_weight: float = 0.5
    side_weights: tuple[float, float, float] = (0.5, 0.25, 0.125)
    size: tuple[Side, Side] = (512, 512)
    augment: AugmentSpec = AugmentSpec()
    decision: DecisionSpec = DecisionSpec()
    flips: bool | Literal["horizontal"] = Field(False, description="average mirrored answers: all four, or left-right")
    keep_network_size: bool = Field(False, description="also keep the map at the network's own size")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")


class CenterlineSpec(StageBase):
    """Find the line along a slender structure in a volume, on a coarse copy of it."""

    inputs: ClassVar[tuple[Kind, ...]] = VOLUMES
    gives: ClassVar[Gift | None] = "line"

    kind: Literal["centerline"] = "centerline"
    name: StageName = "centerline"
    network: NetworkSpec
    structures: list[str] = Field(default_factory=list, description="classes that the line runs through; empty: all")
    spacing_mm: Spacing = Field((2.0, 2.0, 2.0), description="of the coarse copy")
    width_mm: float = Field(4.0, gt=0, description="deviation of the heat around the line")
    patch: tuple[Side, Side, Side] = (32, 96, 64)
    per_case: int = Field(16, ge=1, description="patches drawn from each case in an epoch")
    augment: VolumeAugmentSpec = VolumeAugmentSpec()
    stiffness: float = Field(1.0, ge=0, description="how much a step aside from slice to slice costs the path")
    presence: float = Field(0.3, ge=0, le=1, description="heat that a slice must reach for the line to run through it")
    extend_mm: float = Field(12.0, ge=0, description="how far the line goes on beyond the slices that reach it")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")

    @property
    def follows_slices(self) -> bool:
        return True


class JitterSpec(Spec):
    """How a training line is moved, as the stage that finds lines errs."""

    offset_mm: float = Field(1.0, ge=0, description="deviation of a shift of all slices alike")
    wander_mm: float = Field(0.7, ge=0, description="deviation of a slow wander along the line")


class SegmentVolumeSpec(StageBase):
    """Delineate the classes of a volume: in a column along a line that a stage before found, or in the whole volume."""

    inputs: ClassVar[tuple[Kind, ...]] = VOLUMES
    gives: ClassVar[Gift | None] = "mask"

    kind: Literal["segment-volume"] = "segment-volume"
    name: StageName = "segment"
    network: NetworkSpec
    losses: list[LossSpec] = Field(min_length=1)
    along: str = Field("", description="the stage whose line is followed; empty segments the whole volume")
    within: str = Field("", description="the stage whose answer says where to look; empty looks everywhere")
    margin_mm: float = Field(10.0, ge=0, description="that is looked at around what that stage found")
    slices: int = Field(0, ge=0, description="neighboring slices that a network for pictures sees; 0: one for volumes")
    spacing_mm: Spacing = Field((0.5, 0.5, 0.0), description="of the column; 0 keeps an axis of the volume")
    size: tuple[Side, Side] = Field((64, 64), description="samples of a slice")
    length: int = Field(48, ge=1, description="slices of a patch")
    longest: int = Field(
        0, ge=0, description="slices of a patch in use, where the column has more; 0: as many as learned"
    )
    overlap: float = Field(0.5, ge=0, lt=1, description="share by which patches overlap when they predict")
    evening_mm: float = Field(20.0, ge=0, description="reach of the slices that a column's slice is standardized by")
    jitter: JitterSpec = JitterSpec()
    per_case: int = Field(16, ge=1, description="patches drawn from each case in an epoch")
    foreground: float = Field(
        0.75, ge=0, le=1, description="whole volumes: share of patches centered on a labeled voxel"
    )
    balance: Balance = Field(
        "foreground", description="whole volumes; classes: the voxel is one of a class drawn from those of the case"
    )
    augment: VolumeAugmentSpec = VolumeAugmentSpec()
    decision: DecisionSpec = DecisionSpec()
    flips: bool | list[Axis] = Field(
        False, description="average the answer with those of the volume mirrored along its first axis, or along these"
    )
    turns: list[float] = Field(
        default_factory=list,
        description="degrees by which copies are turned about the third axis; answers are averaged",
    )
    smooth_mm: float = Field(0.0, ge=0, description="by which probabilities are smoothed along the volume's third axis")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")

    @property
    def network_input(self) -> Kind:
        return "image" if self.slices else "volume"

    @property
    def follows_slices(self) -> bool:
        return bool(self.along)

    @property
    def mirrorings(self) -> list[tuple[int, ...]]:
        """The axes along which each copy is mirrored whose answers are averaged, the unmirrored one first."""
        axes = self.flips if isinstance(self.flips, list) else [0] * self.flips
        some = sorted(set(axes))
        return [mirrored for count in range(len(some) + 1) for mirrored in combinations(some, count)]
