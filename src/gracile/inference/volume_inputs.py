"""Which volumes are meant by what was asked for: files, folders of files, DICOM series and patterns."""

import glob
from collections import defaultdict
from pathlib import Path

from gracile.errors import DataError
from gracile.io.dicom import dicom_files, is_dicom
from gracile.io.dicom.series import is_enhanced
from gracile.io.label_names import ranked_labels
from gracile.io.naming import VOLUME_SUFFIXES, image_files, is_volume_file


def matching_volumes(pattern: str) -> list[Path]:
    """The volumes that a file, a folder or a pattern stands for, without the labels of others among them.

    Raises:
        DataError: There is none, or a folder holds both files and a DICOM series.
    """
    path = Path(pattern)
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return [path]
    matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns may be absolute
    files = [match for match in matches if match.is_file() and is_volume_file(match)]
    series = [match for match in matches if match not in files and _is_series(match)]
    if not files and not series:
        if matches:
            raise DataError(f"{pattern!r} means no volumes, and this recipe takes volumes.", "Choose other files.")
        raise DataError(f"There is no file {pattern!r}.", "Name a file, a folder of volumes or a quoted pattern.")
    return sorted([*_without_labels(files), *series])


def whole_series(paths: list[Path]) -> list[Path]:
    """The same inputs, the folder of a series in the place of several of its files; enhanced ones are whole."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        if path.is_file() and not is_volume_file(path) and is_dicom(path) and not is_enhanced(path):
            by_folder[path.parent].append(path)
    merged = {path: folder for folder, slices in by_folder.items() if len(slices) > 1 for path in slices}
    return list(dict.fromkeys(merged.get(path, path) for path in paths))


def _in_folder(folder: Path) -> list[Path]:
    files, series = image_files(folder, VOLUME_SUFFIXES), dicom_files(folder)
    if files and series:
        raise DataError(
            f"{folder} holds volumes such as {files[0].name} and a DICOM series.",
            "Name the files that are meant, or one file of the series.",
        )
    if series:
        return [folder]
    if not files:
        inside = [one.name for one in sorted(folder.iterdir()) if one.is_dir() and image_files(one, VOLUME_SUFFIXES)]
        if not inside and dicom_files(folder, nested=True):
            return [folder]
        hint = f"It has {inside[0]}/: name that, or '{folder}/*/*'." if inside else ""
        others = f"Readable are DICOM series and {', '.join(VOLUME_SUFFIXES)}."
        raise DataError(f"{folder} holds no volumes, which this recipe takes.", hint or others)
    return _without_labels(files)


def _without_labels(files: list[Path]) -> list[Path]:
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        by_folder[file.parent].append(file)
    images = {image for some in by_folder.values() for image in ranked_labels(some, some)}
    return [file for file in files if file in images]


def _is_series(path: Path) -> bool:
    return bool(dicom_files(path, nested=True)) if path.is_dir() else is_dicom(path)
