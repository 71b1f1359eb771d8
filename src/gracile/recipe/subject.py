"""What a recipe looks at and what it looks for."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gracile.recipe.base import Color, Spec


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
    intensity: Literal["zscore", "unit", "percentile", "median-shift"] = "zscore"
