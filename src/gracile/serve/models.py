"""What is told of the models that a server offers, read without loading them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gracile.errors import BundleError, DataError, UsageError
from gracile.names import MODELS, models_folder
from gracile.plain_data import read_json


@dataclass(frozen=True)
class ServedModel:
    """A model that is offered.

    Args:
        name: What requests call it.
        source: Shipped name or bundle folder.
        title: The recipe's.
        summary: One sentence.
        takes: ``image`` or ``volume``.
    """

    name: str
    source: str
    title: str
    summary: str
    takes: str


def served_models(sources: Sequence[str]) -> list[ServedModel]:
    """The models of shipped names and bundle folders; a run's ``bundle`` is called as the run.

    Raises:
        BundleError: One is not there.
        UsageError: Two would have one name.
    """
    models = [_read(source) for source in sources]
    repeated = [name for name, count in Counter(model.name for model in models).items() if count > 1]
    if repeated:
        raise UsageError(f"Two models would be called {repeated[0]!r}.", "Rename one of their folders.")
    return models


def _read(source: str) -> ServedModel:
    folder = models_folder() / source if source in MODELS else Path(source)
    if not (folder / "bundle.json").is_file() and (folder / "bundle" / "bundle.json").is_file():
        folder = folder / "bundle"
    try:
        recipe: dict[str, Any] = read_json(folder / "bundle.json", "Copy it again.", any_number=True)["recipe"]
        resolved = folder.resolve()
        name = resolved.parent.name if resolved.name == "bundle" else resolved.name
        takes = recipe.get("input", {}).get("kind", "image")
        return ServedModel(name, source, recipe["title"], recipe.get("summary", ""), takes)
    except (DataError, KeyError, TypeError, AttributeError):
        shipped = ", ".join(MODELS)
        raise BundleError(
            f"There is no model {source!r}.", f"Name a bundle folder, or a shipped model: {shipped}."
        ) from None
