"""Ensembles: bundles that answer together. On disk a bundle like any other, each of its members a whole one in it."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from gracile.bundle import (
    ENSEMBLE_FORMAT,
    Bundle,
    Manifest,
    MemberFolder,
    bundle_folder,
    member_checksums,
    member_folder,
    read_bundle,
    read_manifest,
    write_manifest,
)
from gracile.errors import BundleError, UsageError
from gracile.io.atomic import write_bytes, write_text
from gracile.io.model_card import LEARNED_FROM, card_text
from gracile.recipe import Recipe, recipe_from

log = logging.getLogger(__name__)

NOT_MEDICAL = "Not a medical device. Check every result in its picture before it is used."


def read_bundles(models: Sequence[str | Path], settings: list[str] | None = None) -> Bundle:
    """Read one bundle, or several as an ensemble.

    Args:
        models: Shipped names or folders.
        settings: ``key=value`` changes to the recipe of each.

    Raises:
        BundleError: One cannot be read, or they do not belong together, see `joined`.
        UsageError: None is named.
    """
    if not models:
        raise UsageError("No model is named.", "Name a shipped model or a bundle folder.")
    bundles = [read_bundle(model, settings) for model in models]
    return bundles[0] if len(bundles) == 1 else joined(bundles)


def joined(bundles: Sequence[Bundle]) -> Bundle:
    """Several bundles as one that averages their answers; the members of ensembles count as members.

    How probabilities become classes, and what is measured, is as the first one says; of those that lost a gate in their
    training, as the first one says that has it.

    Raises:
        BundleError: They differ in what they take, how it is prepared, or what they look for.
    """
    first = next((bundle for bundle in bundles if not bundle.recipe.ungated), bundles[0])
    members = [part for bundle in (first, *(other for other in bundles if other is not first)) for part in bundle.parts]
    require_agreement(members)
    recipe = first.recipe
    return Bundle(
        recipe=recipe,
        weights={},
        card=joined_card(recipe, members),
        checksums=member_checksums(members),
        members=members,
    )


def require_agreement(members: Sequence[Bundle]) -> None:
    """Raise BundleError, which names the difference, unless the answers of bundles can be averaged."""
    first = members[0]
    wanted = _what_must_agree(first.recipe)
    for member in members[1:]:
        differing = next(_differences(wanted, _what_must_agree(member.recipe)), None)
        if differing is not None:
            name, here, there = differing
            raise BundleError(
                f"The members of an ensemble look at the same in the same way, but {name} is {here!r} in "
                f"{_named(first)} and {there!r} in {_named(member)}.",
                "Join models that were trained by one recipe.",
            )


def joined_card(recipe: Recipe, members: Sequence[Bundle], **more: Any) -> dict[str, Any]:
    """The card of an ensemble: its members in short, what ``more`` there is to say, and what follows from theirs."""
    learned = sorted({image for member in members for image in member.card.get(LEARNED_FROM, ())})
    rows = {
        member_folder(number): {
            "recipe": member.recipe.name,
            "cases": (member.card.get("data") or {}).get("cases"),
            "minutes": (member.card.get("training") or {}).get("minutes"),
        }
        for number, member in enumerate(members, start=1)
    }
    ordinary = _joined_ranges([member.card.get("ordinary") or {} for member in members])
    return {
        "recipe": recipe.name,
        "members": rows,
        **more,
        **({LEARNED_FROM: learned} if learned else {}),
        **({"ordinary": ordinary} if ordinary else {}),
        "limits": [NOT_MEDICAL],
    }


def write_ensemble(ensemble: Bundle, folder: Path) -> Path:
    """Write an ensemble: a folder for each member, a copy of its bundle; ``bundle.json`` last.

    Args:
        ensemble: Made by `joined`, its recipe and its card perhaps changed.
        folder: Folder of the bundle.

    Raises:
        UsageError: The folder is that of a member.
        DataError: It cannot be written.
    """
    sources = [member.folder for member in ensemble.members if member.folder is not None]
    if folder.resolve() in {source.resolve() for source in sources}:
        raise UsageError(f"{folder} is one of the models to join.", "Choose another --out.")
    contents = [_files_of(source) for source in sources]  # read before anything of an earlier one goes
    (folder / "bundle.json").unlink(missing_ok=True)
    for number, content in enumerate(contents, start=1):
        for name, file in content.items():
            write_bytes(folder / member_folder(number) / name, file)
    _write(folder, ensemble.recipe, [member_folder(number) for number in range(1, len(contents) + 1)], ensemble.card)
    return folder


def renew_members(folder: Path) -> None:
    """Take up what has changed in the members of an ensemble, such as graphs that they were given."""
    manifest = read_manifest(folder)
    _write(folder, recipe_from(manifest.recipe), [entry.folder for entry in manifest.members], manifest.card)


def require_single(bundle: Bundle, what: str) -> None:
    """Raise UsageError, which names a member to take, where something is for one model and not for an ensemble.

    Args:
        bundle: The bundle.
        what: Such as ``An export``.
    """
    if bundle.members:
        raise UsageError(
            f"{what} is of one model, and this is an ensemble of {len(bundle.members)}.",
            f"Take one of its members, such as {bundle.members[0].folder}, or the final model of a run with --final.",
        )


def single(model: str | Path) -> str | Path:
    """What a training starts from: a model, or the first member of an ensemble, which is said."""
    folder = bundle_folder(str(model))
    members = read_manifest(folder).members
    if not members:
        return model
    log.warning("%s is an ensemble: the training starts from the first of its %d members.", model, len(members))
    return folder / members[0].folder


def _write(folder: Path, recipe: Recipe, members: Sequence[str], card: dict[str, Any]) -> None:
    entries = []
    for name in members:
        content = (folder / name / "bundle.json").read_bytes()
        entries.append(MemberFolder(folder=name, sha256=hashlib.sha256(content).hexdigest()))
    write_text(folder / "card.md", card_text(recipe, card))
    dumped = recipe.model_dump(mode="json")
    write_manifest(folder, Manifest(format=ENSEMBLE_FORMAT, recipe=dumped, weights={}, card=card, members=entries))


def _files_of(folder: Path) -> dict[str, bytes]:
    """The files of a bundle's folder by name, ``bundle.json`` last."""
    paths = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name == "bundle.json")
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


