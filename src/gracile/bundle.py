"""A bundle: a trained pipeline on disk. Plain data, weights and graphs only, so that loading one can run no code."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gracile.errors import BundleError, DataError, RecipeError
from gracile.io.atomic import write_bytes, write_text
from gracile.io.model_card import card_text
from gracile.io.onnx_graph import external_tensors
from gracile.io.weights import Weights, array_of, read_weights, stored_weights, weights_content
from gracile.names import MODELS, models_folder
from gracile.plain_data import read_json, require_shape
from gracile.recipe import Recipe, recipe_from

FORMAT = 2
"""Version of the layout on disk of a bundle with weights. Since 2 a stage may have a graph and golden answers."""

ENSEMBLE_FORMAT = 3
"""Version of a bundle that is made of members, each a whole bundle in a folder of its own; older ones are read."""

AGAIN = "Copy the bundle again."


class StoredFile(BaseModel):
    """A file of a bundle."""

    file: str
    sha256: str


class NetworkFiles(BaseModel):
    """A network's graph and golden answers, where it has them."""

    graph: StoredFile | None = None
    golden: StoredFile | None = None


class WeightsFile(StoredFile, NetworkFiles):
    """A stage's weights and its network; and further networks of the same weights by name, where it has some."""

    further: dict[str, NetworkFiles] | None = None

    @property
    def networks(self) -> dict[str, NetworkFiles]:
        """All of them; the stage's own has no name."""
        return {"": self, **(self.further or {})}


class MemberFolder(BaseModel):
    """A member of an ensemble: its folder, and the checksum of the ``bundle.json`` in it."""

    folder: str
    sha256: str


class Manifest(BaseModel):
    """``bundle.json``: what the bundle is made of."""

    model_config = ConfigDict(extra="forbid")

    format: int
    recipe: dict[str, Any]
    weights: dict[str, WeightsFile]
    card: dict[str, Any]
    members: list[MemberFolder] = Field(default_factory=list)


def _arrays(weights: Any) -> Any:
    """Weights as arrays; those of PyTorch are taken as well."""
    return {name: array_of(value) for name, value in weights.items()} if isinstance(weights, Mapping) else weights


class Bundle(BaseModel):
    """A trained recipe in memory.

    Args:
        recipe: What it does.
        weights: Arrays by stage name and by their own; tensors of PyTorch are taken and become arrays.
        card: What is said of it.
        checksums: Of its weights files, by stage name.
        graphs: Files of its ONNX graphs, by stage name, or `network_name` of a stage with several; what has none, only
            PyTorch can compute.
        graph_checksums: Of these.
        goldens: Files of its golden answers, by the same names.
        folder: Where it was read from.
        members: Bundles that answer together, see `gracile.ensemble`; the weights are theirs then.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    recipe: Recipe
    weights: dict[str, Annotated[Weights, BeforeValidator(_arrays)]]
    card: dict[str, Any]
    checksums: dict[str, str] = Field(default_factory=dict)
    graphs: dict[str, Path] = Field(default_factory=dict)
    graph_checksums: dict[str, str] = Field(default_factory=dict)
    goldens: dict[str, Path] = Field(default_factory=dict)
    folder: Path | None = None
    members: "list[Bundle]" = Field(default_factory=list)

    @property
    def parts(self) -> "list[Bundle]":
        """The bundles that have the weights: its members, or itself."""
        return self.members or [self]


def write_bundle(bundle: Bundle, folder: Path) -> Path:
    """Write a bundle: one safetensors file per stage, ``bundle.json`` last, so that half a bundle is none.

    It has no graphs yet: `add_graphs` gives it some, made by `gracile.learning.export`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, WeightsFile] = {}
    for stage, weights in bundle.weights.items():
        files[stage] = WeightsFile(**_write(folder, f"{stage}.safetensors", weights_content(weights)).model_dump())
    write_text(folder / "card.md", card_text(bundle.recipe, bundle.card))
    manifest = Manifest(
        format=FORMAT, recipe=bundle.recipe.model_dump(mode="json"), weights=files, card=bundle.card
    )  # fmt: skip
    write_manifest(folder, manifest)
    for stage in files:  # of a bundle that was here before
        for kind in (graph_file("*"), golden_file("*")):
            for left in [folder / kind.replace("*", stage), *folder.glob(f"{stage}.{kind}")]:
                left.unlink(missing_ok=True)
    return folder


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Give a bundle another card; recipe, weights and checksums stay. Raises BundleError."""
    manifest = read_manifest(folder)
    manifest.card = card
    write_text(folder / "card.md", card_text(recipe_from(manifest.recipe), card))
    write_manifest(folder, manifest)


def network_name(stage: str, network: str) -> str:
    """The name that a network of a stage has in its bundle; that of the stage where it has none of its own."""
    return f"{stage}.{network}" if network else stage


def stage_of(network: str) -> str:
    """The stage of a network by the name that it has in its bundle."""
    return network.partition(".")[0]


def graph_file(network: str) -> str:
    """Name of the file of a network's graph."""
    return f"{network}.onnx"


