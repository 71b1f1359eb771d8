"""Values of index labels as class indices: as they are, by a declared table, or of a mask of two classes."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from gracile.case import IGNORED
from gracile.errors import DataError
from gracile.io.ignored import without_ignored
from gracile.io.unknown_labels import LabelClass, UnknownLabels

log = logging.getLogger(__name__)

COLOR_TOLERANCE = 40
SHOWN = 8
WHOLE = 1e-3
"""How far a stored label may be from a whole number: scaling factors are rounded."""
_SOFT_EDGE = 8
"""Pixels that the edge of a soft or JPEG-compressed mask reaches at most: a JPEG's block."""
_FEWEST_SHADES = 3
"""Fewer shades between black and white, in a file that is no JPEG, are label values of their own."""


def class_indices(
    path: Path,
    values: np.ndarray,
    classes: Sequence[LabelClass],
    *,
    recoded: bool = True,
    lossy: bool = False,
    samples: str = "pixels",
    notes: list[str] | None = None,
    ignored: bool = False,
) -> np.ndarray:
    """Class indices of label values: by the declared ``values``, as they are, or of 0 and 255 for two classes.

    Args:
        path: For the message.
        values: Label values of any shape.
        classes: The classes by index, the background first.
        recoded: False for a mask that a program wrote by these classes: its values are the indices themselves.
        lossy: Whether 0 and 255 may be a little off.
        samples: What the message calls them.
        notes: Takes what was changed to read them; None: the log does.
        ignored: Whether what the background's ``ignored`` names is told, as 255; else it is background.

    Returns:
        uint8 class indices of the shape of the values.

    Raises:
        DataError: Values that no class has; the message names them and how often they occur. More classes than a mask
            of 8 bits tells apart.
    """
    if len(classes) > IGNORED:
        raise DataError(
            f"{path} cannot be read as {len(classes) - 1} classes besides the background: masks of 8 bits tell "
            f"{IGNORED - 1} apart.",
            "Join some of them.",
        )
    inner, left_out = without_ignored(values, classes if recoded else ())
    labels = _class_indices(path, inner, classes, recoded, lossy, samples, notes)
    return marked(labels, left_out, ignored)


def marked(labels: np.ndarray, left_out: np.ndarray | None, ignored: bool) -> np.ndarray:
    if ignored and left_out is not None:
        labels[left_out] = IGNORED
    return labels


def _class_indices(
    path: Path,
    values: np.ndarray,
    classes: Sequence[LabelClass],
    recoded: bool,
    lossy: bool,
    samples: str,
    notes: list[str] | None,
) -> np.ndarray:
    codes = codes_of(classes) if recoded else {}
    if codes:
        values = _decoded_indices(path, values, classes, samples)
    elif recoded and samples == "pixels" and (cut := _cut_at_half(values, classes, lossy)) is not None:
        said = "the label is a JPEG: it was cut at half" if lossy else "the label is soft: it was cut at half"
        if notes is None:
            log.warning("%s: %s", path, said)
        else:
            notes.append(said)
        return cut
    return _from_indices(path, values, classes, lossy, samples)


def codes_of(classes: Sequence[LabelClass]) -> dict[int, int]:
    return {value: index for index, entry in enumerate(classes) for value in entry.values}


def _counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that occur and how often, as `numpy.unique` gives them."""
    if values.dtype.kind in "ui" and values.size and values.min() >= 0 and values.max() < 2**16:
        counts = np.bincount(values.ravel())
        found = np.flatnonzero(counts)
        return found, counts[found]
    return np.unique(values, return_counts=True)


def _decoded_indices(path: Path, values: np.ndarray, classes: Sequence[LabelClass], samples: str) -> np.ndarray:
    """Class indices of label values by the declared table."""
    codes = codes_of(classes)
    found, counts = _counted(values)
    unknown = {v: n for v, n in zip(found.tolist(), counts.tolist(), strict=True) if v not in codes}
    if unknown:
        listed = ", ".join([f"{v} ({n} {samples})" for v, n in unknown.items()][:SHOWN])
        raise UnknownLabels(
            f"{path} holds label values that no class has: {listed}. Known: {sorted(codes)}.", classes, unknown
        )
    return np.array([codes[v] for v in found.tolist()], np.uint8)[np.searchsorted(found, values)]


def _cut_at_half(values: np.ndarray, classes: Sequence[LabelClass], lossy: bool) -> np.ndarray | None:
    """A soft mask of two classes, from 0 to 1 or from black to white, cut at half; None for any other.

    What lies between black and white must lie beside both: a third class of its own is no soft edge.
    """
    if len(classes) != 2 or values.ndim != 2 or not values.size or not np.isfinite(values).all():
        return None
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        fractions = bool((values != np.rint(values)).any())
        if fractions and low >= -WHOLE and high <= 1 + WHOLE:
            return (values >= 0.5).astype(np.uint8)
    if low < 0 or not 255 - COLOR_TOLERANCE <= high <= 255:
        return None
    between = (values > COLOR_TOLERANCE) & (values < 255 - COLOR_TOLERANCE)
    if lossy or len(np.unique(values[between])) >= _FEWEST_SHADES:
        window = 2 * _SOFT_EDGE + 1
        beside_both = (minimum_filter(values, window) <= COLOR_TOLERANCE) & (
            maximum_filter(values, window) >= 255 - COLOR_TOLERANCE
        )
        if beside_both[between].all() and (lossy or between.any()):
            return (values > 127).astype(np.uint8)
    return None


def _from_indices(
    path: Path, values: np.ndarray, classes: Sequence[LabelClass], lossy: bool, samples: str
) -> np.ndarray:
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and np.abs(values - np.rint(values)).max(initial=0) <= WHOLE):
            raise DataError(f"{path} holds fractional values; a label holds class indices.", "Save it as 8-bit PNG.")
        values = np.rint(values).astype(np.int64)
    found, counts = _counted(values)
    if len(classes) == 2 and found.size and found.max() > 1:
        near = (found <= COLOR_TOLERANCE) | (found >= 255 - COLOR_TOLERANCE) if lossy else np.isin(found, (0, 255))
        if near.all() and found.max() >= 255 - COLOR_TOLERANCE and found.max() <= 255:
            return (values > 127).astype(np.uint8)
    unknown = (found < 0) | (found >= len(classes))
    if unknown.any():
        listed = ", ".join(
            f"{value} ({count} {samples})"
            for value, count in zip(found[unknown][:SHOWN], counts[unknown][:SHOWN], strict=True)
        )
        more = f" and {int(unknown.sum()) - SHOWN} others" if unknown.sum() > SHOWN else ""
        if lossy:
            raise DataError(
                f"{path} is a JPEG, whose compression changes label values: it holds {listed}{more}.",
                "Save the label as PNG, from where it was drawn.",
            )
        raise UnknownLabels(
            f"{path} holds label values that no class has: {listed}{more}. Known: {known_classes(classes)}.",
            classes,
            found[unknown].tolist(),
        )
    return values.astype(np.uint8)


def known_classes(classes: Sequence[LabelClass]) -> str:
    parts = []
    for index, entry in enumerate(classes):
        colors = " ".join(str(tuple(color)) for color in entry.colors)
        parts.append(f"{index} {entry.name}{' ' + colors if colors else ''}")
    return ", ".join(parts)
