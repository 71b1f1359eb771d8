"""A bundle: a trained pipeline on disk. Plain data, weights and graphs only, so that loading one can run no code."""

import hashlib
import json
from collections.abc import Mapping
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
"""Version of the bundle's layout on disk. Since 2 a stage may have a graph and golden answers; 1 is read as well."""

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


class Manifest(BaseModel):
    """``bundle.json``: what the bundle is made of."""

    model_config = ConfigDict(extra="forbid")

    format: int
    recipe: dict[str, Any]
    weights: dict[str, WeightsFile]
    card: dict[str, Any]


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
    _write_manifest(folder, manifest)
    for stage in files:  # of a bundle that was here before
        for kind in (graph_file("*"), golden_file("*")):
            for left in [folder / kind.replace("*", stage), *folder.glob(f"{stage}.{kind}")]:
                left.unlink(missing_ok=True)
    return folder


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Give a bundle another card; recipe, weights and checksums stay. Raises BundleError."""
    manifest = _manifest(folder)
    manifest.card = card
    write_text(folder / "card.md", card_text(recipe_from(manifest.recipe), card))
    _write_manifest(folder, manifest)


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
    manifest = _manifest(folder)
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
    _write_manifest(folder, manifest)


def _write(folder: Path, name: str, content: bytes) -> StoredFile:
    write_bytes(folder / name, content)
    return StoredFile(file=name, sha256=hashlib.sha256(content).hexdigest())


def _manifest(folder: Path) -> Manifest:
    path, remedy = folder / "bundle.json", "Copy the bundle again, or train it anew."
    content = read_json(path, remedy, kind=BundleError, any_number=True)
    require_shape(content, Manifest, str(path), remedy, BundleError)
    return Manifest.model_validate(content)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    content = manifest.model_dump()
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
    folder = bundle_folder(str(name_or_folder))
    manifest = _manifest(folder)
    if manifest.format > FORMAT:
        raise BundleError(f"{folder} was written by a newer Gracile.", "Update Gracile.")
    weights: dict[str, Weights] = {}
    graphs: dict[str, StoredFile] = {}
    goldens: dict[str, Path] = {}
    for stage, entry in manifest.weights.items():
        content = _content(folder, entry)
        weights[stage] = _weights(folder / entry.file, content)
        for name, files in entry.networks.items():
            network = network_name(stage, name)
            if files.graph is not None:
                graphs[network] = files.graph
                _require_agreement(_content(folder, files.graph), content, folder / files.graph.file, entry.file)
            if files.golden is not None:
                _content(folder, files.golden)
                goldens[network] = folder / files.golden.file
    try:
        recipe_from(manifest.recipe)
    except RecipeError as error:  # without settings: nobody asked for anything wrong
        raise BundleError(
            f"{folder} has a recipe that this Gracile cannot use. {error.message}", "Use the Gracile that trained it."
        ) from None
    return Bundle(
        recipe=recipe_from(manifest.recipe, settings),
        weights=weights,
        card=manifest.card,
        checksums={stage: entry.sha256 for stage, entry in manifest.weights.items()},
        graphs={network: folder / file.file for network, file in graphs.items()},
        graph_checksums={network: file.sha256 for network, file in graphs.items()},
        goldens=goldens,
        folder=folder,
    )


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
