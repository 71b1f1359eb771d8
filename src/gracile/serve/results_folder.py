"""A folder that ``gracile predict`` wrote, read for the page."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gracile.errors import DataError


@dataclass(frozen=True)
class ResultsFolder:
    """What a folder's ``predictions.json`` tells.

    Args:
        folder: The folder.
        title: The recipe's title.
        model: The model's name.
        classes: The recipe's classes as plain data.
        wanted: The recipe's input as plain data.
        records: One per input.
    """

    folder: Path
    title: str
    model: str
    classes: list[dict[str, Any]]
    wanted: dict[str, Any]
    records: list[dict[str, Any]]

    def source(self, record: dict[str, Any]) -> Path | None:
        """Where a record's input lies: as it was named, or beside the folder; None when it is gone."""
        if not record.get("input"):
            return None
        named = Path(record["input"])
        series = record.get("kind") == "volume"
        places = [named, self.folder / named, self.folder.parent / named, self.folder / named.name]
        return next((place.resolve() for place in places if place.is_file() or (series and place.is_dir())), None)


def read_results(folder: Path) -> ResultsFolder:
    """Read a results folder. Raises DataError."""
    path = folder / "predictions.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        recipe = content["settings"]["recipe"]
        return ResultsFolder(
            folder.resolve(),
            recipe["title"],
            content["model"]["name"],
            recipe["classes"],
            recipe.get("input", {}),
            content["inputs"],
        )
    except FileNotFoundError:
        raise DataError(f"{folder} holds no predictions.json.", "Name a folder that gracile predict wrote.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}).", "Predict again.") from None
