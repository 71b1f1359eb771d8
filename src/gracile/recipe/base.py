"""What every part of a recipe is made of."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from gracile.names import Kind

Tone = Annotated[int, Field(ge=0, le=255)]
Color = tuple[Tone, Tone, Tone]
Side = Annotated[int, Field(ge=8)]
Spacing = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
"""Millimeters along each axis of the oriented volume; 0 keeps what the volume has."""

Axis = Annotated[int, Field(ge=0, le=2)]
"""Of the oriented volume."""

StageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
"""A stage's name is also that of its files."""

Gift = Literal["mask", "line", "landmarks"]
"""What a stage may leave for those behind it."""


class Spec(BaseModel):
    """Base of every part of a recipe: unknown settings are errors."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class StageBase(Spec):
    """Base of the stages: what a check of the whole recipe must know of a kind."""

    inputs: ClassVar[tuple[Kind, ...]]
    gives: ClassVar[Gift | None] = None
    role: ClassVar[str] = "delineates"
    """Of its network, as the tables of names have it: delineates, classifies, fuses or scans windows."""

    starts_near: ClassVar[bool] = False
    """Whether it can be told where to begin to look."""

    @property
    def parts_judged(self) -> int:
        """Parts of the cases of which each is judged by a stage that learned without it, where nothing is held back."""
        return 0

    @property
    def network_input(self) -> Kind:
        """What its network sees."""
        return self.inputs[0]

    @property
    def follows_slices(self) -> bool:
        """Whether it goes from slice to slice along the third axis, which then runs up or down the patient."""
        return False

    def mirroring(self, left_right: int) -> list[str]:
        """Its settings, as they are now, by which it sees classes mirrored.

        Args:
            left_right: The axis of a volume that runs to the left or right. A list of axes without it swaps no sides.
        """
        if self.gives == "landmarks":
            return []
        augment = getattr(self, "augment", None)
        settings = {
            "augment.flip": getattr(augment, "flip", False),
            "augment.flip_axes": left_right in getattr(augment, "flip_axes", []),
            "flips": getattr(self, "flips", False),
        }
        if isinstance(settings["flips"], list):
            settings["flips"] = left_right in settings["flips"]
        return [name for name, mirrors in settings.items() if mirrors]

    @property
    def members(self) -> list[str]:
        """Classes of the recipe that it takes for one; empty where it takes all, or keeps them apart."""
        return list(getattr(self, "structures", []))
