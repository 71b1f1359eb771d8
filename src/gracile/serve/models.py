"""What is told of the models that a server offers, read without loading them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gracile.errors import BundleError, DataError, UsageError
from gracile.names import MODELS, models_folder
from gracile.plain_data import read_json
from gracile.recipe import InputSpec


@dataclass(frozen=True)
class ServedModel:
    """A model that is offered.

    Args:
        name: What requests call it.
        source: Shipped name or bundle folder.
        title: The recipe's.
        summary: One sentence.
        takes: ``image`` or ``volume``.
        wanted: The recipe's input.
    """

    name: str
    source: str
    title: str
    summary: str
    takes: str
    wanted: InputSpec = field(default_factory=InputSpec)

    @property
    def channels(self) -> list[str]:
        """What the channels of a case are called whose files are sent together; empty where a case is one file."""
        return [self.wanted.channel(index) for index in range(self.wanted.channels)] if self.wanted.joins_files else []


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
        wanted = InputSpec.model_validate(recipe.get("input", {}))
        return ServedModel(name, source, recipe["title"], recipe.get("summary", ""), wanted.kind, wanted)
    except (DataError, KeyError, TypeError, AttributeError, ValidationError):
        shipped = ", ".join(MODELS)
        raise BundleError(
            f"There is no model {source!r}.", f"Name a bundle folder, or a shipped model: {shipped}."
        ) from None
