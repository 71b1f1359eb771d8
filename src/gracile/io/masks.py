"""Read, write and color masks of class indices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.io.class_indices import COLOR_TOLERANCE, SHOWN, class_indices, codes_of, known_classes, marked
from gracile.io.decoding import decode, require_one_page
from gracile.io.ignored import without_ignored
from gracile.io.images import write_png
from gracile.io.unknown_labels import LabelClass, UnknownLabels


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
    if decoded.palette is not None and not (recoded and codes_of(classes)):
        inner, left_out = without_ignored(decoded.values, classes if recoded else ())
        labels = _from_palette(inner, decoded.palette, classes)
        if labels is not None:
            return marked(labels, left_out, ignored)
    values = decoded.values
    if decoded.alpha is not None:
        opaque = decoded.alpha >= 0.5
        values = values * (opaque if values.ndim == 2 else opaque[..., None])
    if values.ndim == 3:
        if values.shape[2] != 3:
            raise DataError(f"{path} has {values.shape[2]} channels; a label has 1 or 3.", "Save class indices.")
        if decoded.lossy and len(classes) == 2 and np.ptp(values, axis=2).max(initial=0) <= COLOR_TOLERANCE:
            values = values[..., 1]  # gray, but for what JPEG did to its colors
        elif (values == values[..., :1]).all() and not _is_gray_color_map(values[..., 0], classes, recoded):
            values = values[..., 0]
    if values.ndim == 2:
        return class_indices(path, values, classes, recoded=recoded, lossy=decoded.lossy, notes=notes, ignored=ignored)
    return _from_colors(path, values, classes)


def _is_gray_color_map(gray: np.ndarray, classes: Sequence[LabelClass], recoded: bool) -> bool:
    """Whether an RGB picture without hue is a color map all the same: all black and white, say, and white declared.

    It is none where its values are declared. Of two classes it is one only where a gray is that of the background.
    """
    highest = int(gray.max(initial=0))
    values = {*codes_of(classes), *getattr(classes[0], "ignored", ())} if recoded and classes else set()
    of_background = bool(classes) and (highest, highest, highest) in {tuple(color) for color in classes[0].colors}
    return highest >= len(classes) and highest not in values and (len(classes) > 2 or of_background)


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
        order = np.argsort(-counts[far])[:SHOWN]
        listed = ", ".join(f"{tuple(colors[far][i].tolist())} ({counts[far][i]} pixels)" for i in order)
        more = f" and {int(far.sum()) - SHOWN} others" if far.sum() > SHOWN else ""
        red, green, blue = colors[far].T.tolist()
        raise UnknownLabels(
            f"{path} holds colors that no class has: {listed}{more} (a JPEG mixes colors at edges: save PNG). "
            f"Known: {known_classes(classes)}.",
            classes,
            list(zip(red, green, blue, strict=True)),
        )
    indices = np.array([index for index, _ in table], np.uint8)
    return indices[difference.argmin(axis=1)][inverse]


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
