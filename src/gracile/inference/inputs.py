"""Which files are predicted, under which names, and which part of them is this job's."""

import glob
import logging
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gracile.data.csv_paths import images_of_csv
from gracile.errors import DataError, UsageError
from gracile.inference.input_names import input_names
from gracile.inference.volume_inputs import matching_volumes, whole_series
from gracile.io.channels import by_case
from gracile.io.dicom import DICOM_SUFFIXES, is_dicom
from gracile.io.dicom.clips import is_clip
from gracile.io.dicom.pictures import has_pixels
from gracile.io.kinds import group_by_content
from gracile.io.naming import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    VOLUME_SUFFIXES,
    channel_of,
    first_channels,
    image_files,
    is_volume_file,
    stem,
)
from gracile.recipe import InputSpec

FRAMES = "frames:"
"""In front of a folder: its pictures are the frames of one video."""

Kind = Literal["picture", "volume", "video", "camera"]

_CAMERA = re.compile(r"camera:\d+")
_SUFFIXES = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
_PICTURES = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in DICOM_SUFFIXES)
"""Of these names alone a file is taken for a picture, without a look into it: folders may hold a great many."""

_TEXTS = (".json", ".csv", ".tsv", ".txt", ".md", ".yaml", ".yml", ".html", ".xml", ".log")
"""What lies beside pictures and is none."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Input:
    """One file to predict and the name that its outputs bear.

    A ``video`` is a clip or a folder of frames; the path of a ``camera`` is ``camera:0``, as it was asked for. A
    ``volume`` is a file, or a folder with a DICOM series or a file of it. The ``key`` tells it from all others of a run
    folder, see `gracile.inference.input_names.input_key`; empty outside of one. ``channels`` are the files of a
    picture's or a volume's further channels, in the recipe's order; a missing one stands where it would lie.
    """

    path: Path
    name: str
    kind: Kind = "picture"
    key: str = ""
    channels: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path | None:
        """The folder that its files lie in; None for a camera."""
        if self.kind == "camera":
            return None
        return self.path if self.path.is_dir() else self.path.parent


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count`` of the inputs, both counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``2/8``. Raises UsageError."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise UsageError(f"{text!r} is no shard.", "Write it as 2/8: the second of eight parts.")
        return cls(int(number), int(count))

    @property
    def label(self) -> str:
        """``2of8``, as files of this part bear it in their names."""
        return f"{self.number}of{self.count}"

    def part(self, inputs: list[Input]) -> list[Input]:
        """Every ``count``-th input, so that parts are alike in size."""
        return inputs[self.number - 1 :: self.count]


def find_inputs(patterns: list[str], takes: Literal["image", "volume"] | InputSpec = "image") -> list[Input]:
    """Files, folders and globs to a list of inputs with names of their own.

    A folder stands for the pictures and videos right in it, ``frames:FOLDER`` for one video of its pictures, and
    ``camera:0`` for a camera; for recipes of volumes a folder stands for the volumes right in it or is a DICOM series.
    Where two inputs share a stem, the last parent folder in which they differ goes in front. For recipes of several
    channels files ``CASE_0000`` and ``CASE_0001`` are one input, and a CSV names the files of many.

    Args:
        patterns: What was asked for.
        takes: What the recipe takes: its ``input``, or only the kind of it.

    Raises:
        DataError: Nothing matches, or two inputs cannot be told apart by name.
        UsageError: Nothing is asked for.
    """
    if not patterns:
        raise UsageError("Nothing is named to look at.", "Name files, folders or quoted patterns.")
    wanted = takes if isinstance(takes, InputSpec) else InputSpec(kind=takes)
    paths: dict[str, Path] = {}
    listed: list[Input] = []
    for pattern in patterns:
        if wanted.separate and pattern.lower().endswith(".csv"):
            listed += _in_table(Path(pattern), wanted)
            continue
        for path in _channels_left_out(
            _matches(pattern) if wanted.kind == "image" else matching_volumes(pattern), wanted
        ):
            paths.setdefault(os.path.abspath(path), path)  # noqa: PTH100  a link is not followed
    ordered = list(paths.values()) if wanted.kind == "image" else whole_series(list(paths.values()))
    found = [*_cases(ordered, wanted), *listed]
    named = {one.path: one.name for one in found if one.name}
    names = input_names([one.path for one in found], named)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"Several inputs would be named {repeated[0]!r}.", "Predict them into different folders.")
    return [replace(one, name=name) for one, name in zip(found, names, strict=True)]


def _cases(paths: list[Path], wanted: InputSpec) -> list[Input]:
    """Files as inputs, those of one case together; its name is told where that is not its file's."""
    found = []
    for files in by_case(paths, wanted):
        first, *others = files.paths
        kind: Kind = "volume" if wanted.kind == "volume" else "picture" if others else _kind(first)
        if kind in ("video", "camera") and wanted.separate:
            raise DataError(
                f"{first} is a video, and this recipe takes pictures of {wanted.channels} channels.", "Name pictures."
            )
        numbered = wanted.joins_files and channel_of(first) and files.name != stem(first)
        found.append(Input(first, files.name if numbered else "", kind, channels=tuple(others)))
    return found


