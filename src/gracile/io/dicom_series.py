"""Read a DICOM series as a volume: which files make one, how its slices follow each other, and what they hold.

Nothing of the patient is read: only the tags of `_TAGS` are parsed before the voxels are, errors of pydicom, which may
quote a file's values, are told by their kind alone, and its warnings are silenced.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom import is_dicom
from gracile.io.voxels import COPY_AGAIN, Voxels, require_affine, require_true_size, times

_TAGS = [
    "SeriesInstanceUID", "SeriesNumber", "InstanceNumber", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices", "SliceThickness",
]  # fmt: skip
_VIEWER = "Open it in a DICOM viewer; if it does not show there either, export it again."
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SHOWN = 8

SAME_POSITION_MM = 1e-3
UNEVEN_NOTED, UNEVEN_REFUSED = 0.01, 0.05
"""Shares of the slice distance by which gaps may differ before it is noted, and before the series is refused."""


class SeveralSeriesError(DataError):
    """A folder holds several series, and none is named."""


@dataclass(frozen=True)
class _Slice:
    """What the header of one file says.

    Args:
        path: The file.
        series: Its series' UID.
        number: The series' number, as people know it.
        instance: The number of the image in its series.
        shape: (columns, rows).
        position: Of the first voxel, ``(3,)`` LPS mm.
        rows, columns: ``(3,)`` directions in which a row and a column run.
        spacing: (between columns, between rows) in mm.
        thickness: Distance to the next slice by the header's word, or 0.
    """

    path: Path
    series: str
    number: str
    instance: int
    shape: tuple[int, int]
    position: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    spacing: tuple[float, float]
    thickness: float

    @property
    def normal(self) -> np.ndarray:
        """The direction in which slices follow each other."""
        return np.cross(self.rows, self.columns)


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files right in a folder, in the order of their names; hidden files and DICOMDIR are left out."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".") and path.name.upper() != "DICOMDIR" and is_dicom(path)
    )


def read_series(path: Path, series: str = "") -> Voxels:
    """Read the series in a folder, or the one that a file belongs to.

    Axes are columns, rows and slices; slices follow the normal of rows and columns. Rescale slope and intercept are
    applied to each slice. Where several images share each position (echoes, times), they are a fourth axis in the
    order of their instance numbers.

    Args:
        path: A folder or one file of a series.
        series: Number or UID of the series that is meant, where the folder holds several.

    Raises:
        DataError: There are several series and none is named; slices are missing, differ in size or orientation, or
            lie at uneven distances; an image is unreadable, in color, multi-frame, or has no place in the patient.
    """
    slices = _chosen(path, series)
    flags: list[str] = []
    notes: list[str] = []
    stacks, step = _stacked(path, slices, flags, notes)
    first = stacks[0][0]
    shape = (*first.shape, len(stacks), len(stacks[0]))
    require_true_size(path, shape, 1, sum(one.path.stat().st_size for one in slices), compressed=True)
    values = np.empty(shape, np.float32)
    for index, stack in enumerate(stacks):
        for volume, one in enumerate(stack):
            values[:, :, index, volume] = _pixels(one)
    if shape[3] == 1:
        values = values[..., 0]
    affine = np.eye(4)
    affine[:3, 0] = first.rows * first.spacing[0]
    affine[:3, 1] = first.columns * first.spacing[1]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    affine = _LPS_TO_RAS @ affine
    require_affine(path, affine, _VIEWER)
    return Voxels(values, affine, flags=flags, notes=notes)


def series_files(path: Path, series: str = "") -> list[Path]:
    """The files of a series in the order of the volume's slices; of several images at a position the first.

    Raises:
        DataError: See `read_series`.
    """
    return [stack[0].path for stack in _stacked(path, _chosen(path, series), [], [])[0]]


def files_of_series(path: Path, series: str = "") -> list[Path]:
    """All files of a series' images, in no order.

    Raises:
        DataError: See `read_series`.
        SeveralSeriesError: There are several series and none is named.
    """
    return [one.path for one in _chosen(path, series)]


def _chosen(path: Path, wanted: str) -> list[_Slice]:
    """The slices of the one series that is meant."""
    folder = path if path.is_dir() else path.parent
    files = dicom_files(folder)
    if not files:
        raise DataError(f"{path} holds no DICOM files.", "Name the folder of a series.")
    if not path.is_dir():
        own = _read_header(path)
        if own is None:
            raise DataError(f"{path} holds no image.", "Choose a file of the series' images.")
        return [one for one in map(_read_header, files) if one is not None and one.series == own.series]
    groups: dict[str, list[_Slice]] = defaultdict(list)
    for one in map(_read_header, files):
        if one is not None and (not wanted or wanted in (one.number, one.series)):
            groups[one.series].append(one)
    if not groups:
        what = f"no series {wanted}" if wanted else "no images"
        raise DataError(f"{path} holds {what}.", "Name the folder of a series of images.")
    if len(groups) > 1:
        raise SeveralSeriesError(
            f"{path} holds {len(groups)} series: {_listed(list(groups.values()))}.",
            "Name one file of the series that is meant, or its number with --set input.series=NUMBER, or give each "
            "series a folder of its own.",
        )
    return next(iter(groups.values()))


def _listed(groups: list[list[_Slice]]) -> str:
    parts = [
        f"number {group[0].number or 'unknown'} with {len(group)} images of {times(group[0].shape)}, such as "
        f"{group[0].path.name}"
        for group in groups
    ]
    return "; ".join(parts[:_SHOWN]) + (f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else "")


@contextmanager
def private_parsing(path: Path) -> Iterator[None]:
    """Run what parses a file's values so that none of them shows in a warning or an error."""
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except InvalidDicomError:
        raise DataError(f"{path} is no DICOM file.", _VIEWER) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or 'it is damaged'}.", COPY_AGAIN) from None
    except Exception as error:
        raise DataError(f"{path} cannot be read as DICOM ({type(error).__name__}).", _VIEWER) from None


