"""The channels of a case: which files they are by their names, and several images as one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gracile.case import Case
from gracile.errors import DataError
from gracile.io.decoding import decode
from gracile.io.naming import channel_of, in_nnunet_folder, stem
from gracile.recipe import InputSpec
from gracile.transforms.regrid import onto_grid

MUCH_OUTSIDE = 0.03
"""Share of a case that may lie outside of one of its channels before that is flagged."""


@dataclass(frozen=True)
class ChannelFiles:
    """The files of one case.

    Args:
        name: The case's, without the channel's number.
        paths: Of its channels in their order. What is not there stands where it would lie, by the names of the others.
    """

    name: str
    paths: tuple[Path, ...]


def by_case(paths: Iterable[Path], wanted: InputSpec) -> list[ChannelFiles]:
    """Files as cases: ``CASE_0000`` and ``CASE_0001`` of one folder are channels of one, as nnU-Net names them.

    Files of other names, and all files where the recipe joins none, are cases by themselves. So are those that hold all
    of the recipe's channels, where they lie in no folder of nnU-Net's: a number at their end is that of a frame.

    Args:
        paths: In their order, which the cases keep.
        wanted: The recipe's input.
    """
    groups: dict[tuple[Path, str, int], dict[int, Path]] = {}
    for path in paths:
        channel = channel_of(path) if wanted.joins_files else None
        name, number = channel or (path.name, 0)
        place = path if channel is None else path.parent
        copy = 0
        while number in groups.get((place, name, copy), {}):  # as a_0000.nii beside a_0000.nrrd
            copy += 1
        groups.setdefault((place, name, copy), {})[number] = path
    found = []
    for (place, name, _), files in groups.items():
        first = files[min(files)]
        if place == first or _holds_all(first, wanted):
            found += [ChannelFiles(stem(path), (path,)) for path in files.values()]
        else:
            found.append(_complete(name, files, wanted))
    return found


def _holds_all(path: Path, wanted: InputSpec) -> bool:
    """Whether a picture has all of the recipe's channels by itself."""
    if wanted.kind == "volume" or in_nnunet_folder(path):
        return False
    try:
        return decode(path, wanted.channels).values.shape[2:] == (wanted.channels,)
    except DataError:
        return False


def _complete(name: str, files: dict[int, Path], wanted: InputSpec) -> ChannelFiles:
    """The files of a case by their numbers, with a place for each of the recipe's channels.

    A first file alone may hold all of them, and of a recipe that takes a gray image for a colored one it is the case.
    """
    alone = set(files) == {0} and (wanted.kind == "image" or not wanted.separate)
    count = 1 if alone else max(wanted.channels, max(files) + 1)
    number, some = next(iter(files.items()))
    before, _, behind = some.name.rpartition(f"_{number:04d}")
    spots = [files.get(each, some.with_name(f"{before}_{each:04d}{behind}")) for each in range(count)]
    return ChannelFiles(name, tuple(spots))


def require_channels(id: str, paths: Sequence[Path], wanted: InputSpec, names: Sequence[str] = ()) -> None:
    """Raise DataError where the files of a case's channels are too few or too many, or one is not there.

    Args:
        id: The case's.
        paths: Of its channels in their order; more than one.
        wanted: The recipe's input.
        names: What the data set calls the channels, where the recipe names none.
    """
    if wanted.fourth_axis == "channels":
        raise DataError(
            f"The case {id} has {len(paths)} files, and input.fourth_axis is channels: one file holds all of them.",
            "Give one file, or set input.fourth_axis to refuse.",
        )
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    missing += range(len(paths), wanted.channels)
    if missing:
        first = missing[0]
        where = f": there is no file {paths[first]}" if first < len(paths) else ""
        lacks = " and ".join(wanted.channel(index, names) for index in missing)
        raise DataError(f"The case {id} lacks {lacks}{where}.", "Add its file, or leave the case out.")
    if len(paths) > wanted.channels:
        known = ", ".join(wanted.channel_names or names[: wanted.channels])
        raise DataError(
            f"The case {id} has {len(paths)} channels, and the recipe takes {wanted.channels}"
            f"{f' ({known})' if known else ''}: {paths[wanted.channels]} is one too many.",
            "Leave it out, or set input.channels and input.channel_names.",
        )


