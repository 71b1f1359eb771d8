"""Read a DICOM series as a volume: which files make one, and what they hold.

A folder is what an archive gives: beside the series that is meant there are other series, views to plan by, pictures
of the screen, reports and segmentations. What is no slice is passed over and told.

Nothing of the patient is read: only the fields of `_FIELDS` are parsed before the voxels are.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom.fields import SEGMENTATION_CLASS, frame_count, number, required_numbers, words
from gracile.io.dicom.files import VIEWER, dicom_files, private_parsing, read_dataset
from gracile.io.dicom.stacking import Slice, stacked
from gracile.io.dicom.values import is_inverted, real_values, stored_values
from gracile.io.voxels import Voxels, require_affine, require_true_size, times

_FIELDS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "InstanceNumber",
    "ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "SpecificCharacterSet", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SpacingBetweenSlices", "SliceThickness", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
_FUNCTIONAL = {0x52009229, 0x52009230, 0x7FE00008, 0x7FE00009, 0x7FE00010}
"""Functional groups, shared and of each frame, and pixels."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SHOWN = 8
_NAMED = 3
_LETTERS = 32


class SeveralSeriesError(DataError):
    """A folder holds several series, and none is named."""


@dataclass(frozen=True)
class _Other:
    """A file that is no slice of a volume: what it is, of an image its series, and what is wrong with its header."""

    path: Path
    what: str
    series: str = ""
    fault: DataError | None = None


def read_series(path: Path, series: str = "") -> Voxels:
    """Read the series in a folder, or the one that a file belongs to.

    Axes are columns, rows and slices; slices follow the normal of rows and columns. Values are scaled slice by slice as
    their files say. Where several images share each position (echoes, times), they are a fourth axis in the order of
    their instance numbers. An enhanced file, whose frames say where they lie, is a series by itself.

    Args:
        path: A folder, also one of folders, or one file of a series.
        series: Number or UID of the series that is meant, where the folder holds several.

    Raises:
        DataError: There are several series and none is named; slices are missing, differ in size or orientation, or
            lie at uneven distances or at one position; or an image is unreadable.
    """
    slices, notes = _chosen(path, series)
    flags: list[str] = []
    stacks, step = stacked(path, slices, flags, notes)
    first = stacks[0][0]
    affine = np.eye(4)
    affine[:3, 0] = first.rows * first.spacing[0]
    affine[:3, 1] = first.columns * first.spacing[1]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    affine = _LPS_TO_RAS @ affine
    require_affine(path, affine, VIEWER)
    return Voxels(_voxels(path, stacks, notes), affine, flags=flags, notes=notes)


def ordered_slices(path: Path, series: str = "") -> list[Slice]:
    """The images of a series in the order of the volume's slices; of several at a position the first.

    Raises:
        DataError: See `read_series`.
    """
    return [stack[0] for stack in stacked(path, _chosen(path, series)[0], [], [])[0]]


def files_of_series(path: Path, series: str = "") -> list[Path]:
    """All files of a series' images, in no order.

    Raises:
        DataError: See `read_series`.
        SeveralSeriesError: There are several series and none is named.
    """
    return list(dict.fromkeys(one.path for one in _chosen(path, series)[0]))


def is_enhanced(path: Path) -> bool:
    """Whether a file is a volume by itself: its frames say where they lie."""
    try:
        return isinstance(found := _read_header(path), list) and len(found) > 1
    except DataError:
        return False