def _read_header(path: Path) -> _Slice | None:
    """What a file says of its image's place; None for a file without an image, such as a report."""
    from pydicom import dcmread

    with private_parsing(path):
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        if "Rows" not in dataset or "Columns" not in dataset:
            return None
        if int(dataset.get("NumberOfFrames") or 1) > 1:
            raise DataError(
                f"{path} holds several frames (enhanced DICOM, or a clip).", "Convert it to NIfTI, as dcm2niix does."
            )
        if int(dataset.get("SamplesPerPixel") or 1) != 1:
            raise DataError(f"{path} holds colors, not one gray value per voxel.", "Choose a gray series.")
        if any(dataset.get(name) is None for name in ("ImagePositionPatient", "ImageOrientationPatient")):
            raise DataError(
                f"{path} does not say where it lies in the patient.", "Choose the original series, no screenshot."
            )
        orientation = np.array([float(v) for v in dataset.ImageOrientationPatient])
        between_rows, between_columns = (float(v) for v in dataset.get("PixelSpacing") or (0, 0))
        return _Slice(
            path,
            str(dataset.get("SeriesInstanceUID", "")),
            str(dataset.get("SeriesNumber", "") or ""),
            int(dataset.get("InstanceNumber") or 0),
            (int(dataset.Columns), int(dataset.Rows)),
            np.array([float(v) for v in dataset.ImagePositionPatient]),
            orientation[:3],
            orientation[3:],
            (between_columns, between_rows),
            abs(float(dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness") or 0)),
        )


def _stacked(
    path: Path, slices: list[_Slice], flags: list[str], notes: list[str]
) -> tuple[list[list[_Slice]], np.ndarray]:
    """The slices by position along the normal, and the step from one position to the next in LPS mm."""
    first = slices[0]
    for what, same in (
        ("sizes", all(one.shape == first.shape for one in slices)),
        ("orientations", all(_alike(one.rows, first.rows) and _alike(one.columns, first.columns) for one in slices)),
        ("pixel sizes", all(np.allclose(one.spacing, first.spacing, rtol=1e-3) for one in slices)),
    ):
        if not same:
            raise DataError(
                f"The images in {path} have different {what}: they are no single volume.",
                "Give the images of each volume a folder of their own.",
            )
    ordered = sorted(slices, key=lambda one: (float(one.position @ first.normal), one.instance, one.path.name))
    stacks: list[list[_Slice]] = []
    for one in ordered:
        if stacks and float((one.position - stacks[-1][0].position) @ first.normal) < SAME_POSITION_MM:
            stacks[-1].append(one)
        else:
            stacks.append([one])
    stacks = [sorted(stack, key=lambda one: (one.instance, one.path.name)) for stack in stacks]
    counts = Counter(len(stack) for stack in stacks)
    if len(counts) > 1:
        most = counts.most_common(1)[0][0]
        odd = sum(len(stack) != most for stack in stacks)
        raise DataError(
            f"{path} has {most} images at most positions and another number at {odd} of {len(stacks)}: "
            "some are missing or double.",
            "Export the series again, or remove the double files.",
        )
    return stacks, _step(path, [stack[0] for stack in stacks], flags, notes)


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, atol=1e-3))


