"""The pictures that a report begins with: small ones of cases that need a look, with links to the large ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from gracile.report.contents import ReportCase
from gracile.report.layers import jpeg, laid_over

FEW = 3
"""A report of so many cases begins with the cases themselves."""

_MOST = 12
_LONGEST = 360
_TALLEST = 1.5


@dataclass(frozen=True)
class Tile:
    """One of these pictures.

    Args:
        index: Number of the case on the page.
        case: The case.
        picture: Its base with the raster layers that are shown at first, as JPEG; marks would hide it.
    """

    index: int
    case: ReportCase
    picture: bytes


def first_pictures(cases: Sequence[ReportCase]) -> list[Tile]:
    """The tiles of cases that come worst first; none where the cases are few or have no pictures."""
    if len(cases) <= FEW:
        return []
    pictured = [(index, case) for index, case in enumerate(cases, start=1) if case.base]
    return [Tile(index, case, _small(case)) for index, case in pictured[:_MOST]]


def _small(case: ReportCase) -> bytes:
    shown = [layer for layer in case.layers if layer.png and layer.shown]
    base = case.base
    if any(layer.group == "Differences" for layer in shown):  # over a gray picture, as on the case's card
        base = jpeg([Image.open(BytesIO(base)).convert("L")], quality=90)
    picture: Image.Image = Image.open(BytesIO(laid_over(base, shown)))
    width, height = picture.size
    if height > _TALLEST * width:  # a sheet of many views: those at the top can be seen at least
        picture = picture.crop((0, 0, width, round(width * 3 / 4)))
    picture.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BOX)
    return jpeg(list(picture.split()), quality=78)
