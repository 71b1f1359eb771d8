"""Which files are predicted, under which names, and which part of them is this job's."""

import glob
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gracile.errors import DataError, UsageError
from gracile.io.naming import IMAGE_SUFFIXES, VIDEO_SUFFIXES, image_files, stem, telling_folders

FRAMES = "frames:"
"""In front of a folder: its pictures are the frames of one video."""

_CAMERA = re.compile(r"camera:\d+")
_SUFFIXES = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)


@dataclass(frozen=True)
class Input:
    """One file to predict and the name that its outputs bear.

    A ``video`` is a clip or a folder of frames; the path of a ``camera`` is ``camera:0``, as it was asked for.
    """

    path: Path
    name: str
    kind: Literal["picture", "video", "camera"] = "picture"

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

    def part(self, inputs: list[Input]) -> list[Input]:
        """Every ``count``-th input, so that parts are alike in size."""
        return inputs[self.number - 1 :: self.count]


def find_inputs(patterns: list[str]) -> list[Input]:
    """Files, folders and globs to a list of inputs with names of their own.

    A folder stands for the pictures and videos right in it, ``frames:FOLDER`` for one video of its pictures, and
    ``camera:0`` for a camera. Where two inputs share a stem, the last parent folder in which they
    differ goes in front.

    Raises:
        DataError: Nothing matches, or two inputs cannot be told apart by name.
    """
    paths: dict[Path, None] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            paths.setdefault(path)
    ordered = list(paths)
    names = _names(ordered)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"Several inputs would be named {repeated[0]!r}.", "Predict them into different folders.")
    return [Input(path, name, _kind(path)) for path, name in zip(ordered, names, strict=True)]


def _kind(path: Path) -> Literal["picture", "video", "camera"]:
    if _CAMERA.fullmatch(str(path)):
        return "camera"
    return "video" if path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir() else "picture"


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
        found = image_files(path, _SUFFIXES)
        if not found:
            inside = [part.name for part in sorted(path.iterdir()) if part.is_dir() and image_files(part, _SUFFIXES)]
            hint = f"It has {inside[0]}/: name that, or '{path}/*/*'." if inside else ""
            raise DataError(f"{path} holds no pictures or videos.", hint or f"Readable are: {', '.join(_SUFFIXES)}.")
        # Kaggle's folders hold each mask beside its picture.
        masks = {f"{stem(one)}_mask" for one in found}
        return [one for one in found if stem(one) not in masks]
    if path.exists():
        return [path]
    found = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns may be absolute
    found = [match for match in found if match.suffix.lower() in _SUFFIXES]
    if not found:
        raise DataError(f"There is no file {pattern!r}.", "Name a file, a folder of pictures or a quoted pattern.")
    return found


def _names(paths: list[Path]) -> list[str]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[stem(path).replace(":", "-")].append(path)
    names = {}
    for name, members in groups.items():
        fronts = telling_folders(members) if len(members) > 1 else [""]
        names.update({p: f"{front}-{name}" if front else name for p, front in zip(members, fronts, strict=True)})
    # Same folder and stem, as a.png beside a.jpg: the suffix tells them apart.
    counts = Counter(names.values())
    return [f"{names[p]}-{p.suffix.lstrip('.').lower()}" if counts[names[p]] > 1 else names[p] for p in paths]
