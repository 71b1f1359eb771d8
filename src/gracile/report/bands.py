"""The band around what was found that is expected to hold the true outline, as a layer of a page."""

import numpy as np
from scipy import ndimage

from gracile.report.contents import ReportLayer
from gracile.report.marks import RGB
from gracile.result import Quality

GROUP = "Predicted"
NAME = "band of the true outline"
COLOR: RGB = (204, 121, 167)
"""Of the colors that color-blind people tell apart (Okabe and Ito 2008), the one that no other layer has."""


def band_around(mask: np.ndarray, width: float, sampling: float | tuple[float, ...] = 1.0) -> np.ndarray:
    """``(*spatial)`` bool: what lies within a width of the outline of any class of a mask.

    Args:
        mask: ``(*spatial)`` class indices.
        width: Half that of the band.
        sampling: Distance of samples along each axis, in the unit of the width.
    """
    outline = np.zeros(mask.shape, dtype=bool)
    for axis in range(mask.ndim):
        differ = np.moveaxis(outline, axis, 0)
        lines = np.moveaxis(mask, axis, 0)
        changed = lines[1:] != lines[:-1]
        differ[1:] |= changed & (lines[1:] > 0)
        differ[:-1] |= changed & (lines[:-1] > 0)
    if not outline.any():
        return outline
    return np.asarray(ndimage.distance_transform_edt(~outline, sampling=sampling) <= width)


def band_title(quality: Quality) -> str:
    """What the layer is called: of how many cases in ten it holds, and how wide it is."""
    width = quality.band or 0.0
    return f"{NAME}, ±{width:.{0 if width >= 10 else 1 if width >= 1 else 2}f} {quality.band_unit}"


def band_layer(png: bytes) -> ReportLayer:
    """The layer, switched off at first."""
    return ReportLayer(NAME, COLOR, png=png, group=GROUP, shown=False)
