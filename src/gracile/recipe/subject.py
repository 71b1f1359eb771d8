"""What a recipe looks at and what it looks for."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gracile.recipe.base import Color, Spec
from gracile.recipe.intensity import ChannelIntensity, Intensity


def _or_none(value: object) -> object:
    """YAML's own nothing is the word."""
    return NONE if value is None else value


NONE = "none"
"""The opposite of a class that keeps its name in a mirror image, whatever it is called."""


class ClassSpec(Spec):
    """One class of the labels: its name and how it is drawn and recognized in color labels."""

    name: Annotated[str, Field(min_length=1)]
    color: Color
    also: list[Color] = Field(default_factory=list, description="further colors that mean this class in color labels")
    values: list[int] = Field(default_factory=list, description="values that mean this class in index labels; if any")
    ignored: list[Annotated[int, Field(ge=0)]] = Field(
        default_factory=list,
        description="of the background: values of index labels that count for nothing, neither learned from nor scored",
    )
    opposite: Annotated[str, BeforeValidator(_or_none)] = Field(
        "", description="the class that it is in a mirror image; none: it keeps its name there; empty: not said"
    )

    @property
    def colors(self) -> list[Color]:
        """All colors that stand for this class in color-coded labels."""
        return [self.color, *self.also]


class LandmarkSpec(Spec):
    """One named point that the recipe finds."""

    name: Annotated[str, Field(min_length=1)]
    opposite: str = Field(
        "", description="the landmark that it is in a mirrored volume: itself in the midline; empty: none is"
    )


class InputSpec(Spec):
    """What a case of this recipe looks like."""

    kind: Literal["image", "volume"] = Field("image", description="pictures and videos, or volumes in 3D")
    channels: int = Field(
        3, ge=1, le=64, description="of an image: 1 gray, 3 color, else so many files; of volumes 1 where not said"
    )
    channel_names: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, description="names of the channels in their order, as t1, t2; empty: they go by number"
    )
    shown: int | str = Field(1, description="the channel that reports and viewers show: its number from 1, or its name")
    region: Literal["fundus", "scan", "whole"] = "whole"
    wrong_kind: Literal["auto", "refuse", "flag"] = Field(
        "auto", description="an input of another kind; auto refuses where the region is fundus and flags elsewhere"
    )
    rejected: Literal["withhold", "flag"] = Field(
        "withhold", description="what a fundus photograph that is graded reject costs: its measures, or a flag alone"
    )

    fourth_axis: Literal["refuse", "first", "mean", "channels"] = Field(
        "refuse", description="volumes: what to do with a file that holds several; channels: they are the channels"
    )
    series: Annotated[str, BeforeValidator(str)] = Field(
        "", description="volumes: number or UID of the DICOM series, where a folder holds several"
    )
    labels: list[str] = Field(
        default_factory=list,
        description="volumes: what the names of labels end in behind their image's, the preferred first; empty knows "
        "_seg, _seg-manual, _label-SC_seg, _mask and the like",
    )

    @model_validator(mode="before")
    @classmethod
    def _volumes_are_gray(cls, given: Any) -> Any:
        """Volumes have one channel where it is not said how many."""
        if isinstance(given, dict) and given.get("kind") == "volume" and "channels" not in given:
            return {**given, "channels": 1}
        return given

    @property
    def separate(self) -> bool:
        """Whether a case's channels are images of their own, such as a T1 and a T2, and each of them is needed.

        One or three without names are a gray or a color image, and a gray one stands for all three, unless files say
        otherwise.
        """
        return self.channels not in (1, 3) or (
            self.channels > 1 and (bool(self.channel_names) or self.fourth_axis == "channels")
        )

    @property
    def joins_files(self) -> bool:
        """Whether several files may be the channels of one case."""
        return self.fourth_axis != "channels" and (self.separate or (self.kind == "volume" and self.channels > 1))

    @property
    def shown_index(self) -> int:
        """Index of the channel that is shown."""
        if isinstance(self.shown, str) and self.shown in self.channel_names:
            return self.channel_names.index(self.shown)
        return int(self.shown) - 1

    def channel(self, index: int, names: Sequence[str] = ()) -> str:
        """How a channel is called in messages: ``channel 2 (t2)``.

        Args:
            index: From 0.
            names: What a data set calls its channels, where the recipe names none.
        """
        known = self.channel_names or list(names)
        return f"channel {index + 1}" + (f" ({known[index]})" if index < len(known) else "")

    @property
    def refuses_wrong_kind(self) -> bool:
        """Whether a picture of the wrong kind is refused, not flagged."""
        return self.wrong_kind == "refuse" or (self.wrong_kind == "auto" and self.region == "fundus")


def _one_of_each_pair(codes: str) -> str:
    if sorted(_PAIR.get(letter, "") for letter in codes) != sorted(set(_PAIR.values())):
        raise ValueError(
            f"{codes!r} is no orientation: it takes one letter of each pair L or R, A or P, S or I, as LAS"
        )
    return codes


_PAIR = {"L": "LR", "R": "LR", "A": "AP", "P": "AP", "S": "SI", "I": "SI"}


class PrepareSpec(Spec):
    """How a case is brought to the network's grid and intensities.

    ``diameter``: the region's extent in pixels after scaling (a fundus photograph's field of view, or the longer
    side of the whole image); 0 leaves the scale alone.
    """

    diameter: int = Field(0, ge=0)
    margin: int = Field(4, ge=0)
    orientation: Annotated[str, AfterValidator(_one_of_each_pair)] = Field(
        "LAS", description="volumes: where each axis runs to, as nibabel names it"
    )
    intensity: Intensity = Field("zscore", description="a way for all channels, or a list of one for each")

    def intensity_of(self, channel: int) -> ChannelIntensity:
        """How a channel's intensities are brought to one scale."""
        if isinstance(self.intensity, list):
            return self.intensity[channel]
        return self.intensity

    @property
    def left_right(self) -> int:
        """Volumes: the axis that runs to the left or right."""
        return next(axis for axis, letter in enumerate(self.orientation) if letter in "LR")
