"""The small picture of a case beside its name: what was found, laid over what it was found in."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image
from scipy import ndimage

from gracile.case import Case
from gracile.errors import GracileError
from gracile.geometry import Grid, axial_slices
from gracile.io import read_labels, read_volume_labels
from gracile.io.atomic import write_bytes
from gracile.io.video_stills import read_stills
from gracile.report import result_layers
from gracile.report.layers import laid_over
from gracile.result import Result
from gracile.serve.scene import CaseFiles

LONGEST = 160
"""Pixels of its longer side, twice what a list shows for dense screens."""

_PERCENTILES = (1.0, 99.5)


def draw_thumbnail(case: CaseFiles) -> None:
    """Draw a case's thumbnail to ``thumbnail.jpg`` in its cache; an empty file where there is nothing to draw."""
    try:
        drawn = _drawn(case)
    except GracileError:
        drawn = b""
    write_bytes(case.cache / "thumbnail.jpg", drawn)


def _drawn(case: CaseFiles) -> bytes:
    film = case.path("video")
    if film is not None:
        duration = next((m["value"] for m in case.record.get("measurements", []) if m["name"] == "duration"), 0.0)
        (frame,) = read_stills(film, [(duration or 0.0) / 2])
        return _laid(case, np.moveaxis(frame, -1, 0), None)
    mask = case.path("mask")
    read = case.read()
    if read.image.ndim == 3:
        return _laid(case, read.looked_at, read_labels(mask, case.classes, recoded=False) if mask else None)
    labels = read_volume_labels(mask, case.classes, read.grid, recoded=False).values if mask else None
    return _laid(case, *_plane(case, read, labels))


def _laid(case: CaseFiles, image: np.ndarray, mask: np.ndarray | None) -> bytes:
    if mask is not None and mask.shape != image.shape[1:]:
        mask = None
    grid = Grid(image.shape[1:])
    result = Result("", "found", grid, [spec.name for spec in case.classes], mask=mask)
    drawn = Case("", np.ascontiguousarray(image), grid)
    base, layers = result_layers(drawn, result, [spec.color for spec in case.classes], longest=LONGEST)
    return _smaller(laid_over(base, layers))


def _smaller(jpeg: bytes) -> bytes:
    buffer = BytesIO()
    Image.open(BytesIO(jpeg)).convert("RGB").save(buffer, format="JPEG", quality=75)
    return buffer.getvalue()


def _plane(case: CaseFiles, read: Case, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """``(1, height, width)`` uint8 and the labels of the plane that cuts most of what was found, square in mm."""
    assert read.grid.affine is not None  # volumes have one
    slices = axial_slices(read.looked_at[0], read.grid.affine)
    found = None if labels is None else axial_slices(labels, read.grid.affine).volume
    points = [part["point_mm"] for part in case.record.get("landmarks", []) if part["point_mm"] is not None]
    places = slices.to_places(np.array(points)) if points else None
    axis, index = _cut(slices.volume.shape, slices.spacing_mm, found, places)
    values = np.take(slices.volume, index, axis).astype(np.float32)
    member = None if found is None else np.take(found, index, axis)
    spacing = [step for other, step in enumerate(slices.spacing_mm) if other != axis]
    if axis:  # slices run from below to above, a picture from above to below
        values, member = values[::-1], None if member is None else member[::-1]
    low, high = np.percentile(values, _PERCENTILES)
    gray = np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255
    zoom = [step / min(spacing) for step in spacing]
    shown = ndimage.zoom(gray, zoom, order=1).astype(np.uint8)[None]
    return shown, None if member is None else ndimage.zoom(member, zoom, order=0)


def _cut(
    shape: Sequence[int], spacing_mm: Sequence[float], found: np.ndarray | None, places: np.ndarray | None
) -> tuple[int, int]:
    """The axis and the index of the plane to show; through the middle of the volume where nothing was found."""
    if found is not None and found.any():
        counts = [(found > 0).sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
        pixel = [np.prod(spacing_mm) / step for step in spacing_mm]
        axis = int(np.argmax([count.max() * area for count, area in zip(counts, pixel, strict=True)]))
        return axis, int(np.argmax(counts[axis]))
    sides = [size * step for size, step in zip(shape, spacing_mm, strict=True)]
    axis = int(np.argmin(sides))
    middle = shape[axis] // 2 if places is None else round(float(np.median(places[:, axis])))
    return axis, min(max(middle, 0), shape[axis] - 1)