def _chosen(path: Path, wanted: str) -> tuple[list[Slice], list[str]]:
    """The slices of the one series that is meant, and notes of what else was found."""
    folder = path if path.is_dir() else path.parent
    files = dicom_files(folder, nested=path.is_dir())
    if not files:
        raise DataError(f"{path} holds no DICOM files.", "Name the folder of a series.")
    if not path.is_dir():
        own = _read_header(path)
        if isinstance(own, _Other):
            raise own.fault or DataError(
                f"{path} is {own.what}, not a slice of a volume.", "Choose a file of a series of images."
            )
        if len(own) > 1:
            return own, []
        headers = [_read_header(file) for file in files]
        _require_no_other([one for one in headers if isinstance(one, _Other)], own[0].series)
        return [one for one in _slices(headers) if one.series == own[0].series], []
    headers = [_read_header(file) for file in files]
    others = [one for one in headers if isinstance(one, _Other)]
    groups: dict[str, list[Slice]] = defaultdict(list)
    for one in _slices(headers):
        if not wanted or wanted in (one.number, one.series):
            groups[one.series].append(one)
    if not wanted and any(not one.localizer for group in groups.values() for one in group):
        views = [one for group in groups.values() for one in group if one.localizer]
        others += [_Other(one.path, "a localizer") for one in views]
        groups = {uid: kept for uid, group in groups.items() if (kept := [one for one in group if not one.localizer])}
    if not groups:
        for fault in (one.fault for one in others if one.fault):
            raise fault
        what = f"no series {wanted}" if wanted else "no images of a volume"
        raise DataError(f"{path} holds {what}{_told(others)}.", "Name the folder of a series of images.")
    if len(groups) > 1:
        raise SeveralSeriesError(
            f"{path} holds {len(groups)} series: {_listed(folder, list(groups.values()))}{_told(others)}.",
            "Name one file of the series that is meant, or its number with --set input.series=NUMBER, or the folder of "
            "each series.",
        )
    ((uid, chosen),) = groups.items()
    _require_no_other(others, uid)
    return chosen, [f"passed over in the folder: {_told(others)[2:]}"] if others else []


def _slices(headers: Sequence[list[Slice] | _Other]) -> Iterator[Slice]:
    for header in headers:
        if not isinstance(header, _Other):
            yield from header


def _require_no_other(others: Sequence[_Other], series: str) -> None:
    """Refuse a series that holds an image which is no slice: its place among the slices would be empty."""
    for one in others:
        if one.series and one.series == series:
            raise one.fault or DataError(
                f"{one.path} belongs to the series and is {one.what}.", "Take it out of the folder, or export it again."
            )


def _told(others: Sequence[_Other]) -> str:
    """``; FILE is a report`` for what is no slice."""
    parts = [f"{one.path.name} is {one.what}" for one in others[:_NAMED]]
    more = [f"and {len(others) - _NAMED} other files"] if len(others) > _NAMED else []
    return "".join(f"; {part}" for part in [*parts, *more])


def _listed(folder: Path, groups: list[list[Slice]]) -> str:
    parts = []
    for group in groups:
        first = group[0]
        name = f"number {first.number or 'unknown'}" + (f" ({first.description})" if first.description else "")
        place = first.path.relative_to(folder).as_posix()
        parts.append(f"{name} with {len(group)} images of {times(first.shape)}, such as {place}")
    return "; ".join(parts[:_SHOWN]) + (f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else "")


def _read_header(path: Path) -> list[Slice] | _Other:
    """What a file says of its images' places: a slice, one for each frame of an enhanced file, or no slice at all."""
    dataset = read_dataset(path, _FIELDS, pixels=False)
    if "Rows" not in dataset or "Columns" not in dataset:
        return _Other(path, f"no image{_class_name(dataset)}")
    if words(dataset, "SOPClassUID") == SEGMENTATION_CLASS:
        return _Other(path, "a segmentation")
    series = words(dataset, "SeriesInstanceUID")
    palette = words(dataset, "PhotometricInterpretation") == "PALETTE COLOR"
    if palette or number(path, dataset, "SamplesPerPixel", 1) != 1:
        return _Other(path, "a picture in color", series)
    frames = frames_of(path, dataset)
    if any(not one.get(name) for one in frames for name in ("ImagePositionPatient", "ImageOrientationPatient")):
        count = frame_count(path, dataset)
        what = f"a clip of {count} frames" if count > 1 else "a picture without a place in the patient"
        return _Other(path, what, series)
    if len(frames) == 1 < frame_count(path, dataset):
        return _Other(path, f"a clip of {frame_count(path, dataset)} frames", series)
    try:
        return [_slice(path, one, index) for index, one in enumerate(frames)]
    except DataError as fault:
        return _Other(path, "an image with a damaged header", series, fault)