def _what_must_agree(recipe: Recipe) -> dict[str, Any]:
    gates = {gate.name: {"classes": gate.kinds, "structures": gate.structures} for gate in recipe.gates}
    return {
        "input": recipe.input.model_dump(mode="json"),
        "prepare": recipe.prepare.model_dump(mode="json"),
        "classes": recipe.class_names,
        "trees": recipe.trees,
        "regions": recipe.regions,
        "landmarks": recipe.landmark_names,
        "gates": gates,
        "what is given": sorted({spec.gives for spec in recipe.stages if spec.gives in ("mask", "landmarks")}),
    }


def _differences(here: Any, there: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where plain data differ: dotted name, and both values. Gates are compared where both sides have one."""
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        for key in dict.fromkeys([*here, *there]):
            if name == "gates" and not (key in here and key in there):
                continue
            yield from _differences(here.get(key), there.get(key), f"{name}.{key}".lstrip("."))
    elif here != there:
        yield name, here, there


def _named(bundle: Bundle) -> str:
    return bundle.recipe.name if bundle.folder is None else str(bundle.folder)


def _joined_ranges(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is ordinary of figures that all members know: what is ordinary to any of them."""
    common = [key for key in cards[0] if all(key in card for card in cards)]
    return {
        key: {
            "low": min(card[key]["low"] for card in cards),
            "middle": median(card[key]["middle"] for card in cards),
            "high": max(card[key]["high"] for card in cards),
            "cases": max(card[key]["cases"] for card in cards),
        }
        for key in common
    }
