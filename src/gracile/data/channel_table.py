"""The channels that an nnU-Net ``dataset.json`` declares."""

from pathlib import Path

from gracile.errors import DataError
from gracile.plain_data import read_json
from gracile.recipe import Recipe

_KEYS = ("channel_names", "modality")
"""Of version 2 and of version 1."""


def declared_channels(path: Path) -> list[str]:
    """Names of the channels by number: ``{"channel_names": {"0": "T1", "1": "T2"}}``; empty where none are declared."""
    try:
        content = read_json(path, "Write it anew.") if path.is_file() else {}
        table = next((content[key] for key in _KEYS if key in content), {})
        return [str(table[number]) for number in sorted(table, key=int)]
    except (DataError, ValueError, TypeError, AttributeError, KeyError):
        return []


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
