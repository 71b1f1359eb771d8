"""Fields of DICOM data sets as numbers and words; what cannot be is refused by the field's name, never by its value."""

from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom.files import VIEWER
from gracile.io.voxels import COPY_AGAIN

SEGMENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
"""SOP Class UID (0008,0016) of segmentations."""


def numbers(path: Path, dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """The numbers of a field; None where it is absent or empty. Raises DataError where they are not so many numbers."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return None
        values = [value] if isinstance(value, str | bytes | int | float) or not hasattr(value, "__len__") else value
        found = tuple(float(one) for one in values)
    except Exception:  # pydicom's errors quote the value
        raise DataError(f"{path}: {title(keyword)} is no number.", VIEWER) from None
    if not found:
        return None
    if len(found) != count:
        raise DataError(f"{path}: {title(keyword)} holds {len(found)} numbers instead of {count}.", VIEWER)
    if not np.isfinite(found).all():
        raise DataError(f"{path}: {title(keyword)} is no number.", VIEWER)
    return found


def required_numbers(path: Path, dataset: Any, keyword: str, count: int) -> tuple[float, ...]:
    """The numbers of a field. Raises DataError where it is absent or empty, or they are not so many."""
    found = numbers(path, dataset, keyword, count)
    if found is None:
        raise DataError(f"{path}: {title(keyword)} is empty.", VIEWER)
    return found


def number(path: Path, dataset: Any, keyword: str, default: float) -> float:
    """The number of a field, or a default where it is absent or empty. Raises DataError."""
    found = numbers(path, dataset, keyword, 1)
    return default if found is None else found[0]


def words(dataset: Any, keyword: str) -> str:
    """A field as text; empty where it is absent or damaged."""
    try:
        value = dataset.get(keyword)
    except Exception:
        return ""
    return "" if value is None else str(value).strip()


def title(keyword: str) -> str:
    """A field as people know it: ``Pixel Spacing (0028,0030)``."""
    from pydicom.datadict import dictionary_description, tag_for_keyword
    from pydicom.tag import Tag

    tag = tag_for_keyword(keyword)
    assert tag is not None
    return f"{dictionary_description(tag)} {str(Tag(tag)).replace(' ', '')}"


def frame_count(path: Path, dataset: Any) -> int:
    """How many frames an image has. Raises DataError where its file is too small to hold so many."""
    count = max(1, int(number(path, dataset, "NumberOfFrames", 1)))
    if count > path.stat().st_size:
        raise DataError(f"{path} claims {count} frames, more than it has bytes.", COPY_AGAIN)
    return count
