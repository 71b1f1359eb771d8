"""Read, write and color masks of class indices."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from gracile.case import IGNORED
from gracile.errors import DataError
from gracile.io.decoding import decode, require_one_page
from gracile.io.ignored import without_ignored
from gracile.io.images import write_png
from gracile.io.unknown_labels import LabelClass, UnknownLabels

log = logging.getLogger(__name__)

COLOR_TOLERANCE = 40
_SHOWN = 8
WHOLE = 1e-3
"""How far a stored label may be from a whole number: scaling factors are rounded."""
_SOFT_EDGE = 8
"""Pixels that the edge of a soft or JPEG-compressed mask reaches at most: a JPEG's block."""
_FEWEST_SHADES = 3
"""Fewer shades between black and white, in a file that is no JPEG, are label values of their own."""


def read_labels(
    path: Path | str,
    classes: Sequence[LabelClass],
    *,
    recoded: bool = True,
    notes: list[str] | None = None,
    ignored: bool = False,
) -> np.ndarray:
    """Read a label picture in any of the codings that people have.

    - class indices: gray, palette or 16-bit, or RGB with three equal channels; where the classes declare ``values``,
      these stand for the indices, so that several of the labels' classes can be one;
    - 0 and 255, when there are exactly two classes; soft edges between them (antialiased, JPEG) and fractions from 0
      to 1 are cut at half;
    - RGB colors of the declared table, exact or the nearest one within 40 per channel (JPEG). A palette whose colors
      are all declared exactly is read by its colors, any other by its indices. Transparent parts are black.

    Args:
        path: The file.
        classes: The classes by index, the background first.
        recoded: False for a mask that a program wrote by these classes: its values are the indices themselves.
        notes: Takes what was changed to read it; None: the log does.
        ignored: Whether what the background's ``ignored`` names is told, as 255; else it is background.

    Returns:
        ``(height, width)`` uint8 class indices.

    Raises:
        DataError: Values or colors that no class has; the message names them and their pixel counts. Several pages.
    """
    path = Path(path)
    decoded = decode(path)
    require_one_page(path, decoded)
    if decoded.palette is not None and not (recoded and _codes(classes)):
        inner, left_out = without_ignored(decoded.values, classes if recoded else ())
        labels = _from_palette(inner, decoded.palette, classes)
        if labels is not None:
            return _marked(labels, left_out, ignored)
    values = decoded.values
    if decoded.alpha is not None:
        opaque = decoded.alpha >= 0.5
        values = values * (opaque if values.ndim == 2 else opaque[..., None])
    if values.ndim == 3:
        if values.shape[2] != 3:
            raise DataError(f"{path} has {values.shape[2]} channels; a label has 1 or 3.", "Save class indices.")
        if decoded.lossy and len(classes) == 2 and np.ptp(values, axis=2).max(initial=0) <= COLOR_TOLERANCE:
            values = values[..., 1]  # gray, but for what JPEG did to its colors
        elif (values == values[..., :1]).all() and not _is_gray_color_map(values[..., 0], classes):
            values = values[..., 0]
    if values.ndim == 2:
        return class_indices(path, values, classes, recoded=recoded, lossy=decoded.lossy, notes=notes, ignored=ignored)
    return _from_colors(path, values, classes)


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
    return _marked(labels, left_out, ignored)


def _marked(labels: np.ndarray, left_out: np.ndarray | None, ignored: bool) -> np.ndarray:
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
    codes = _codes(classes) if recoded else {}
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


def _codes(classes: Sequence[LabelClass]) -> dict[int, int]:
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
    codes = _codes(classes)
    found, counts = _counted(values)
    unknown = {v: n for v, n in zip(found.tolist(), counts.tolist(), strict=True) if v not in codes}
    if unknown:
        listed = ", ".join([f"{v} ({n} {samples})" for v, n in unknown.items()][:_SHOWN])
        raise UnknownLabels(
            f"{path} holds label values that no class has: {listed}. Known: {sorted(codes)}.", classes, unknown
        )
    return np.array([codes[v] for v in found.tolist()], np.uint8)[np.searchsorted(found, values)]


def _is_gray_color_map(gray: np.ndarray, classes: Sequence[LabelClass]) -> bool:
    """Whether an RGB picture without hue is a color map all the same: all black and white, say, and white declared."""
    return int(gray.max(initial=0)) >= len(classes) > 2


def _from_palette(values: np.ndarray, palette: np.ndarray, classes: Sequence[LabelClass]) -> np.ndarray | None:
    """Labels of a palette picture whose used colors are all declared or which is a 0/255 mask, else None."""
    table = {tuple(color): index for index, entry in enumerate(classes) for color in entry.colors}
    used = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    colors = [tuple(int(v) for v in palette[index]) for index in used]
    if len(classes) == 2:
        table = {(0, 0, 0): 0, (255, 255, 255): 1, **table}
    if not all(color in table for color in colors):
        return None
    lookup = np.zeros(256, np.uint8)
    lookup[used] = [table[color] for color in colors]
    return lookup[values]


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
            for value, count in zip(found[unknown][:_SHOWN], counts[unknown][:_SHOWN], strict=True)
        )
        more = f" and {int(unknown.sum()) - _SHOWN} others" if unknown.sum() > _SHOWN else ""
        if lossy:
            raise DataError(
                f"{path} is a JPEG, whose compression changes label values: it holds {listed}{more}.",
                "Save the label as PNG, from where it was drawn.",
            )
        raise UnknownLabels(
            f"{path} holds label values that no class has: {listed}{more}. Known: {_known(classes)}.",
            classes,
            found[unknown].tolist(),
        )
    return values.astype(np.uint8)


