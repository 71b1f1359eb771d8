"""A recipe: everything that defines a cascade, its training and its measurements, as plain typed data."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gracile.errors import RecipeError
from gracile.names import PACKAGE, PROTOCOLS, RECIPES
from gracile.settings import apply_setting, read_setting

Tone = Annotated[int, Field(ge=0, le=255)]
Color = tuple[Tone, Tone, Tone]
Side = Annotated[int, Field(ge=8)]
Spacing = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
"""Millimeters along each axis of the oriented volume; 0 keeps what the volume has."""

StageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
"""A stage's name is also that of its files."""

RESERVED = {"bundle", "cache", "comparison"}
"""Folders of a training run that no stage may be named after."""


class Spec(BaseModel):
    """Base of every part of a recipe: unknown settings are errors."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class ClassSpec(Spec):
    """One class of the labels: its name and how it is drawn and recognized in color labels."""

    name: str
    color: Color
    also: list[Color] = Field(default_factory=list, description="further colors that mean this class in color labels")
    values: list[int] = Field(default_factory=list, description="values that mean this class in index labels; if any")

    @property
    def colors(self) -> list[Color]:
        """All colors that stand for this class in color-coded labels."""
        return [self.color, *self.also]


class InputSpec(Spec):
    """What a case of this recipe looks like."""

    kind: Literal["image", "volume"] = Field("image", description="pictures and videos, or volumes in 3D")
    channels: Literal[1, 3] = 3
    region: Literal["fundus", "scan", "whole"] = "whole"
    wrong_kind: Literal["auto", "refuse", "flag"] = Field(
        "auto", description="auto refuses where the region is fundus and flags where it is scan"
    )

    fourth_axis: Literal["refuse", "first", "mean"] = Field(
        "refuse", description="volumes: what to do with a file that holds several"
    )
    series: Annotated[str, BeforeValidator(str)] = Field(
        "", description="volumes: number or UID of the DICOM series, where a folder holds several"
    )
    labels: list[str] = Field(
        default_factory=list,
        description="volumes: what the names of labels end in behind their image's, the preferred first; empty knows "
        "_seg, _seg-manual, _label-SC_seg, _mask and the like",
    )

    @property
    def refuses_wrong_kind(self) -> bool:
        """Whether a picture of the wrong kind is refused, not flagged."""
        return self.wrong_kind == "refuse" or (self.wrong_kind == "auto" and self.region == "fundus")


class PrepareSpec(Spec):
    """How a case is brought to the network's grid and intensities.

    ``diameter``: the region's extent in pixels after scaling (a fundus photograph's field of view, or the longer
    side of the whole image); 0 leaves the scale alone.
    """

    diameter: int = Field(0, ge=0)
    margin: int = Field(4, ge=0)
    orientation: Annotated[str, Field(pattern=r"^[LRAPSI]{3}$")] = Field(
        "LAS", description="volumes: where each axis runs to, as nibabel names it"
    )
    intensity: Literal["zscore", "unit", "percentile", "median-shift"] = "zscore"


class NetworkSpec(Spec):
    """A network by name with its options, and the weights that its training begins with."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    initial: str = Field("", description="a file of weights, or a library's name for them; empty begins at random")

    @model_validator(mode="after")
    def _options_describe_the_architecture(self) -> "NetworkSpec":
        weights = {"encoder_weights", "pretrained", "weights"} & set(self.options)
        if weights:
            raise ValueError(f"the option {min(weights)!r} is not taken here: name the first weights in `initial`")
        return self


class LossSpec(Spec):
    """One term of the loss."""

    name: str
    weight: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict)


