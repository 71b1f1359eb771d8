"""The rule that tells fundus photographs from other pictures."""

from functools import cache
from pathlib import Path

import numpy as np

from gracile.transforms.doubts import Doubts
from gracile.transforms.field_of_view import FieldOfView, circle_of
from gracile.transforms.fundus_figures import kind_figures

TABLE = Path(__file__).with_name("fundus_rule.yaml")

GRAY = 0.08
"""Mean saturation below which a picture is gray; the grayest photographs that were tried have 0.4."""


NO_COLOR = "it is gray, and the recipe needs a color photograph"


@cache
def rule() -> Doubts:
    """What speaks against a picture's being a fundus photograph, and the sum from which on it is none."""
    return Doubts.read(TABLE)


def why_not_a_fundus(image: np.ndarray, region: np.ndarray, found: FieldOfView | None = None) -> str:
    """Say why a picture is no color fundus photograph; empty when it looks like one.

    Gray pictures are none. Of others, what speaks against it is weighed and added up: a border that is no circle,
    colors that are not those of a retina, no vessels or contrast that vessels have not, see
    `gracile.transforms.fundus_figures`. No one of them decides: a photograph may be cut, turned or dark on a side.

    Args:
        image: ``(channels, height, width)`` uint8.
        region: ``(height, width)`` bool, the field of view.
        found: What was found of the field of view in the picture, where that is known.
    """
    if not region.any():
        return "no field of view was found in it"
    if image.shape[0] != 3:
        return NO_COLOR
    figures = kind_figures(image, region, found.circle if found else circle_of(image, region))
    if figures["color"] < GRAY:
        return NO_COLOR
    doubts = rule()
    if doubts.total(figures) < doubts.limits["other"]:
        return ""
    red, blue = (np.exp(figures[name]) for name in ("red", "blue"))
    told = {
        "disc": f"its lit part is not a disc (overlap {figures['roundness']:.2f})",
        "colors": f"its colors are not those of a retina (red {red:.2f} of green, green {blue:.2f} of blue)",
        "vessels": "it shows no vessels as those of a retina, or is too blurred",
    }
    return "; ".join(told[word] for word in doubts.words(figures, most=3, least=0.02))