def _from_colors(path: Path, values: np.ndarray, classes: Sequence[LabelClass]) -> np.ndarray:
    table = [(index, color) for index, entry in enumerate(classes) for color in entry.colors]
    if values.dtype != np.uint8 or not table:
        reason = "it is not 8-bit" if values.dtype != np.uint8 else "no class has a declared color"
        raise DataError(f"{path} is an RGB picture and cannot be read as a color map: {reason}.", "Save class indices.")
    red, green, blue = (values[..., channel].astype(np.int32) for channel in range(3))
    packed = red << 16 | green << 8 | blue
    labels = np.zeros(packed.shape, np.uint8)
    rest = np.ones(packed.shape, bool)
    for index, color in table:
        same = packed == (color[0] << 16 | color[1] << 8 | color[2])
        labels[same] = index
        rest &= ~same
    if rest.any():
        labels[rest] = _nearest_class(path, packed[rest], table, classes)
    return labels


def _nearest_class(
    path: Path, packed: np.ndarray, table: list[tuple[int, Sequence[int]]], classes: Sequence[LabelClass]
) -> np.ndarray:
    """Class of the nearest declared color for each packed one that is not declared itself."""
    found, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colors = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    difference = np.abs(colors[:, None] - np.array([color for _, color in table])[None]).max(axis=-1)
    far = difference.min(axis=1) > COLOR_TOLERANCE
    if far.any():
        order = np.argsort(-counts[far])[:_SHOWN]
        listed = ", ".join(f"{tuple(colors[far][i].tolist())} ({counts[far][i]} pixels)" for i in order)
        more = f" and {int(far.sum()) - _SHOWN} others" if far.sum() > _SHOWN else ""
        red, green, blue = colors[far].T.tolist()
        raise UnknownLabels(
            f"{path} holds colors that no class has: {listed}{more} (a JPEG mixes colors at edges: save PNG). "
            f"Known: {_known(classes)}.",
            classes,
            list(zip(red, green, blue, strict=True)),
        )
    indices = np.array([index for index, _ in table], np.uint8)
    return indices[difference.argmin(axis=1)][inverse]


def _known(classes: Sequence[LabelClass]) -> str:
    parts = []
    for index, entry in enumerate(classes):
        colors = " ".join(str(tuple(color)) for color in entry.colors)
        parts.append(f"{index} {entry.name}{' ' + colors if colors else ''}")
    return ", ".join(parts)


def write_labels(path: Path | str, labels: np.ndarray) -> None:
    """Write class indices as an 8-bit gray PNG, whole or not at all.

    Args:
        path: File to write.
        labels: ``(height, width)`` bool or integer class indices from 0 to 255.

    Raises:
        DataError: Values that do not fit, or a full disk.
    """
    labels = np.asarray(labels)
    whole = labels.dtype.kind in "bui"
    if labels.ndim != 2 or not whole or (labels.size and (labels.min() < 0 or labels.max() > 255)):
        raise DataError(f"{path}: a mask is (height, width) of class indices from 0 to 255.")
    write_png(path, labels.astype(np.uint8))


def colorize(mask: np.ndarray, colors: Sequence[Sequence[int]]) -> np.ndarray:
    """A picture of a mask: ``(3, height, width)`` uint8, class i in color ``colors[i]``.

    Raises:
        DataError: The mask holds a class that has no color.
    """
    table = _color_table(mask, colors)
    return np.ascontiguousarray(np.moveaxis(table[mask.astype(np.intp)], -1, 0))


def overlay(image: np.ndarray, mask: np.ndarray, colors: Sequence[Sequence[int]], alpha: float = 0.5) -> np.ndarray:
    """An image with the classes of a mask laid over it; the background (class 0) stays as it is.

    Args:
        image: ``(1 or 3, height, width)`` uint8.
        mask: ``(height, width)`` class indices.
        colors: RGB by class index; the first is not used.
        alpha: Opacity of the colors, 0 to 1.

    Returns:
        ``(3, height, width)`` uint8.

    Raises:
        DataError: The sizes differ, or the mask holds a class that has no color.
    """
    if image.shape[1:] != mask.shape:
        raise DataError(f"The mask has size {mask.shape}, the image {image.shape[1:]}.")
    table = _color_table(mask, colors)
    picture = np.broadcast_to(image, (3, *mask.shape)).copy()
    painted = mask != 0
    tint = table[mask[painted].astype(np.intp)].T
    picture[:, painted] = np.rint((1 - alpha) * picture[:, painted] + alpha * tint).astype(np.uint8)
    return picture


def _color_table(mask: np.ndarray, colors: Sequence[Sequence[int]]) -> np.ndarray:
    if mask.size and int(mask.max()) >= len(colors):
        raise DataError(f"The mask holds class {int(mask.max())}, and there are {len(colors)} colors.")
    return np.array(colors, np.uint8)