def frames_of(path: Path, dataset: Any) -> list[Any]:
    """The header of each frame as a plain image has it: what enhanced files keep in functional groups lies in it.

    A file of a single image is its own frame. See DICOM PS3.3 C.7.6.16.
    """
    from pydicom.dataset import Dataset

    with private_parsing(path):
        shared = dataset.get("SharedFunctionalGroupsSequence") or ()
        each = dataset.get("PerFrameFunctionalGroupsSequence") or ()
        if not each:
            return [dataset]
        count = frame_count(path, dataset)
        if len(each) != count:
            raise DataError(f"{path} has {count} frames and says of {len(each)} where they lie.", VIEWER)
        plain = {tag: dataset.get_item(tag) for tag in dataset.keys() - _FUNCTIONAL}
        frames = []
        for own in each:
            frame = Dataset()
            frame.update(plain)
            for groups in (*shared, own):
                for element in groups:
                    if element.VR == "SQ" and element.value:
                        frame.update({tag: element.value[0].get_item(tag) for tag in element.value[0].keys()})  # noqa: SIM118
            frames.append(frame)
        return frames


def _class_name(dataset: Any) -> str:
    """Of which kind an object is, by the standard's name in brackets."""
    from pydicom.uid import UID

    uid = UID(words(dataset, "SOPClassUID"))
    return f" ({uid.name.removesuffix(' Storage')})" if uid.name != uid else ""


def _slice(path: Path, header: Any, frame: int) -> Slice:
    position = required_numbers(path, header, "ImagePositionPatient", 3)
    orientation = required_numbers(path, header, "ImageOrientationPatient", 6)
    between_rows, between_columns = required_numbers(path, header, "PixelSpacing", 2)
    thickness = number(path, header, "SpacingBetweenSlices", 0) or number(path, header, "SliceThickness", 0)
    columns, rows = (int(number(path, header, name, 0)) for name in ("Columns", "Rows"))
    return Slice(
        path,
        frame,
        words(header, "SOPInstanceUID"),
        words(header, "SeriesInstanceUID"),
        words(header, "SeriesNumber"),
        _description(header),
        int(number(path, header, "InstanceNumber", 0)),
        (columns, rows),
        np.array(position),
        np.array(orientation[:3]),
        np.array(orientation[3:]),
        (between_columns, between_rows),
        abs(thickness),
        "LOCALIZER" in words(header, "ImageType").upper(),
    )


def _description(header: Any) -> str:
    """What a series is called by those who scanned, such as ``t2_tse_sag``; shortened, and only what can be shown."""
    return "".join(letter for letter in words(header, "SeriesDescription") if letter.isprintable())[:_LETTERS]


def _voxels(path: Path, stacks: list[list[Slice]], notes: list[str]) -> np.ndarray:
    """``(columns, rows, slices[, volumes])`` float32."""
    shape = (*stacks[0][0].shape, len(stacks), len(stacks[0]))
    placed = [(one, index, volume) for index, stack in enumerate(stacks) for volume, one in enumerate(stack)]
    files = {one.path for one, _, _ in placed}
    require_true_size(path, shape, 1, sum(file.stat().st_size for file in files), compressed=True)
    values = np.empty(shape, np.float32)
    inverted = False
    for file, members in groupby(
        sorted(placed, key=lambda place: (place[0].path, place[0].frame)), lambda p: p[0].path
    ):
        dataset = read_dataset(file)
        frames = frames_of(file, dataset)
        inverted = is_inverted(dataset)
        for one, index, volume in members:
            stored = stored_values(file, dataset, one.frame)
            if stored.shape != one.shape[::-1]:
                raise DataError(f"{file} holds pixels of shape {stored.shape}, not {one.shape[::-1]}.", VIEWER)
            values[:, :, index, volume] = real_values(file, frames[one.frame], stored).T
    empty = np.isnan(values)
    if empty.any() and not empty.all():
        values[empty] = np.nanmax(values) if inverted else np.nanmin(values)
        notes.append("voxels outside of the picture (Pixel Padding Value) were given its darkest value")
    if inverted:
        values = values.min() + values.max() - values
        notes.append("the images store white as low (MONOCHROME1): values were turned over")
    return values[..., 0] if shape[3] == 1 else values
