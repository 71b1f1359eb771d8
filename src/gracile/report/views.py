"""What a page shows of a case, be it a picture or a volume."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.report.bands import GROUP as PREDICTED
from gracile.report.contents import ReportLayer
from gracile.report.landmark_sheet import landmark_layers
from gracile.report.layers import draw_overlay, laid_over, result_layers
from gracile.report.profiles import cord_chart
from gracile.report.volume_sheet import volume_layers
from gracile.result import Result

Rows = Sequence[Mapping[str, Any]]


def case_layers(
    case: Case, result: Result, colors: Sequence[Sequence[int]], truth: np.ndarray | None = None
) -> tuple[bytes, list[ReportLayer]]:
    """The base as JPEG and the layers over it.

    See `result_layers` for pictures, `volume_layers` for volumes, `landmark_layers` for those with landmarks alone.
    """
    if _is_of_landmarks(result):
        return landmark_layers(case, result.landmarks)
    if _is_volume(case):
        return volume_layers(case, result, colors, truth)
    return result_layers(case, result, colors, truth)


def case_overlay(
    case: Case, result: Result, colors: Sequence[Sequence[int]], drawn: tuple[bytes, list[ReportLayer]] | None = None
) -> bytes:
    """One JPEG with the result over the case: a picture at its own size, a volume as the sheet of `case_layers`.

    Args:
        case: The case.
        result: What was found in it.
        colors: RGB by class index.
        drawn: Its layers, where they were drawn already.
    """
    if _is_of_landmarks(result) or _is_volume(case) or result.mask is None:
        base, layers = drawn or case_layers(case, result, colors)
        return laid_over(base, [layer for layer in layers if layer.group != PREDICTED])
    return draw_overlay(case.looked_at, result.mask, colors)


def case_figures(
    tables: Mapping[str, Rows], truth: Mapping[str, Rows] | None = None, color: Sequence[int] | None = None
) -> list[tuple[str, str]]:
    """Caption and SVG of the charts that a result's tables make."""
    rows, true_rows = tables.get("cord", ()), (truth or {}).get("cord", ())
    return [("area along the structure", cord_chart(rows, true_rows, color))] if rows or true_rows else []


def is_drawn(result: Result) -> bool:
    """Whether there is anything to show of a result."""
    return result.mask is not None or any(part.point_mm is not None for part in result.landmarks)


def _is_of_landmarks(result: Result) -> bool:
    return result.mask is None and bool(result.landmarks)


def _is_volume(case: Case) -> bool:
    return case.image.ndim == 4