class AugmentSpec(Spec):
    """How training patches are varied. Intensities are in standard deviations of a prepared image; 0 is none."""

    rotation: float = Field(180.0, ge=0, description="largest angle in degrees; volumes: about the third axis")
    tilt: float = Field(0.0, ge=0, description="volumes: largest angle about the first and the second axis")
    flip: bool = True
    scale: float = Field(0.25, ge=0, description="largest change of size, as a fraction")
    shear: float = Field(0.1, ge=0)
    shift: float = Field(0.0, ge=0, description="largest shift of a whole picture, as a fraction of its size")
    elastic: float = Field(6.0, ge=0, description="standard deviation of the local shifts in pixels")
    gain: float = Field(0.15, ge=0, description="logarithm of a factor on all channels")
    channel_gain: float = Field(0.1, ge=0, description="logarithm of a factor on each channel")
    bias: float = Field(0.2, ge=0, description="shift of all channels")
    channel_bias: float = Field(0.15, ge=0, description="shift of each channel")
    curve: float = Field(0.1, ge=0, description="bend of the tones, as a gamma would")
    illumination: float = Field(0.25, ge=0, description="slow change of brightness over the patch")
    noise: float = Field(0.1, ge=0)
    blur: float = Field(0.15, ge=0, le=1, description="share of patches that are blurred")


class SamplerSpec(Spec):
    """Which patches a training epoch draws.

    ``whole`` shows each prepared picture as a whole, in the middle of a patch of that size and made smaller where it
    does not fit: for structures that are told by where they lie.
    """

    patch: tuple[Side, Side] = (256, 256)
    per_case: int = Field(8, ge=1, description="patches drawn from each case in an epoch")
    foreground: float = Field(0.5, ge=0, le=1, description="share of patches centered on a labeled pixel")
    whole: bool = False


class DecisionSpec(Spec):
    """How probabilities become classes.

    ``argmax`` takes the likeliest class. ``foreground-first`` takes the likeliest foreground class where the
    foreground classes together reach ``threshold``.
    """

    rule: Literal["argmax", "foreground-first"] = "argmax"
    threshold: float = Field(0.5, ge=0, le=1)
    smallest: int = Field(0, ge=0, description="foreground islands with fewer pixels are dropped")
    largest_only: bool = Field(False, description="volumes: keep only the largest island of each class")
    fill_holes: bool = Field(False, description="volumes: fill holes of each slice across the third axis")


class GateSpec(Spec):
    """Look first: are the structures there, or which kind of frame is this?

    Without ``classes`` the gate tells absent from present, from masks, class folders or a table. With ``classes`` it
    tells these kinds of frames apart, and the structures are there in those of ``present``. Where the gate finds them
    absent, their classes are left empty.
    """

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
    recall: float = Field(0.99, gt=0, le=1, description="share of present frames that the operating point lets pass")
    crossfit: int = Field(
        3,
        ge=0,
        description="where nothing is held back: parts of which each is judged by a gate trained "
        "without it, to calibrate on; 0 leaves the gate uncalibrated",
    )
    enabled: bool = Field(True, description="false lets every frame pass, and says so in the result")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")

    @model_validator(mode="after")
    def _frames_fit(self) -> "GateSpec":
        if bool(self.classes) != bool(self.present) or set(self.present) - set(self.classes):
            raise ValueError("`present` names those of the gate's `classes` in which the structures are there")
        if len(self.classes) == 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError("a gate tells at least two classes of different names apart")
        return self


class SegmentSpec(Spec):
    """Delineate the classes with one network."""

    kind: Literal["segment"] = "segment"
    name: StageName = "segment"
    network: NetworkSpec
    losses: list[LossSpec]
    sampler: SamplerSpec = SamplerSpec()
    augment: AugmentSpec = AugmentSpec()
    decision: DecisionSpec = DecisionSpec()
    flips: bool | Literal["horizontal"] = Field(False, description="average mirrored answers: all four, or left-right")
    largest_input: int = Field(4_000_000, ge=4096, description="prepared pixels above which it is predicted in tiles")
    positives_only: bool = Field(False, description="learn only from cases that hold a structure; behind a gate")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")


class FuseSpec(Spec):
    """Artery branch, vein branch and an all-class generator whose last features are fused, trained adversarially.

    Zhou et al., Learning to Address Intra-segment Misclassification in Retinal Imaging, MICCAI 2021.
    """

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