def _step(path: Path, slices: Sequence[_Slice], flags: list[str], notes: list[str]) -> np.ndarray:
    """From one slice to the next in LPS mm; refuses gaps."""
    first, normal = slices[0], slices[0].normal
    if len(slices) == 1:
        if not first.thickness:
            flags.append("a single slice of unknown thickness: taken as 1 mm")
        return normal * (first.thickness or 1.0)
    positions = np.stack([one.position for one in slices])
    gaps = np.diff(positions @ normal)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # of two in the middle the smaller: a gap is no distance
    uneven = float(np.abs(gaps - usual).max() / usual)
    if uneven > UNEVEN_REFUSED:
        widest = int(gaps.argmax())
        skipped = round(float(gaps[widest] / usual)) - 1
        between = f"between {slices[widest].path.name} and {slices[widest + 1].path.name}"
        if skipped >= 1 and np.abs(gaps / usual - np.rint(gaps / usual)).max() <= 2 * UNEVEN_REFUSED:
            missing = int(np.rint(gaps / usual).sum()) - len(gaps)
            raise DataError(
                f"{path} lacks {missing} of {missing + len(slices)} slices, the first of them {between}.",
                "Export the series again, with all its images.",
            )
        raise DataError(
            f"The slices in {path} lie {gaps.min():.3g} to {gaps.max():.3g} mm apart, the farthest {between}.",
            "Export the series with even slices, or resample it.",
        )
    if uneven > UNEVEN_NOTED:
        flags.append(f"slices lie {gaps.min():.4g} to {gaps.max():.4g} mm apart; taken as even")
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    strays = positions - (positions[0] + np.arange(len(slices))[:, None] * step)
    along = strays @ normal
    aside = np.linalg.norm(strays - along[:, None] * normal, axis=1)
    if aside.max() > 0.1 * min(first.spacing) or np.abs(along).max() > 0.25 * usual:
        raise DataError(f"The slices in {path} do not lie on one line.", "Export the series again, or resample it.")
    tilt = np.degrees(np.arccos(min(1.0, float(step @ normal) / float(np.linalg.norm(step)))))
    if tilt > 0.5:
        notes.append(f"slices are shifted against each other (gantry tilt of {tilt:.1f} degrees)")
    return step


def _pixels(one: _Slice) -> np.ndarray:
    """``(columns, rows)`` values of a slice, rescaled."""
    from pydicom import dcmread
    from pydicom.pixels import apply_modality_lut, pixel_array

    with private_parsing(one.path):
        dataset = dcmread(one.path)
        if "PixelData" not in dataset:
            raise DataError(f"{one.path} holds no pixels.", COPY_AGAIN)
        values = apply_modality_lut(pixel_array(dataset), dataset)
        if values.shape != one.shape[::-1]:
            raise DataError(f"{one.path} holds an array of shape {values.shape}.", _VIEWER)
        return values.T.astype(np.float32)
