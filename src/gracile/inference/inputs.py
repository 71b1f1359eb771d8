"""Which files are predicted, under which names, and which part of them is this job's."""

import glob
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from gracile.errors import DataError, UsageError
from gracile.io.naming import IMAGE_SUFFIXES, image_files, stem


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
        if not (slash and number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
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
        DataError: Nothing matches, or a file is of no known format.
    """
    paths: dict[Path, None] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            paths.setdefault(path)
    ordered = list(paths)
    return [Input(path, name) for path, name in zip(ordered, _names(ordered), strict=True)]


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        found = image_files(path)
        if not found:
            raise DataError(f"{path} holds no pictures.", f"Readable are: {', '.join(IMAGE_SUFFIXES)}.")
        return found
    if path.exists():
        return [path]
    found = sorted(Path(match) for match in glob.glob(pattern, recursive=True))
    found = [match for match in found if match.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise DataError(f"There is no file {pattern!r}.", "Name a file, a folder of pictures or a quoted pattern.")
    return found


def _names(paths: list[Path]) -> list[str]:
    names = [stem(path) for path in paths]
    parents = [list(path.absolute().parent.parts) for path in paths]
    groups: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        groups[name].append(index)
    for name, members in groups.items():
        if len(members) == 1:
            continue
        depth = 1
        while depth < max(len(parents[m]) for m in members):
            fronts = [parents[m][-depth] if depth <= len(parents[m]) else "" for m in members]
            if len(set(fronts)) == len(fronts):
                break
            depth += 1
        for index, member in enumerate(members):
            front = parents[member][-depth] if depth <= len(parents[member]) else str(index + 1)
            names[member] = f"{front}_{name}"
    if len(set(names)) < len(names):
        # Same folder and stem, as a.png beside a.jpg: the suffix tells them apart.
        names = [f"{n}_{p.suffix.lstrip('.').lower()}" if names.count(n) > 1 else n for n, p in zip(names, paths, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{n}_{i + 1}" if names.count(n) > 1 else n for i, n in enumerate(names)]
    return names
