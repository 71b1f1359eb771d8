"""Which files belong together, told by their names."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

from gracile.errors import DataError

IMAGE_SUFFIXES = (
    ".png",
    ".tif",
    ".tiff",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".gif",
    ".bmp",
    ".webp",
    ".jp2",
    ".pgm",
    ".ppm",
    ".pbm",
    ".pnm",
    ".dcm",
)
VIDEO_SUFFIXES = (
    ".mp4",
    ".avi",
    ".mov",
    ".m4v",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".mts",
    ".m2ts",
    ".ts",
    ".flv",
    ".3gp",
    ".ogv",
    ".vob",
)
VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_DOUBLE_SUFFIXES = (".nii.gz", ".ome.tif", ".ome.tiff", ".seg.nrrd", ".seg.dcm", ".mrk.json", ".tar.gz")
_ROLE = re.compile(
    r"_(mask|masks|fov|avmanual|manual\d*|(label-[a-z0-9]+_)?d?seg(-[a-z0-9]+)?|label|labels|gt|av|0000)$",
    re.IGNORECASE,
)
_PART = re.compile(r"_(training|train|test|validation|val)$", re.IGNORECASE)
REGION_FOLDERS = ("fov", "mask")
"""Names of folders of fields of view."""

_FORBIDDEN = re.compile(r"[^\w.+-]|^\.+")
"""What no file or folder is named with, of a thing's name."""


def stem(path: Path | str) -> str:
    """The name without its suffix, double ones such as ``.nii.gz`` included; a folder keeps its whole name.

    Letters are composed (NFC), as macOS takes them apart: one name is one name wherever it was written.

    Example:
        >>> stem("scans/t2.nii.gz")
        't2'
    """
    name = unicodedata.normalize("NFC", Path(path).name)
    for suffix in _DOUBLE_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name if os.path.isdir(path) else Path(name).stem  # noqa: PTH112  no error for a name that no disk has


def natural_order(path: Path | str) -> tuple[tuple[int, str], ...]:
    """A key by which names are sorted as people count: ``frame2.png`` before ``frame10.png``."""
    parts = re.findall(r"\d+|\D+", unicodedata.normalize("NFC", Path(path).name))
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
_NNUNET_FOLDER = re.compile(r"images(tr|ts|val)", re.IGNORECASE)


def channel_of(path: Path | str) -> tuple[str, int] | None:
    """The case and the channel of a file by nnU-Net's names, ``CASE_0000``; None for another name.

    Example:
        >>> channel_of("imagesTr/case_0001.nii.gz")
        ('case', 1)
    """
    match = _CHANNEL.match(stem(path))
    return (match["case"], int(match["channel"])) if match else None


def in_nnunet_folder(path: Path) -> bool:
    """Whether a file lies in a folder of nnU-Net's images, where its name's last number is a channel, not a frame."""
    folder = path.absolute().parent
    return bool(_NNUNET_FOLDER.fullmatch(folder.name)) or (folder.parent / "dataset.json").is_file()


def first_channels(paths: Sequence[Path]) -> list[Path]:
    """The files without nnU-Net's further channels of cases whose first one is among them."""
    cases = {(path.parent, channel[0]) for path in paths if (channel := channel_of(path)) and channel[1] == 0}
    return [
        path
        for path in paths
        if not ((channel := channel_of(path)) and channel[1] and (path.parent, channel[0]) in cases
                and in_nnunet_folder(path))
    ]  # fmt: skip


def is_volume_file(path: Path | str) -> bool:
    """Whether a file is a volume by its name; DICOM files may be pictures or parts of a volume."""
    return Path(path).name.lower().endswith(VOLUME_SUFFIXES)


def case_key(path: Path | str) -> str:
    """The stem without the suffix that says which role the file plays: label, field of view, nnU-Net channel 0.

    Example:
        >>> [case_key(name) for name in ("05_g.jpg", "05_g_AVmanual.png", "05_g_mask.tif", "21_training_mask.gif")]
        ['05_g', '05_g', '05_g', '21_training']
    """
    name = stem(path)
    return _ROLE.sub("", name) or name


