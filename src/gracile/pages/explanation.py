"""What a gate looked at, as a case of a page: its picture with the heat map over it."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from gracile.case import Case
from gracile.pages.case_page import CasePage
from gracile.report import ReportCase, ReportLayer, relative_link, result_layers
from gracile.report.heat import heat_png
from gracile.result import Result

_COLOR = (249, 142, 9)


def add_explanation(
    page: CasePage, entry: ReportCase, case: Case, heat: np.ndarray, method: str, files: Mapping[str, Path]
) -> None:
    """Add a picture to the page.

    Args:
        page: Where it goes; its file lies in the folder of ``files``.
        entry: The case, in words.
        case: The picture.
        heat: ``(height, width)`` on the picture's own grid, 0 and above.
        method: How it was explained.
        files: What was written of it, by its label.
    """
    page.cases.append(entry)
    entry.links = {name: relative_link(file, file.parent / "index.html") for name, file in files.items()}
    if not page.wants(entry):
        return
    entry.base, _ = result_layers(case, Result(case.id, "found", case.grid, []), [])
    with Image.open(BytesIO(entry.base)) as picture:
        size = picture.size
    entry.layers = [ReportLayer(method, _COLOR, png=heat_png(heat, size), group="Explanation")]
    page.keep(entry)
