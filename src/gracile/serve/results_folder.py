"""A folder that ``gracile predict`` wrote, read for the page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from gracile.errors import DataError
from gracile.io.predictions_file import PREDICTIONS, read_predictions
from gracile.plain_data import Text, require_shape
from gracile.serve.naming import sendable

_PLACES = {"input", "path", "files"}
"""What a record says of the disk, which stays as the disk has it."""


class _RecipeShape(TypedDict):
    """What a page needs of a recipe."""

    title: Text
    classes: list[dict[Text, Any]]
    input: NotRequired[dict[Text, Any]]


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
    path = folder / PREDICTIONS
    if not path.is_file():
        raise DataError(f"{folder} holds no predictions.json.", "Name a folder that gracile predict wrote.")
    content = read_predictions(path)
    recipe = content["settings"].get("recipe")
    require_shape(recipe, _RecipeShape, f"The recipe in {path}", "Predict again.")
    return ResultsFolder(
        folder.resolve(),
        recipe["title"],
        content["model"]["name"],
        recipe["classes"],
        recipe.get("input", {}),
        [{key: part if key in _PLACES else sendable(part) for key, part in one.items()} for one in content["inputs"]],
    )