class CenterlineSpec(Spec):
    """Find the line along a slender structure in a volume, on a coarse copy of it."""

    kind: Literal["centerline"] = "centerline"
    name: StageName = "centerline"
    network: NetworkSpec
    structures: list[str] = Field(default_factory=list, description="classes that the line runs through; empty: all")
    spacing_mm: Spacing = Field((2.0, 2.0, 2.0), description="of the coarse copy")
    width_mm: float = Field(4.0, gt=0, description="deviation of the heat around the line")
    patch: tuple[Side, Side, Side] = (32, 96, 64)
    per_case: int = Field(16, ge=1, description="patches drawn from each case in an epoch")
    augment: AugmentSpec = AugmentSpec()
    stiffness: float = Field(1.0, ge=0, description="how much a step aside from slice to slice costs the path")
    presence: float = Field(0.3, ge=0, le=1, description="heat that a slice must reach for the line to run through it")
    extend_mm: float = Field(12.0, ge=0, description="how far the line goes on beyond the slices that reach it")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")


class JitterSpec(Spec):
    """How a training line is moved, as the stage that finds lines errs."""

    offset_mm: float = Field(1.0, ge=0, description="deviation of a shift of all slices alike")
    wander_mm: float = Field(0.7, ge=0, description="deviation of a slow wander along the line")


class SegmentVolumeSpec(Spec):
    """Delineate the classes of a volume: in a column along a line that a stage before found, or in the whole volume."""

    kind: Literal["segment-volume"] = "segment-volume"
    name: StageName = "segment"
    network: NetworkSpec
    losses: list[LossSpec]
    along: str = Field("", description="the stage whose line is followed; empty segments the whole volume")
    slices: int = Field(0, ge=0, description="neighboring slices that a network for pictures sees; 0: one for volumes")
    spacing_mm: Spacing = Field((0.5, 0.5, 0.0), description="of the column; 0 keeps an axis of the volume")
    size: tuple[Side, Side] = Field((64, 64), description="samples of a slice")
    length: int = Field(48, ge=1, description="slices of a patch")
    overlap: float = Field(0.5, ge=0, lt=1, description="share by which patches overlap when they predict")
    evening_mm: float = Field(20.0, ge=0, description="reach of the slices that a column's slice is standardized by")
    jitter: JitterSpec = JitterSpec()
    per_case: int = Field(16, ge=1, description="patches drawn from each case in an epoch")
    augment: AugmentSpec = AugmentSpec()
    decision: DecisionSpec = DecisionSpec()
    flips: bool = Field(False, description="average the answer with that of the volume mirrored along its first axis")
    turns: list[float] = Field(
        default_factory=list,
        description="degrees by which copies are turned about the third axis; answers are averaged",
    )
    smooth_mm: float = Field(0.0, ge=0, description="by which probabilities are smoothed along the volume's third axis")
    train: dict[str, Any] = Field(default_factory=dict, description="what differs from the recipe's `train`")


StageSpec = Annotated[
    GateSpec | SegmentSpec | FuseSpec | CenterlineSpec | SegmentVolumeSpec, Field(discriminator="kind")
]


class PhaseSpec(Spec):
    """One part of a training in which only the layers from one on learn, at a rate of its own.

    ``start``: ``head`` for the last layer alone, the name of a layer or block (it and what follows it learn), or how
    much stays frozen, counted from the input: a whole number of layers (20), or a share of them (0.5). 0 frees all. A
    normalization counts to the layer before it.
    """

    share: float = Field(gt=0, le=1, description="share of the training, by the schedule")
    start: str | int | float = 0
    rate: float = Field(1.0, ge=0, description="factor on the learning rate")