def require_all_in_one(case: Case, path: Path, wanted: InputSpec) -> None:
    """Raise DataError where a file alone does not hold a recipe's channels."""
    count = len(case.image)
    if count == wanted.channels:
        return
    if count < wanted.channels:
        lacks = " and ".join(wanted.channel(index) for index in range(count, wanted.channels))
        raise DataError(
            f"The case {case.id} lacks {lacks}: {path} holds {count} of {wanted.channels} channels.",
            "Name its channels' files CASE_0000, CASE_0001 and so on, list them in a CSV with columns such as "
            "image_t1, or join them in one file.",
        )
    raise DataError(
        f"The case {case.id} has {count} channels, and the recipe takes {wanted.channels}: {path}.",
        "Leave the others out, or set input.channels.",
    )


def joined(paths: Sequence[Path], id: str, wanted: InputSpec, read: Callable[[Path], Case]) -> Case:
    """A case of several files, each a channel, on the grid of the first one.

    Pictures are of one size. Of volumes of one patient on other grids the further ones are brought to the first one's
    linearly, which is noted; where much of the case lies outside of one, that is flagged.

    Args:
        paths: The files in the order of the recipe's channels, all of them there.
        id: Name of the case.
        wanted: The recipe's input.
        read: Reads one file as a case.

    Raises:
        DataError: One cannot be read or has several channels, pictures are of other sizes, or volumes do not overlap.
    """
    first = read(paths[0])
    image = np.empty((len(paths), *first.grid.shape), first.image.dtype)
    flags, notes = list(first.flags), list(first.notes)
    for index, path in enumerate(paths):
        part = read(path) if index else first
        name = wanted.channel(index)
        image[index] = _on_first(_gray(part, path, name), part, first, path, paths[0], name, flags, notes)
        if index:
            flags += [f"{name}: {flag}" for flag in part.flags]
            notes += [f"{name}: {note}" for note in part.notes]
    return Case(id, image, first.grid, region=first.region, source=paths[0], flags=flags, notes=notes)


def _gray(part: Case, path: Path, name: str) -> np.ndarray:
    """The one channel of a file; a gray picture that was saved in colors has one."""
    first = part.image[0]
    if all((other == first).all() for other in part.image[1:]):
        return first
    raise DataError(
        f"{path} is to be {name}, and holds {len(part.image)} of its own.",
        "Save one channel as gray, or give one file with all channels.",
    )


def _on_first(
    values: np.ndarray, part: Case, first: Case, path: Path, onto: Path, name: str, flags: list[str], notes: list[str]
) -> np.ndarray:
    if part is first:
        return values
    if values.ndim == 2:
        if values.shape != first.grid.shape:
            sizes = [" x ".join(map(str, reversed(shape))) for shape in (values.shape, first.grid.shape)]
            raise DataError(
                f"{path} ({name}) has {sizes[0]} pixels, and {onto} has {sizes[1]}.",
                "The channels of a picture have one size: export them again.",
            )
        return values
    moved, outside = onto_grid(values, part.grid, first.grid)
    if outside >= 1:
        raise DataError(
            f"{path} ({name}) does not overlap with {onto}: they lie in other places of the patient.",
            "Check that both are of one patient and one examination, and their headers.",
        )
    if part.grid.shape != first.grid.shape or not np.allclose(part.grid.affine, first.grid.affine, atol=1e-3):  # type: ignore[arg-type]
        notes.append(f"{name} was brought onto the grid of channel 1")
    if outside > MUCH_OUTSIDE:
        flags.append(f"{outside:.0%} of the volume lie outside of {name}: set to 0 there")
    return moved
