"""What every part of a recipe is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Tone = Annotated[int, Field(ge=0, le=255)]
Color = tuple[Tone, Tone, Tone]
Side = Annotated[int, Field(ge=8)]
Spacing = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
"""Millimeters along each axis of the oriented volume; 0 keeps what the volume has."""

StageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
"""A stage's name is also that of its files."""


class Spec(BaseModel):
    """Base of every part of a recipe: unknown settings are errors."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