class TransferSpec(Spec):
    """What a training that starts from a bundle takes of it, and what of that stays frozen. Means nothing without one.

    What was not taken over, or not as a whole, learns from the beginning, whatever is frozen.
    """

    source: str = Field("", description="stage of the bundle to take the weights of; empty: the one of the same name")
    reinitialize: list[str] = Field(
        default_factory=list,
        description="what begins anew: contracting, bottleneck, expanding, head, or patterns such as decoder.*",
    )
    freeze: str | int | float = Field(0, description="what stays frozen, as the `start` of a phase")
    unfreeze_at: float = Field(1.0, gt=0, le=1, description="share of the training after which all layers learn")
    unfreeze_rate: float = Field(0.1, ge=0, description="factor on the learning rate from then on")

    @property
    def phases(self) -> list[PhaseSpec]:
        """The phases that this means: frozen, then all layers at the lower rate."""
        if not self.freeze:
            return []
        frozen = PhaseSpec(share=self.unfreeze_at, start=self.freeze)
        if self.unfreeze_at == 1:
            return [frozen]
        return [frozen, PhaseSpec(share=1 - self.unfreeze_at, rate=self.unfreeze_rate)]


class TrainSpec(Spec):
    """How the stages are trained."""

    epochs: int = Field(100, ge=1)
    batch_size: int = Field(8, ge=1, description="over all devices together")
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(3e-3, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["cosine", "constant", "plateau"] = "cosine"
    patience: int = Field(5, ge=1, description="plateau: validations without improvement before the rate is lowered")
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="plateau: what the rate is multiplied by")
    stop_after: int = Field(0, ge=0, description="validations without improvement that end a stage; 0 never does")
    warmup: float = Field(0.05, ge=0, le=1, description="share of the steps over which the rate rises")
    clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0 does not clip")
    average_weights: float = Field(
        0.999, ge=0, lt=1, description="decay of the weights' moving average; 0 turns it off"
    )
    validation: float = Field(0.2, ge=0, lt=1, description="share of the subjects held back; 0 trains on all of them")
    validate_every: int = Field(5, ge=1, description="epochs between validations")
    seed: int = 0
    minutes: float = Field(0, ge=0, description="end a stage's training after this time; 0 sets no limit")
    phases: list[PhaseSpec] = Field(default_factory=list, description="which layers learn when; empty: all, always")
    transfer: TransferSpec = TransferSpec()

    @model_validator(mode="after")
    def _one_says_what_is_frozen(self) -> "TrainSpec":
        if self.phases and self.transfer.freeze:
            raise ValueError("`phases` and `transfer.freeze` both say what is frozen: leave one of them out")
        return self


class TrainerSpec(Spec):
    """Settings handed to Lightning's Trainer."""

    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = Field("auto", description="auto: bf16-mixed where the processor has it, else 32-true")
    workers: int = Field(1, ge=0, description="processes that cut training samples beside each training process")
    threads: int = Field(0, ge=0, description="processor threads per process; 0 leaves it to torch")


class MeasureSpec(Spec):
    """What is measured in a result."""

    name: Literal["vessels", "areas", "ultrasound", "cord"]
    options: dict[str, Any] = Field(default_factory=dict)


