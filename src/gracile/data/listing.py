"""What the layouts share: what a source holds, its folders by name, and pairs of files."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gracile.data.case_files import CaseFiles
from gracile.errors import DataError
from gracile.io import IMAGE_SUFFIXES, VOLUME_SUFFIXES, image_files, pair_files
from gracile.io.channels import ChannelFiles, by_case, require_channels
from gracile.io.dicom import dicom_files
from gracile.io.dicom.segmentations import is_segmentation
from gracile.io.dicom.series import is_enhanced
from gracile.io.naming import channel_of, subject_key
from gracile.recipe import Recipe

TRAINING_FOLDERS = ("training", "train")
"""Names of a data set's training part."""


@dataclass
class Listing:
    """What one source holds.

    Args:
        cases: Every image with the files that belong to it.
        faults: What keeps the source from being used as it is.
        strays: Labels and regions that belong to no image.
        remarks: What was chosen between, by the file that it is about.
    """

    cases: list[CaseFiles] = field(default_factory=list)
    faults: list[DataError] = field(default_factory=list)
    strays: list[Path] = field(default_factory=list)
    remarks: dict[Path, str] = field(default_factory=dict)


Finder = Callable[[Path, Recipe], Listing | None]


def files_in(folder: Path, recipe: Recipe) -> list[Path]:
    """What lies right in a folder of the recipe's kind: pictures, or volumes, DICOM series, segmentations."""
    if recipe.input.kind == "image":
        return image_files(folder)
    series = [path for path in sorted(folder.iterdir()) if path.is_dir() and dicom_files(path)]
    whole = [path for path in dicom_files(folder) if is_enhanced(path) or is_segmentation(path)]
    return [*image_files(folder, VOLUME_SUFFIXES), *whole, *series]


def nothing_in(folder: Path, recipe: Recipe) -> DataError:
    """The fault of a folder without files of the recipe's kind."""
    if recipe.input.kind == "image":
        return DataError(f"{folder} holds no pictures.", f"Readable are: {', '.join(IMAGE_SUFFIXES)}.")
    return DataError(f"{folder} holds no volumes.", f"Readable are DICOM series and {', '.join(VOLUME_SUFFIXES)}.")


def channel_cases(paths: list[Path], recipe: Recipe, listing: Listing, names: Sequence[str] = ()) -> list[ChannelFiles]:
    """nnU-Net's images as cases, ``CASE_0000`` and its further channels, noting those of other names or channels.

    Args:
        paths: The files of a folder.
        recipe: How many channels it takes.
        listing: Where faults are noted.
        names: What the data set calls the channels, where the recipe names none.
    """
    remedy = (
        "Give one file per case, CASE_0000.png; join its channels into an RGB one, or set input.channels and "
        "input.channel_names."
        if recipe.input.kind == "image"
        else "Give one file per case, CASE_0000.nii.gz, or set input.channels to the number of channels."
    )
    kept = []
    for path in paths:
        channel = channel_of(path)
        whole = recipe.input.fourth_axis == "channels"  # a file holds all channels, and its name needs no number
        if (channel is None and not whole) or (channel and channel[1] and not recipe.input.joins_files):
            name = "is no first channel" if channel else "lacks the channel suffix _0000"
            listing.faults.append(DataError(f"{path} {name}.", remedy))
            continue
        kept.append(path)
    found = [replace(one, name=_case_name(one)) for one in by_case(kept, recipe.input)]
    return complete_cases(found, recipe, listing, names)


def _case_name(files: ChannelFiles) -> str:
    channel = channel_of(files.paths[0])
    return channel[0] if channel else files.name


def complete_cases(
    found: list[ChannelFiles], recipe: Recipe, listing: Listing, names: Sequence[str] = ()
) -> list[ChannelFiles]:
    """The cases of which all channels are there; the others are noted.

    Where a gray image may stand for all channels of a recipe, either every case has further files or none has.
    """
    several = any(len(one.paths) > 1 for one in found)
    kept = []
    for one in found:
        try:
            if len(one.paths) > 1 or (several and recipe.input.kind == "volume"):
                require_channels(one.name, one.paths, recipe.input, names)
            kept.append(one)
        except DataError as fault:
            listing.faults.append(fault)
    return kept


def subfolders(source: Path, names: tuple[str, ...]) -> list[Path]:
    """The subfolders with one of these names, in whatever case, in the order of the names."""
    if not source.is_dir():
        return []
    found = [path for path in sorted(source.iterdir()) if path.is_dir() and path.name.lower() in names]
    return sorted(found, key=lambda path: names.index(path.name.lower()))


def require_one_each(source: Path, found: Mapping[str, list[Path]]) -> None:
    """Raise DataError where several folders of a source may hold the same, by what that is."""
    for role, folders in found.items():
        if len(folders) > 1:
            raise DataError(
                f"{source} has several folders that may hold {role}: {', '.join(folder.name for folder in folders)}.",
                "Keep or rename one, or name the pairs in a CSV.",
            )


def paired(images: list[Path], others: list[Path], listing: Listing) -> dict[Path, Path | None]:
    """Pair files, noting names that are not clear and files that are left over.

    All attempts of `pair_files` compare names that share a `subject_key`, so that pairing each such group by itself
    gives the same pairs, and one unclear name does not hide the others.
    """
    groups: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for role, paths in enumerate((images, others)):
        for path in paths:
            groups[subject_key(path)][role].append(path)
    pairs: dict[Path, Path | None] = {}
    for own, offered in groups.values():
        try:
            found = pair_files(own, offered)
        except DataError as fault:
            listing.faults.append(fault)
            continue
        pairs.update(found)
        listing.strays.extend(path for path in offered if path not in found.values())
    return pairs
