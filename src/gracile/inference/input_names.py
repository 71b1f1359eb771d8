"""The names that inputs bear in a run folder: their own, or with the folders in front that tell them apart."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from uuid import uuid4

from gracile.io.dicom import DICOM_SUFFIXES, is_dicom
from gracile.io.naming import channel_of, in_nnunet_folder, is_volume_file, stem, telling_folders

_RESERVED = re.compile(r"(cases|measurements|predictions)(\.\d+of\d+)?|report", re.IGNORECASE)
"""Names of what a run folder holds of all inputs, such as its tables: a video of such a name would replace them."""


def input_names(paths: Sequence[Path], named: Mapping[Path, str] | None = None) -> list[str]:
    """A name for each of some inputs: its stem; of equal ones with the folder in front in which they differ.

    Where they lie in one folder, as ``a.png`` beside ``a.jpg``, the suffix tells them apart.

    Args:
        paths: The inputs.
        named: Names that some have, which are not their stems.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[(named or {}).get(path) or _own_name(path)].append(path)
    names = {}
    for name, members in groups.items():
        fronts = telling_folders(members) if len(members) > 1 else [""]
        names.update({p: f"{front}-{name}" if front else name for p, front in zip(members, fronts, strict=True)})
    counts = Counter(names.values())
    return [f"{names[p]}-{_suffix(p)}" if counts[names[p]] > 1 else names[p] for p in paths]


def input_key(path: Path | str, recorded: bool = True) -> str:
    """What an input is known by in a run folder: its absolute path; of a camera, whose scenes never return, a new one.

    Args:
        path: As it was asked for.
        recorded: Whether it is a file or a folder, not a camera.
    """
    return os.path.abspath(path) if recorded else f"{path} {uuid4().hex}"  # noqa: PTH100  a link is not followed


def free_name(key: str, wanted: str, taken: Mapping[str, str], own: str = "") -> str:
    """The name of an input among others that came before it and keep theirs.

    It is the one wanted or, where that is taken, one with the parent folder in front that differs from the other's,
    with the suffix in the same folder, with more and more parents, or with a number.

    Args:
        key: Of the input, see `input_key`.
        wanted: Its name, were it alone.
        taken: The key of the input that bears a name, by name.
        own: What follows the folders in front; empty takes its path's.
    """
    return next(
        name for name in _candidates(key, wanted, taken, own) if name not in taken and not _RESERVED.fullmatch(name)
    )


def _candidates(key: str, wanted: str, taken: Mapping[str, str], own: str) -> Iterator[str]:
    yield wanted
    path = Path(key)
    if path.is_absolute():  # as all but cameras are
        own = own or _own_name(path)
        if wanted in taken:
            front = telling_folders([Path(taken[wanted]), path])[1]
            yield f"{front}-{own}" if front else f"{own}-{_suffix(path)}"
        parents = [name for part in path.parent.parts if (name := part.strip("/\\:"))]
        yield from ("-".join([*parents[-depth:], own]) for depth in range(1, len(parents) + 1))
    yield from (f"{wanted}-{number}" for number in count(2))


def _own_name(path: Path) -> str:
    """The stem, without nnU-Net's ``_0000``; of a DICOM file without a suffix, whose name may be one of numbers and
    dots, the whole name.
    """
    bare = path.suffix.lower() not in DICOM_SUFFIXES and not is_volume_file(path) and is_dicom(path)
    channel = channel_of(path) if not bare and in_nnunet_folder(path) else None
    return (path.name if bare else channel[0] if channel else stem(path)).replace(":", "-")


def _suffix(path: Path) -> str:
    """What tells files of one stem apart: ``png``, or ``nii`` and ``nii-gz``."""
    return path.name.removeprefix(stem(path)).lstrip(".").replace(".", "-").lower()