def _in_table(path: Path, wanted: InputSpec) -> list[Input]:
    """The cases that a CSV lists. Raises DataError."""
    listing = images_of_csv(path, wanted)
    if listing is None:
        raise DataError(f"There is no file {path}.", "Name a CSV with the columns image_NAME, one for each channel.")
    if listing.faults:
        raise listing.faults[0]
    kind: Kind = "volume" if wanted.kind == "volume" else "picture"
    return [Input(case.image, case.id, kind, channels=case.channels) for case in listing.cases]


def _channels_left_out(paths: list[Path], wanted: InputSpec) -> list[Path]:
    """The inputs without further channels of nnU-Net's cases where only the first is read; that is said."""
    if wanted.joins_files:
        return paths
    kept = first_channels(paths)
    if len(kept) < len(paths):
        log.warning("%d files were left out: only the first channel of each case is read", len(paths) - len(kept))
    return kept


def _kind(path: Path) -> Kind:
    if _CAMERA.fullmatch(str(path)):
        return "camera"
    if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES:
        return "video"
    if path.suffix.lower() in _PICTURES:
        return "picture"
    return "video" if is_clip(path) or group_by_content(path) == "video" else "picture"


def _in_folder(folder: Path) -> list[Path]:
    """The pictures and videos right in a folder, by name or content; how many files were left out is said."""
    found: list[Path] = []
    left: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            (found if _is_seen(path) else left).append(path)
    left = [path for path in left if path.suffix.lower() not in _TEXTS]
    if found and left:
        log.warning("%s: left out %d files that are no pictures or videos, such as %s", folder, len(left), left[0].name)
    return found


def _is_seen(path: Path) -> bool:
    named = path.suffix.lower()
    if named in (*_PICTURES, *VIDEO_SUFFIXES):
        return True
    if named in _TEXTS or is_volume_file(path):
        return False
    if is_dicom(path):
        return path.name.upper() != "DICOMDIR" and has_pixels(path)
    return group_by_content(path) in ("picture", "video")


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if _CAMERA.fullmatch(pattern):
        return [path]
    if pattern.startswith(FRAMES):
        folder = Path(pattern.removeprefix(FRAMES))
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder.", "Write frames:FOLDER, for the pictures of one video.")
        return [folder]
    if path.is_dir():
        found = _in_folder(path)
        if not found:
            inside = [part.name for part in sorted(path.iterdir()) if part.is_dir() and image_files(part, _SUFFIXES)]
            hint = f"It has {inside[0]}/: name that, or '{path}/*/*'." if inside else ""
            if image_files(path, VOLUME_SUFFIXES):
                hint = "It holds volumes: choose a recipe for volumes."
            raise DataError(f"{path} holds no pictures or videos.", hint or f"Readable are: {', '.join(_SUFFIXES)}.")
        # Kaggle's folders hold each mask beside its picture.
        masks = {f"{stem(one)}_mask" for one in found}
        return [one for one in found if stem(one) not in masks]
    if path.exists():
        return [path]
    found = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns may be absolute
    volumes = [match for match in found if is_volume_file(match)]
    found = [match for match in found if match.suffix.lower() in _SUFFIXES]
    if volumes and not found:
        raise DataError(f"{pattern!r} means volumes, and this recipe takes pictures.", "Choose a recipe for volumes.")
    if not found:
        raise DataError(f"There is no file {pattern!r}.", "Name a file, a folder of pictures or a quoted pattern.")
    return found