class Recipe(Spec):
    """A whole cascade as data. Every value can be set from the command line by its dotted name."""

    name: str
    title: str
    summary: str = ""
    classes: list[ClassSpec]
    trees: dict[str, list[str]] = Field(
        default_factory=dict, description="structures that share classes: a crossing belongs to both vessel trees"
    )
    input: InputSpec = InputSpec()
    prepare: PrepareSpec = PrepareSpec()
    stages: list[StageSpec] = Field(min_length=1)
    train: TrainSpec = TrainSpec()
    trainer: TrainerSpec = TrainerSpec()
    measure: list[MeasureSpec] = Field(default_factory=list)
    protocol: str = "segmentation"
    ungated: str = Field("", description="why no gate was trained; said with every result")

    @model_validator(mode="after")
    def _names_fit(self) -> "Recipe":
        names = self.class_names
        if len(set(names)) != len(names) or len(names) < 2:
            raise ValueError("a recipe has at least two classes with different names, the background first")
        for tree, members in self.trees.items():
            unknown = set(members) - set(names)
            if unknown:
                raise ValueError(f"tree {tree!r} names unknown classes: {', '.join(sorted(unknown))}")
        values = [value for c in self.classes for value in c.values]
        if len(set(values)) != len(values) or (values and not all(c.values for c in self.classes)):
            raise ValueError("label values are declared for every class, and each belongs to one")
        stage_names = [stage.name for stage in self.stages]
        if len(set(stage_names)) != len(stage_names):
            raise ValueError("each stage has a name of its own")
        if RESERVED & set(stage_names):
            raise ValueError(
                f"a stage cannot be named {' or '.join(sorted(RESERVED))}: a run has folders of these names"
            )
        for spec in self.stages:
            self.train_of(spec)
            unknown = set(spec.structures) - set(names[1:]) if isinstance(spec, GateSpec) else set()
            if unknown:
                raise ValueError(f"gate {spec.name!r} names unknown classes: {', '.join(sorted(unknown))}")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"there is no protocol {self.protocol!r}: there are {', '.join(PROTOCOLS)}")
        return self

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of their indices, the background first."""
        return [c.name for c in self.classes]

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """Class indices of each structure: the declared trees, or each foreground class by itself."""
        names = self.class_names
        if self.trees:
            return {tree: tuple(names.index(m) for m in members) for tree, members in self.trees.items()}
        return {name: (index,) for index, name in enumerate(names) if index > 0}

    @property
    def gates(self) -> list[GateSpec]:
        """The gates among the stages."""
        return [spec for spec in self.stages if isinstance(spec, GateSpec)]

    def train_of(self, spec: StageSpec) -> TrainSpec:
        """How a stage is trained: the recipe's settings with what the stage changes of them."""
        whole = self.train.model_dump()
        transfer = {**whole["transfer"], **(spec.train.get("transfer") or {})}
        return TrainSpec.model_validate({**whole, **spec.train, "transfer": transfer})

    def to_yaml(self) -> str:
        """The recipe as YAML, readable by `read_recipe`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_recipe(source: str | Path, settings: list[str] | None = None) -> Recipe:
    """Read a recipe by name or from a YAML file and apply ``key=value`` settings to it.

    Args:
        source: Name of a shipped recipe or path of a ``.yaml`` file.
        settings: Dotted settings such as ``train.epochs=50`` or ``stages.vessels.network.name=refining-unet``.

    Raises:
        RecipeError: Unknown name, unreadable file, unknown setting or a value of the wrong kind.
    """
    path = recipe_path(str(source))
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error}.", "Check its path and its YAML.") from None
    if not isinstance(data, dict):
        raise RecipeError(f"{path} is not a recipe.", "A recipe is a YAML mapping; see docs/own-structure.md.")
    return recipe_from(data, settings)


def recipe_from(data: dict[str, Any], settings: list[str] | None = None) -> Recipe:
    """Make a recipe from plain data, with settings applied. Raises RecipeError."""
    recipe = _validated(data)
    return recipe_with(recipe, dict(read_setting(setting) for setting in settings)) if settings else recipe


def recipe_with(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """A recipe with other values for some dotted names, such as ``{"train.epochs": 50}``. Raises RecipeError."""
    full = recipe.model_dump(mode="json")
    for key, value in values.items():
        apply_setting(full, key, value)
    return _validated(full)


def recipe_path(source: str) -> Path:
    """The file of a shipped recipe's name or of a path. Raises RecipeError."""
    if source in RECIPES:
        return PACKAGE / "recipes" / f"{source}.yaml"
    path = Path(source)
    if path.suffix in {".yaml", ".yml"}:
        return path
    close = difflib.get_close_matches(source, RECIPES, n=2)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(RECIPES)}; or a .yaml file."
    raise RecipeError(f"There is no recipe {source!r}.", hint)


def _validated(data: dict[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
        raise RecipeError(f"The recipe is not valid: {'; '.join(problems)}.", "See docs/recipes.md.") from None
