"""The figures that inputs and answers are judged by: what each is, its scale, and what is said where it is unusual."""

import math
from dataclasses import dataclass
from typing import Literal

Figures = dict[tuple[str, str], float]
"""Values by what they are of (``input``, a structure, ``landmarks``) and the name of the figure."""

INPUT, LANDMARKS = "input", "landmarks"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Args:
        low: What is said of a case whose figure is unusually low; empty says nothing.
        high: The same of a high one.
        scale: On which values are compared: ``log`` for sizes, ``logit`` for shares, ``yes`` for 0 and 1.
        floor: Smallest value (and for shares also the distance from 1) that is told apart from 0.
        slack: How far on that scale a value may lie beyond those of all ordinary cases.
        fixed: Below and above which a case is unusual, whatever the ordinary ones are, unless they are so too.
    """

    low: str = ""
    high: str = ""
    scale: Literal["log", "logit", "yes"] = "log"
    floor: float = 1e-3
    slack: float = 0.2
    fixed: tuple[float, float] = (-math.inf, math.inf)

    def scaled(self, value: float) -> float:
        """A value on the figure's scale."""
        if self.scale == "yes":
            return value
        if self.scale == "log":
            return math.log(max(value, self.floor))
        share = min(max(value, self.floor), 1.0 - self.floor)
        return math.log(share / (1.0 - share))

    def unscaled(self, value: float) -> float:
        """The value that lies there on the figure's scale."""
        if self.scale == "yes":
            return value
        return math.exp(value) if self.scale == "log" else 1.0 / (1.0 + math.exp(-value))


COLORS = "the colors of the input are unlike those of ordinary ones"
TEXTURE = "the texture of the input is unlike that of ordinary ones"

FIGURES: dict[str, Figure] = {
    "brightness": Figure("the input is dark", "the input is bright", "logit", 1e-3, fixed=(0.02, 0.95)),
    "contrast": Figure("the input is nearly constant", "the input has harder contrast than ordinary ones",
                       fixed=(0.01, math.inf)),
    "clipped_low": Figure(high="much of the input is clipped at its dark end", scale="logit", slack=0.5,
                          fixed=(-math.inf, 0.97)),
    "clipped_high": Figure(high="much of the input is clipped at its bright end", scale="logit", slack=0.5,
                           fixed=(-math.inf, 0.3)),
    "fineness": Figure("the input is blurred", "the input is noisy", fixed=(0.27, math.inf)),
    "coarseness": Figure(TEXTURE, TEXTURE),
    "red": Figure(COLORS, COLORS, "logit"),
    "blue": Figure(COLORS, COLORS, "logit"),
    "color": Figure(COLORS, COLORS, "logit", 3e-3),
    "extent_mm": Figure("the input shows a far smaller part of a body than ordinary ones",
                        "the input shows a far larger part of a body than ordinary ones", slack=1.1),
    "found": Figure("nothing of it was found", scale="yes", fixed=(1.0, math.inf)),
    "share": Figure("next to nothing of it was found", "far more of it was found than in ordinary cases", floor=1e-6,
                    fixed=(2e-5, 0.9)),
    "apart": Figure(high="it is broken in pieces", scale="logit", floor=5e-3, slack=0.5, fixed=(-math.inf, 0.9)),
    "border": Figure(high="it lies at the border and may be cut off there", scale="logit", floor=1e-2, slack=0.5,
                     fixed=(-math.inf, 0.7)),
    "missed": Figure(high="many were not found", scale="logit", floor=1e-2, slack=0.5, fixed=(-math.inf, 0.5)),
    "probability": Figure("they are found with less certainty than in ordinary cases", scale="logit", floor=1e-2),
    "uncertainty_mm": Figure(high="their places are less certain than in ordinary cases"),
    "outside": Figure(high="some lie at the border of the volume or beyond it", scale="logit", floor=1e-2,
                      fixed=(-math.inf, 0.2)),
}  # fmt: skip
"""All figures by name."""
