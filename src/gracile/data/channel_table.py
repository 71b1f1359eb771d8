"""The channels that a data set declares: by an nnU-Net ``dataset.json``, a CSV's columns or its files' numbers."""

from pathlib import Path
from typing import Any

from gracile.data.csv_paths import CHANNEL_COLUMN, csv_table
from gracile.data.listing import TRAINING_FOLDERS, subfolders
from gracile.errors import DataError
from gracile.io.naming import channel_of
from gracile.plain_data import read_json
from gracile.recipe import Recipe

_KEYS = ("channel_names", "modality")
"""Of version 2 and of version 1."""


def declared_channels(path: Path) -> list[str]:
    """Names of the channels by number: ``{"channel_names": {"0": "T1", "1": "T2"}}``; empty where none are declared."""
    try:
        content = read_json(path, "Write it anew.") if path.is_file() else {}
        table: dict[str, Any] = next((content[key] for key in _KEYS if key in content), {})
        return [str(table[number]) for number in sorted(table, key=int)]
    except (DataError, ValueError, TypeError, AttributeError, KeyError):
        return []


def nnunet_folder(source: Path) -> Path | None:
    """The folder of a source that holds ``imagesTr``: itself or its training part; None where there is none.

    Only beside these does a ``dataset.json`` speak of them: elsewhere it may be of anything.
    """
    places = [source, *subfolders(source, TRAINING_FOLDERS)]
    return next((place for place in places if (place / "imagesTr").is_dir()), None)


def offered_channels(source: Path) -> list[str]:
    """The channels that a data set offers, before a recipe says which it takes; names that are not told are empty.

    They are told by a CSV's columns ``image_t1``, or by the numbers of the files in ``imagesTr`` and ``dataset.json``.
    A file that holds several channels by itself is not looked into.

    Returns:
        A name for each channel; one where a case is one file.

    Raises:
        DataError: The CSV cannot be read.
    """
    if source.is_file():
        cells = csv_table(source)[0] if source.suffix.lower() == ".csv" else []
        named = [cell[len(CHANNEL_COLUMN) :] for cell in cells if cell.lower().startswith(CHANNEL_COLUMN)]
        return named or [""]
    folder = nnunet_folder(source)
    if folder is None:
        return [""]
    numbers = {channel[1] for path in (folder / "imagesTr").iterdir() if (channel := channel_of(path))}
    count = max(numbers, default=0) + 1
    names = declared_channels(folder / "dataset.json")
    return names if len(names) == count else [""] * count


def channel_fault(path: Path, names: list[str], recipe: Recipe) -> DataError | None:
    """What is wrong with the channels of a ``dataset.json`` for a recipe that takes several; their numbers count.

    Names are compared only where both sides have the same ones, whose order must then be one.
    """
    wanted = recipe.input
    if not names or not (wanted.separate or wanted.joins_files):
        return None
    shown = ", ".join(f"{number} {name}" for number, name in enumerate(names))
    if len(names) != wanted.channels:
        return DataError(
            f"{path} declares {len(names)} channels ({shown}); the recipe {recipe.name} takes {wanted.channels}.",
            "Set input.channels and input.channel_names to those of the data.",
        )
    there, here = ([name.casefold() for name in some] for some in (names, wanted.channel_names))
    if there != here and sorted(there) == sorted(here):
        return DataError(
            f"{path} declares the channels {shown}; the recipe {recipe.name} has them in another order: "
            f"{', '.join(wanted.channel_names)}.",
            "Name the same channels in the same order in both.",
        )
    return None
