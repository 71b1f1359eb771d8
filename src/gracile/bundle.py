"""A bundle: a trained pipeline on disk. Plain data and safetensors only, so that loading one can run no code."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from gracile.errors import BundleError, RecipeError
from gracile.io.atomic import write_bytes, write_text
from gracile.names import MODELS, models_folder
from gracile.plain_data import read_json, require_shape
from gracile.recipe import Recipe, recipe_from

FORMAT = 1
"""Version of the bundle's layout on disk."""

Weights = dict[str, Tensor]


class WeightsFile(BaseModel):
    """One weights file of a bundle."""

    file: str
    sha256: str


class Manifest(BaseModel):
    """``bundle.json``: what the bundle is made of."""

    model_config = ConfigDict(extra="forbid")

    format: int
    recipe: dict[str, Any]
    weights: dict[str, WeightsFile]
    card: dict[str, Any]


class Bundle(BaseModel):
    """A trained recipe in memory: its weights and their checksums by stage name, and its card."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    recipe: Recipe
    weights: dict[str, Weights]
    card: dict[str, Any]
    checksums: dict[str, str] = Field(default_factory=dict)


def write_bundle(bundle: Bundle, folder: Path) -> Path:
    """Write a bundle: one safetensors file per stage, ``bundle.json`` last, so that half a bundle is none."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, WeightsFile] = {}
    for stage, weights in bundle.weights.items():
        content = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
        write_bytes(folder / f"{stage}.safetensors", content)
        files[stage] = WeightsFile(file=f"{stage}.safetensors", sha256=hashlib.sha256(content).hexdigest())
    write_text(folder / "card.md", card_text(bundle.recipe, bundle.card))
    manifest = Manifest(
        format=FORMAT, recipe=bundle.recipe.model_dump(mode="json"), weights=files, card=bundle.card
    )  # fmt: skip
    _write_manifest(folder, manifest)
    return folder


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Give a bundle another card; recipe, weights and checksums stay. Raises BundleError."""
    manifest = _manifest(folder)
    manifest.card = card
    write_text(folder / "card.md", card_text(recipe_from(manifest.recipe), card))
    _write_manifest(folder, manifest)


def _manifest(folder: Path) -> Manifest:
    path, remedy = folder / "bundle.json", "Copy the bundle again, or train it anew."
    content = read_json(path, remedy, kind=BundleError, any_number=True)
    require_shape(content, Manifest, str(path), remedy, BundleError)
    return Manifest.model_validate(content)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    write_text(folder / "bundle.json", json.dumps(manifest.model_dump(), indent=1, ensure_ascii=False) + "\n")


def read_bundle(name_or_folder: str | Path, settings: list[str] | None = None) -> Bundle:
    """Read a shipped model by name, or a bundle folder.

    Args:
        name_or_folder: A name of `gracile.names.MODELS` or a folder with ``bundle.json`` (or a training run's folder).
        settings: ``key=value`` changes to the recipe, such as ``stages.vessels.flips=true``.

    Raises:
        BundleError: Nothing there, damaged, of a newer format, or with a recipe that cannot be used.
        RecipeError: Settings that make no sense.
    """
    folder = _folder(str(name_or_folder))
    manifest = _manifest(folder)
    if manifest.format > FORMAT:
        raise BundleError(f"{folder} was written by a newer Gracile.", "Update Gracile.")
    weights = {stage: _weights(folder, entry) for stage, entry in manifest.weights.items()}
    checksums = {stage: entry.sha256 for stage, entry in manifest.weights.items()}
    try:
        recipe_from(manifest.recipe)
    except RecipeError as error:  # without settings: nobody asked for anything wrong
        raise BundleError(
            f"{folder} has a recipe that this Gracile cannot use. {error.message}", "Use the Gracile that trained it."
        ) from None
    recipe = recipe_from(manifest.recipe, settings)
    return Bundle(recipe=recipe, weights=weights, card=manifest.card, checksums=checksums)


def _folder(name: str) -> Path:
    if name in MODELS:
        return models_folder() / name
    for folder in (Path(name), Path(name) / "bundle"):
        if (folder / "bundle.json").is_file():
            return folder
    shipped = ", ".join(MODELS)
    raise BundleError(f"There is no model {name!r}.", f"Name a bundle folder, or a shipped model: {shipped}.")


def _weights(folder: Path, entry: WeightsFile) -> Weights:
    path = folder / entry.file
    if path.parent != folder:
        raise BundleError(f"{folder} names a weights file outside itself.", "Do not use this bundle.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.", "Copy the bundle again.") from None
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleError(f"{path} does not have the checksum of its bundle.", "Copy the bundle again.")
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise BundleError(f"{path} is damaged: {error}.", "Copy the bundle again.") from None


def card_text(recipe: Recipe, card: dict[str, Any]) -> str:
    """The model card as Markdown, for people."""
    lines = [f"# {recipe.title}", "", recipe.summary, ""]
    for heading, content in card.items():
        lines += [f"## {heading.replace('_', ' ').capitalize()}", ""]
        if isinstance(content, dict) and content and all(isinstance(row, dict) for row in content.values()):
            lines += _table(content)
        elif isinstance(content, dict):
            lines += [f"- {key.replace('_', ' ')}: {_words(value)}" for key, value in content.items()]
        elif isinstance(content, list):
            lines += [f"- {item}" for item in content]
        else:
            lines.append(str(content))
        lines.append("")
    return "\n".join(lines)


def _table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """A Markdown table with a row for each entry; what an entry lacks stays empty."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| | {' | '.join(name.replace('_', ' ') for name in columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [
        f"| {name} | {' | '.join(_words(row[c]) if c in row else '' for c in columns)} |" for name, row in rows.items()
    ]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_words(part)}" for name, part in value.items())
    return "nothing" if value is None else str(value)