def subject_key(path: Path | str) -> str:
    """The case key without ``_training``, ``_test`` and the like: ``21_training.tif`` and ``21_manual1.gif`` meet."""
    key = case_key(path)
    return _PART.sub("", key) or key


_NUMBERED = re.compile(r"^(?P<subject>\d+)_\d+$")


def numbered_subjects(names: Sequence[str]) -> dict[str, str]:
    """The subject of each case by its name: the first of two numbers where all names are of that kind, else the name.

    Example:
        >>> numbered_subjects(["1_1", "1_2", "2_1"])
        {'1_1': '1', '1_2': '1', '2_1': '2'}
    """
    matches = {name: _NUMBERED.match(name) for name in names}
    return {name: match["subject"] if match and all(matches.values()) else name for name, match in matches.items()}


def pair_files(images: Iterable[Path], others: Iterable[Path]) -> dict[Path, Path | None]:
    """Find for each image the one other file (label, field of view, prediction) that belongs to it.

    Three attempts, each only for what the one before left over: equal stems; equal `case_key`; equal `subject_key`.

    Args:
        images: Image files.
        others: Files of one role, e.g. all labels.

    Returns:
        For each image, in the order given, its file or None.

    Raises:
        DataError: Within one attempt two files could belong to one image, or one file to two images.
    """
    pairs: dict[Path, Path | None] = {Path(image): None for image in images}
    left = [Path(other) for other in others]
    attempts: tuple[Callable[[Path], str], ...] = (stem, case_key, subject_key)
    for key in attempts:
        waiting = _by_key((image for image, other in pairs.items() if other is None), key)
        offered = _by_key(left, key)
        for name in waiting.keys() & offered.keys():
            if len(waiting[name]) > 1 or len(offered[name]) > 1:
                raise DataError(
                    f"It is not clear which files belong together under the name {name!r}: "
                    f"{_names(waiting[name])} and {_names(offered[name])}.",
                    "Keep one image and one file of each role per case, or give a CSV of paths.",
                )
            pairs[waiting[name][0]] = offered[name][0]
        taken = set(pairs.values())
        left = [other for other in left if other not in taken]
    return pairs


def telling_folders(paths: Sequence[Path]) -> list[str]:
    """For files that share a stem, the folder that tells each from the others: the last one in which all differ.

    Where no single folder does, all the differing ones joined; empty for files of one folder.

    Example:
        >>> telling_folders([Path("/scans/errsm_11/t2.nii.gz"), Path("/scans/errsm_12/t2.nii.gz")])
        ['errsm_11', 'errsm_12']
    """
    parents = [path.absolute().parent.parts[::-1] for path in paths]
    depths = range(max(len(parts) for parts in parents))
    levels = [[parts[depth] if depth < len(parts) else "" for parts in parents] for depth in depths]
    for level in levels:
        if len(set(level)) == len(level):
            return [name.strip("/\\:") for name in level]
    differing = [level for level in reversed(levels) if len(set(level)) > 1]
    return ["-".join(name for name in names if name) for names in zip(*differing, strict=True)] or [""] * len(paths)


def _by_key(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)


def image_files(folder: Path | str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """The files of some suffixes right in a folder, in the order of their names; hidden files are left out.

    Raises:
        DataError: The folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.", "Check the name.")
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(suffixes) and not path.name.startswith(".") and path.is_file()
    )


def file_names(names: Sequence[str]) -> dict[str, str]:
    """What the file or folder of each thing, such as a landmark, is called: its name, with ``_`` for what may not be.

    Of names that would become one, also where capitals make no difference, the later get ``-2`` and so on.

    Example:
        >>> file_names(["apex", "deep/turn", "deep turn"])
        {'apex': 'apex', 'deep/turn': 'deep_turn', 'deep turn': 'deep_turn-2'}
    """
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = _FORBIDDEN.sub("_", name)
        tries = (f"{plain}-{number}" if number > 1 else plain for number in count(1))
        made[name] = next(each for each in tries if each.casefold() not in taken)
        taken.add(made[name].casefold())
    return made
