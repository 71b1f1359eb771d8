"""What is measured in a result."""

from typing import Any

from pydantic import Field, model_validator

from gracile.formulas import Formula
from gracile.recipe.base import Spec


class FormulaSpec(Spec):
    """A published formula over measurements."""

    formula: str = Field(description="arithmetic such as 4.16 * A - 4, see `gracile.formulas`")
    of: dict[str, str] = Field(min_length=1, description="the measurement that each name in the formula stands for")
    unit: str = "mm"
    source: str = Field(min_length=1, description="who published it")

    @model_validator(mode="after")
    def _names_are_explained(self) -> "FormulaSpec":
        if Formula(self.formula).names != set(self.of):
            raise ValueError(f"`of` explains {', '.join(self.of)}, the formula {self.formula!r} needs others")
        return self


class LandmarkMeasuresSpec(Spec):
    """What is measured between landmarks; each name stands for one measurement."""

    distances: dict[str, tuple[str, str]] = Field(default_factory=dict, description="between two landmarks, in mm")
    angles: dict[str, tuple[str, str, str]] = Field(
        default_factory=dict, description="at the second of three landmarks, in degrees"
    )
    formulas: dict[str, FormulaSpec] = Field(default_factory=dict, description="over those that are named before")

    @model_validator(mode="after")
    def _parts_are_known(self) -> "LandmarkMeasuresSpec":
        known = [*self.distances, *self.angles]
        for name, formula in self.formulas.items():
            unknown = sorted(set(formula.of.values()) - set(known))
            if unknown:
                raise ValueError(f"formula {name!r} is over {unknown[0]!r}, which is not measured before it")
            known.append(name)
        if len(set(known)) != len(known):
            raise ValueError("each measurement has a name of its own")
        return self


class MeasureSpec(Spec):
    """What is measured in a result; see `gracile.names.MEASURES`."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
