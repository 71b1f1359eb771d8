"""A copy of a bundle in which some numbers, settings and words are others; networks and graphs stay byte for byte."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gracile.bundle import Manifest, read_bundle, read_manifest, write_manifest
from gracile.ensemble import renew_members
from gracile.errors import BundleError, DataError, UsageError
from gracile.io.atomic import write_bytes, write_text
from gracile.io.model_card import card_text
from gracile.io.weights import with_values
from gracile.recipe import recipe_from, recipe_with

Numbers = Mapping[str, float | np.ndarray]
"""Weights by name."""

_WRITTEN = ("bundle.json", "card.md")


@dataclass(frozen=True)
class Change:
    """What is another in a bundle.

    Args:
        numbers: Weights such as thresholds, by stage and name; of the same size as before.
        settings: Values of the recipe, by dotted name.
        card: Sections of the card.
    """

    numbers: Mapping[str, Numbers] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)


def copy_changed(source: Path, out: Path, whole: Change, members: Sequence[Change] = ()) -> Path:
    """Write a changed copy of a bundle; ``bundle.json`` last, so that half a bundle is none.

    Args:
        source: Folder of the bundle.
        out: Folder of the copy.
        whole: What changes in it; of an ensemble in its own recipe and card.
        members: Of an ensemble, what changes in each member.

    Raises:
        UsageError: Both folders are the same, or one lies in the other.
        BundleError: The bundle is damaged, or has no such numbers.
        DataError: The copy cannot be written.
    """
    require_apart(source, out)
    manifest = read_manifest(source)
    (out / "bundle.json").unlink(missing_ok=True)
    for entry, change in zip(manifest.members, members, strict=bool(manifest.members)):
        _copy(source / entry.folder, out / entry.folder, read_manifest(source / entry.folder), change)
    _copy(source, out, manifest, whole)
    if manifest.members:
        renew_members(out)
    read_bundle(out)
    return out


def require_apart(source: Path, out: Path) -> None:
    """Raise UsageError where a bundle's folder and that of its copy are the same, or one lies in the other."""
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UsageError(f"{out} is the folder of the model, or one lies in the other.", "Choose another --out.")


def _copy(source: Path, out: Path, manifest: Manifest, change: Change) -> None:
    stages = {entry.file: stage for stage, entry in manifest.weights.items()}
    for path in sorted(source.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.name in _WRITTEN:
            continue
        content = path.read_bytes()
        stage = stages.get(path.name, "")
        if stage in change.numbers:
            content = _changed(content, change.numbers[stage], path)
            manifest.weights[stage].sha256 = hashlib.sha256(content).hexdigest()
        write_bytes(out / path.name, content)
    recipe = recipe_with(recipe_from(manifest.recipe), change.settings)
    limits = {"limits": manifest.card["limits"]} if "limits" in manifest.card else {}
    kept = {name: value for name, value in manifest.card.items() if name not in limits}
    manifest.recipe, manifest.card = recipe.model_dump(mode="json"), {**kept, **change.card, **limits}
    write_text(out / "card.md", card_text(recipe, manifest.card))
    write_manifest(out, manifest)


def _changed(content: bytes, numbers: Numbers, path: Path) -> bytes:
    try:
        return with_values(content, numbers)
    except DataError as error:
        raise BundleError(f"{path}: {error.message}", error.remedy) from None
