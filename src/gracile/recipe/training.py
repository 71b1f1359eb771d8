"""How stages learn: networks, losses, samples, schedules."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gracile.recipe.base import Axis, Spec

UNTIL_THE_CLOCK = 100_000
"""Epochs of a training that ends by its minutes alone."""


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
        if misplaced := {"initial", "dimensions"} & set(self.options):
            raise ValueError(f"{min(misplaced)!r} is no option of a network; `initial` stands beside its name")
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

    @property
    def mirrored_axes(self) -> list[int]:
        """The axes of a volume along which half of the samples are mirrored, each by itself."""
        return [0] if self.flip else []


class VolumeAugmentSpec(AugmentSpec):
    """The same for volumes, which lie as `prepare.orientation` says: turned a little, and not mirrored unasked."""

    rotation: float = Field(15.0, ge=0, description="largest angle in degrees about the third axis")
    tilt: float = Field(10.0, ge=0, description="largest angle about the first and the second axis")
    flip: bool = Field(False, description="mirror half of the samples along the first axis")
    flip_axes: list[Axis] = Field(
        default_factory=list, description="further axes along which half of the samples are mirrored, each by itself"
    )
    scale: float = Field(0.2, ge=0, description="largest change of size, as a fraction")
    elastic: float = Field(1.0, ge=0, description="standard deviation of the local shifts in voxels of the patch")

    @property
    def mirrored_axes(self) -> list[int]:
        return sorted({*super().mirrored_axes, *self.flip_axes})


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
    choose: Literal["best", "last"] = Field(
        "best",
        description="weights: those of the best validation, or the last ones, so that held-back cases choose nothing",
    )
    validate_every: int = Field(5, ge=1, description="epochs between validations")
    seed: int = 0
    minutes: float = Field(0, ge=0, description="end a stage's training after this time; 0 sets no limit")
    source_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="how often frames are drawn, by the word of their table's `source`; others 1, 0 leaves them out",
    )
    contradicting_weight: float = Field(
        1.0, ge=0, description="the same of frames whose label contradicts the frames before and after; never of scores"
    )
    phases: list[PhaseSpec] = Field(default_factory=list, description="which layers learn when; empty: all, always")
    transfer: TransferSpec = TransferSpec()

    @model_validator(mode="after")
    def _one_says_what_is_frozen(self) -> "TrainSpec":
        if self.phases and self.transfer.freeze:
            raise ValueError("`phases` and `transfer.freeze` both say what is frozen: leave one of them out")
        return self


class TrainerSpec(Spec):
    """What surrounds a training: settings handed to Lightning's Trainer, and whether graphs are made in the end."""

    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = Field("auto", description="auto: bf16-mixed where the processor has it, else 32-true")
    workers: int = Field(1, ge=0, description="processes that cut training samples beside each training process")
    threads: int = Field(0, ge=0, description="processor threads per process; 0 leaves it to torch")
    graphs: bool = Field(True, description="make the graphs by which other engines than torch compute the networks")
