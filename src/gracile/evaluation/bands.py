"""Whether the band around a predicted outline holds the true one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.evaluation.label_files import read_prediction
from gracile.evaluation.mask_files import MaskFiles, read_truth_and_region
from gracile.evaluation.quality_sources import ToldCase
from gracile.evaluation.structures import structure_masks
from gracile.evaluation.surfaces import Spacing, surface_gaps
from gracile.io import read_picture
from gracile.io.dicom import is_dicom
from gracile.io.masks import LabelClass
from gracile.io.pictures import read_sidecar

HELD = 0.95
"""Share of the true outline that a band must hold: single samples that lie elsewhere do not make it wrong."""

_ROUNDING = 0.5e-4
"""Records give bands with four digits."""


def share_in_band(
    truth: np.ndarray,
    prediction: np.ndarray,
    classes: int,
    band: float,
    *,
    region: np.ndarray | None = None,
    spacing: Spacing = None,
) -> float | None:
    """Share of the true outlines that lies within a band around the predicted ones, each structure to its own.

    The samples of the true outlines of all structures count alike; of a structure that was missed none lies within.

    Args:
        truth: ``(*spatial)`` class indices.
        prediction: As the truth.
        classes: Number of classes, the background among them.
        band: Its half width, in mm or, without a spacing, in samples.
        region: ``(*spatial)`` bool; what lies outside counts as background.
        spacing: Distance in mm between samples along each axis, or None.

    Returns:
        The share, or None where there is no true outline, as of a false alarm: no band could hold it.
    """
    held = whole = 0
    for true, found in structure_masks(truth, prediction, classes, region):
        gaps = surface_gaps(true, found, spacing)
        if gaps is not None:
            held += int((gaps.truth <= band + _ROUNDING).sum())
            whole += gaps.truth.size
        elif (missed := surface_gaps(true, true, spacing)) is not None:
            whole += missed.truth.size
    return held / whole if whole else None


def bands_held(
    files: Sequence[MaskFiles], run: int, told: Mapping[str, ToldCase], classes: Sequence[LabelClass]
) -> dict[str, bool]:
    """Whether at least `HELD` of a case's true outline lies in its band, of the cases in which that can be told.

    Args:
        files: The cases.
        run: Which of their predictions.
        told: What was told of them, by the case's name.
        classes: The classes by index, the background first.

    Raises:
        DataError: A file cannot be read.
    """
    held: dict[str, bool] = {}
    for case in files:
        own, path = told.get(case.name), case.predictions[run]
        if own is None or own.band is None or path is None:
            continue
        truth, region = read_truth_and_region(case, classes)
        spacing = None if own.band_unit == "px" else truth.spacing_mm or _picture_spacing(own.image)
        if spacing is None and own.band_unit != "px":
            continue  # a band in mm of a picture whose pixel size is not known any more
        prediction = read_prediction(path, classes, truth)
        share = share_in_band(truth.values, prediction, len(classes), own.band, region=region, spacing=spacing)
        if share is not None:
            held[case.name] = share >= HELD
    return held


def _picture_spacing(image: Path | None) -> Spacing:
    """Pixel size in mm of a picture that may be gone."""
    if image is None or not image.is_file():
        return None
    try:
        return read_picture(image, image.stem).grid.spacing_mm if is_dicom(image) else read_sidecar(image)
    except DataError:
        return None
