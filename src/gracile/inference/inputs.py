"""Which files are predicted, under which names, and which part of them is this job's."""

import glob
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from gracile.errors import DataError, UsageError
from gracile.io.naming import IMAGE_SUFFIXES, image_files, stem, telling_folders


@dataclass(frozen=True)
class Input:
    """One file to predict and the name that its outputs bear."""

    path: Path
    name: str


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

    A folder stands for the pictures right in it. Where two inputs share a stem, the last parent folder in which they
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
    return [Input(path, name) for path, name in zip(ordered, names, strict=True)]


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        found = image_files(path)
        if not found:
            raise DataError(f"{path} holds no pictures.", f"Readable are: {', '.join(IMAGE_SUFFIXES)}.")
        return found
    if path.exists():
        return [path]
    found = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns may be absolute
    found = [match for match in found if match.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise DataError(f"There is no file {pattern!r}.", "Name a file, a folder of pictures or a quoted pattern.")
    return found


def _names(paths: list[Path]) -> list[str]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[stem(path)].append(path)
    names = {}
    for name, members in groups.items():
        fronts = telling_folders(members) if len(members) > 1 else [""]
        names.update({p: f"{front}-{name}" if front else name for p, front in zip(members, fronts, strict=True)})
    # Same folder and stem, as a.png beside a.jpg: the suffix tells them apart.
    counts = Counter(names.values())
    return [f"{names[p]}-{p.suffix.lstrip('.').lower()}" if counts[names[p]] > 1 else names[p] for p in paths]
