"""Export a model, and try what was written beside Gracile itself."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gracile.bundle import Bundle, read_bundle
from gracile.ensemble import require_single
from gracile.errors import UsageError, nearest, needs
from gracile.export.formats import FORMATS
from gracile.export.parity import Parity, require
from gracile.names import MODELS, demo_folder

PARITY = "parity.json"


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and how it compares.

    Args:
        name: Of the model.
        to: A name of `FORMATS`.
        files: What was written; the first one is opened.
        parity: The exported model beside Gracile.
    """

    name: str
    to: str
    files: list[Path]
    parity: Parity


def export_model(model: str, to: str, out: Path, cases: Sequence[Path] = (), settings: Sequence[str] = ()) -> Exported:
    """Write a model for other programs to ``out``, with ``parity.json``.

    Args:
        model: A shipped name or a bundle folder.
        to: A name of `FORMATS`.
        out: Folder.
        cases: Files and folders to try it on; the model's demo pictures when empty.
        settings: ``key=value`` changes to the recipe.

    Raises:
        UsageError: There is no such format, or it is for other models.
        RecipeError: The recipe has an option that the format does not express.
        ExportError: The exported model answers otherwise than Gracile; what was written stays.
    """
    if to not in FORMATS:
        raise UsageError(f"There is no format {to!r}.", nearest(to, FORMATS))
    bundle = read_bundle(model, list(settings))
    require_single(bundle, "An export")
    name, kind = Path(model).resolve().name, bundle.recipe.input.kind
    place = FORMATS[to].volumes if kind == "volume" else FORMATS[to].pictures
    if not place:
        fitting = [one for one, entry in FORMATS.items() if (entry.volumes if kind == "volume" else entry.pictures)]
        raise UsageError(
            f"The format {to} is not for models of {'volumes' if kind == 'volume' else 'pictures'}.",
            f"There are: {', '.join(fitting)}.",
        )
    export = _export_volumes if kind == "volume" else _export_pictures
    exported = export(place, bundle, name, to, out, cases)
    exported.parity.write(out / PARITY)
    require(exported.parity)
    return exported


def _loaded(place: str) -> Callable[..., Any]:
    module, _, wanted = place.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), wanted)
    return loaded


def _export_volumes(place: str, bundle: Bundle, name: str, to: str, out: Path, cases: Sequence[Path]) -> Exported:
    from gracile.export.volumes import compared

    folder = _loaded(place)(bundle, name, out)
    return Exported(name, to, [folder], Parity(compared(bundle, folder, cases)))


def _export_pictures(place: str, bundle: Bundle, name: str, to: str, out: Path, cases: Sequence[Path]) -> Exported:
    with needs("train"):
        way = _loaded(place)()
    from gracile.export.pictures import compared, read_cases

    demos = [demo_folder(model.demo) for model in MODELS.values() if model.demo and model.recipe == bundle.recipe.name]
    places = list(cases) or demos
    if not places:
        raise UsageError("There are no pictures to try the model on.", "Name some: --cases FOLDER.")
    exported = Exported(name, to, way.write(bundle, name, out), Parity())
    way.open(exported.files)
    exported.parity.rows += compared(bundle, [way], list(read_cases(places, bundle.recipe)))
    return exported