def golden_file(network: str) -> str:
    """Name of the file of a network's golden answers."""
    return f"{network}.golden.safetensors"


def add_graphs(folder: Path, graphs: Mapping[str, bytes], goldens: Mapping[str, bytes]) -> None:
    """Give a bundle of this or an older format graphs and golden answers; ``bundle.json`` is written last.

    Args:
        folder: The bundle; its weights stay as they are.
        graphs: Serialized ONNX graphs by `network_name`, whose weights lie in the stage's safetensors file. What is
            not named has none afterwards.
        goldens: Contents of `gracile.runners.golden` by the same names.

    Raises:
        BundleError: The bundle is damaged, or a graph disagrees with its weights; the bundle stays as it was.
    """
    manifest = read_manifest(folder)
    for network, graph in graphs.items():
        entry = manifest.weights[stage_of(network)]
        _require_agreement(graph, _content(folder, entry), folder / graph_file(network), entry.file)
    for stage, entry in manifest.weights.items():
        names = [network.partition(".")[2] for network in graphs if stage_of(network) == stage]
        entry.further = {name: NetworkFiles() for name in names if name} or None
        for name, files in entry.networks.items():
            network = network_name(stage, name)
            files.graph = _write(folder, graph_file(network), graphs[network]) if network in graphs else None
            files.golden = _write(folder, golden_file(network), goldens[network]) if network in goldens else None
    manifest.format = FORMAT
    write_manifest(folder, manifest)


def _write(folder: Path, name: str, content: bytes) -> StoredFile:
    write_bytes(folder / name, content)
    return StoredFile(file=name, sha256=hashlib.sha256(content).hexdigest())


def read_manifest(folder: Path) -> Manifest:
    """The ``bundle.json`` of a folder. Raises BundleError."""
    path, remedy = folder / "bundle.json", "Copy the bundle again, or train it anew."
    content = read_json(path, remedy, kind=BundleError, any_number=True)
    require_shape(content, Manifest, str(path), remedy, BundleError)
    return Manifest.model_validate(content)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the ``bundle.json`` of a folder."""
    content = manifest.model_dump()
    if not manifest.members:
        del content["members"]
    for entry in content["weights"].values():
        for absent in [name for name, part in entry.items() if part is None]:
            del entry[absent]
    write_text(folder / "bundle.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_bundle(name_or_folder: str | Path, settings: list[str] | None = None) -> Bundle:
    """Read a shipped model by name, or a bundle folder.

    Args:
        name_or_folder: A name of `gracile.names.MODELS` or a folder with ``bundle.json`` (or a training run's folder).
        settings: ``key=value`` changes to the recipe, such as ``stages.vessels.flips=true``.

    Raises:
        BundleError: Nothing there, damaged, of a newer format, with a graph that disagrees with its weights, or with a
            recipe that cannot be used.
        RecipeError: Settings that make no sense.
    """
    return _read(bundle_folder(str(name_or_folder)), settings, {})


def _read(folder: Path, settings: list[str] | None, known: dict[str, Weights]) -> Bundle:
    """Read a folder; weights that are ``known`` by their checksum are not held twice."""
    manifest = read_manifest(folder)
    if manifest.format > ENSEMBLE_FORMAT:
        raise BundleError(f"{folder} was written by a newer Gracile.", "Update Gracile.")
    if manifest.members:
        return _read_ensemble(folder, manifest, settings, known)
    weights: dict[str, Weights] = {}
    graphs: dict[str, StoredFile] = {}
    goldens: dict[str, Path] = {}
    for stage, entry in manifest.weights.items():
        content = _content(folder, entry)
        if entry.sha256 not in known:
            known[entry.sha256] = _weights(folder / entry.file, content)
        weights[stage] = known[entry.sha256]
        for name, files in entry.networks.items():
            network = network_name(stage, name)
            if files.graph is not None:
                graphs[network] = files.graph
                _require_agreement(_content(folder, files.graph), content, folder / files.graph.file, entry.file)
            if files.golden is not None:
                _content(folder, files.golden)
                goldens[network] = folder / files.golden.file
    return Bundle(
        recipe=_recipe(folder, manifest, settings),
        weights=weights,
        card=manifest.card,
        checksums={stage: entry.sha256 for stage, entry in manifest.weights.items()},
        graphs={network: folder / file.file for network, file in graphs.items()},
        graph_checksums={network: file.sha256 for network, file in graphs.items()},
        goldens=goldens,
        folder=folder,
    )


def _recipe(folder: Path, manifest: Manifest, settings: list[str] | None) -> Recipe:
    try:
        recipe_from(manifest.recipe)
    except RecipeError as error:  # without settings: nobody asked for anything wrong
        raise BundleError(
            f"{folder} has a recipe that this Gracile cannot use. {error.message}", "Use the Gracile that trained it."
        ) from None
    return recipe_from(manifest.recipe, settings)


def _read_ensemble(
    folder: Path, manifest: Manifest, settings: list[str] | None, known: dict[str, Weights]
) -> Bundle:  # fmt: skip
    members = []
    for entry in manifest.members:
        own = folder / entry.folder
        if own.parent != folder or entry.folder == "..":
            raise BundleError(f"{folder} names a member outside itself.", "Do not use this bundle.")
        _content(own, StoredFile(file="bundle.json", sha256=entry.sha256))
        member = _read(own, settings, known)
        if member.members:
            raise BundleError(f"{own} is an ensemble within an ensemble.", AGAIN)
        members.append(member)
    return Bundle(
        recipe=_recipe(folder, manifest, settings),
        weights={},
        card=manifest.card,
        checksums=member_checksums(members),
        folder=folder,
        members=members,
    )


def member_checksums(members: Sequence[Bundle]) -> dict[str, str]:
    """Checksums of the weights of members, under ``memberN/STAGE``."""
    return {
        f"{member_folder(number)}/{stage}": checksum
        for number, member in enumerate(members, start=1)
        for stage, checksum in member.checksums.items()
    }


def member_folder(number: int) -> str:
    """Name of the folder of an ensemble's member, counted from 1."""
    return f"member{number}"


def bundle_folder(name: str) -> Path:
    """The folder of a shipped model by its name, or of a bundle by its own or its run's. Raises BundleError."""
    if name in MODELS:
        return models_folder() / name
    for folder in (Path(name), Path(name) / "bundle"):
        if (folder / "bundle.json").is_file():
            return folder
    shipped = ", ".join(MODELS)
    raise BundleError(f"There is no model {name!r}.", f"Name a bundle folder, or a shipped model: {shipped}.")


def _content(folder: Path, entry: StoredFile) -> bytes:
    """A file of a bundle, which has the checksum that its manifest states."""
    path = folder / entry.file
    if path.parent != folder:
        raise BundleError(f"{folder} names a file outside itself.", "Do not use this bundle.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.", AGAIN) from None
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleError(f"{path} does not have the checksum of its bundle.", AGAIN)
    return content


def _weights(path: Path, content: bytes) -> Weights:
    try:
        return read_weights(content)
    except DataError as error:
        raise BundleError(f"{path} is damaged: {error.message}.", AGAIN) from None


def _require_agreement(graph: bytes, weights: bytes, path: Path, weights_file: str) -> None:
    """Raise BundleError unless everything that a graph takes from a file is a weight of its stage's own.

    Args:
        graph: The serialized graph.
        weights: Content of the weights file.
        path: Of the graph.
        weights_file: Name of the weights file; the only one that the graph may name.
    """
    try:
        tensors = external_tensors(graph)
    except DataError as error:
        raise BundleError(f"{path} is damaged: {error.message}.", AGAIN) from None
    stored = stored_weights(weights)
    for tensor in tensors:
        if tensor.entries.get("location") != weights_file or set(tensor.entries) != {"location", "offset", "length"}:
            raise BundleError(f"{path} takes {tensor.name!r} from elsewhere than {weights_file}.", "Do not use it.")
        own = stored.get(tensor.name)
        place = None if own is None else {"offset": str(own.offset), "length": str(own.length)}
        asked = {name: tensor.entries[name] for name in ("offset", "length")}
        if own is None or (asked, tensor.dtype, tensor.shape) != (place, own.dtype, own.shape):
            raise BundleError(
                f"{path} and {weights_file} disagree about the weight {tensor.name!r}.",
                "Copy the bundle again, or make its graphs anew: gracile models upgrade BUNDLE.",
            )
