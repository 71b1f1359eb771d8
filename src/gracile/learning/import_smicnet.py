"""Published SMICNet weights as a bundle."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gracile.bundle import Bundle, write_bundle
from gracile.errors import DataError, UsageError
from gracile.io.atomic import require_writable
from gracile.io.keras_weights import KerasLayer, read_keras_layers
from gracile.learning.graphs import write_graphs
from gracile.learning.learners import build_learner
from gracile.networks.smicnet import NORM_EPSILON, SLOPE, SMICNet, WindowBlock
from gracile.recipe import read_recipe, recipe_from

RECIPE = "cochlea-landmarks-published"
"""What an imported network is applied by."""

REMEDY = "It takes SMICNet as published: five depthwise blocks of 1, 16, 32, 64 and 128 channels, two dense layers."


def import_smicnet(path: Path, out: Path, landmarks: Sequence[str] = ()) -> Path:
    """Convert Keras weights of SMICNet to a bundle.

    Args:
        path: HDF5 file as Keras 2 saves it.
        out: Folder of the bundle.
        landmarks: Names of the classes in the order of the network's outputs, without the background, which comes last;
            those of the published cochlea networks when empty.

    Returns:
        The folder of the bundle.

    Raises:
        DataError: The file is none of SMICNet's.
        UsageError: The names are not as many as the network's classes, or repeated.
    """
    require_writable(out, "bundle.json")
    network = network_from(read_keras_layers(path), path)
    recipe = read_recipe(RECIPE)
    names = list(landmarks) or recipe.landmark_names
    classes = network.classes.out_features
    if len(names) != classes - 1:
        raise UsageError(
            f"{path} tells {classes - 1} landmarks from the background, and {len(names)} names are given.",
            "Name them in the order of the network's outputs: --landmarks apex,basal,round-window.",
        )
    if len(set(names)) != len(names):
        raise UsageError("Each landmark has a name of its own.", "Check --landmarks.")
    content = recipe.model_dump(mode="json")
    content["landmarks"] = [{"name": name} for name in names]
    recipe = recipe_from(content)
    stage = build_learner(recipe.stages[0], recipe)
    stage.network.load_state_dict(network.state_dict())
    card: dict[str, Any] = {
        "recipe": recipe.name,
        "imported": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "licence": "That of the imported weights; ask whoever published them.",
        "limits": [
            "Not a medical device. Check every result in its picture before it is used.",
            "Imported, not trained here: spacing, axes and intensities of its training are not in the file.",
        ],
    }
    folder = write_bundle(Bundle(recipe=recipe, weights={stage.name: stage.bundle_state()}, card=card), out)
    write_graphs([stage.eval()], folder)
    return folder


def network_from(layers: Sequence[KerasLayer], path: Path) -> SMICNet:
    """The network whose layers these are, in the order in which Keras made them. Raises DataError."""
    kinds = {kind: [layer for layer in layers if layer.kind == kind] for kind in {layer.kind for layer in layers}}
    counts = {"DepthwiseConv2D": 5, "BatchNormalization": 5, "Conv2D": 9, "Dense": 2}
    found = {kind: len(members) for kind, members in kinds.items() if any(layer.weights for layer in members)}
    if found != counts:
        shown = ", ".join(f"{number} {kind or 'unknown'}" for kind, number in sorted(found.items()))
        raise DataError(f"{path} is no SMICNet: it has {shown} layers.", REMEDY)
    for layer in kinds.get("LeakyReLU", []):
        _require(layer, "alpha", SLOPE, path)
    output = _weight(kinds["Dense"][1], "kernel", path)
    network = SMICNet(1, int(output.shape[-1])).eval()
    convolutions = kinds["Conv2D"]
    # The first block has no shortcut; in the others it was made after the pointwise layer.
    pointwise, shortcuts = [convolutions[0], *convolutions[1::2]], convolutions[2::2]
    for number, block in enumerate(network.blocks):
        assert isinstance(block, WindowBlock)
        _take(block.depthwise, kinds["DepthwiseConv2D"][number], path)
        _take(block.norm, kinds["BatchNormalization"][number], path)
        _take(block.pointwise, pointwise[number], path)
        if block.shortcut is not None:
            _take(block.shortcut, shortcuts[number - 1], path)
    _take(network.hidden, kinds["Dense"][0], path)
    _take(network.classes, kinds["Dense"][1], path)
    return network


def _take(module: nn.Module, layer: KerasLayer, path: Path) -> None:
    """Give a module a layer's weights. Raises DataError when they do not fit."""
    weights: dict[str, np.ndarray]
    if isinstance(module, nn.BatchNorm2d):
        names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        weights = {ours: _weight(layer, theirs, path) for ours, theirs in names.items()}
        _require(layer, "epsilon", NORM_EPSILON, path)
    elif isinstance(module, nn.Conv2d):
        depthwise = module.groups > 1 or layer.kind == "DepthwiseConv2D"
        kernel = _weight(layer, "depthwise_kernel" if "depthwise_kernel" in layer.weights else "kernel", path)
        axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)  # height, width, channels, 1; height, width, in, out
        weights = {
            "weight": kernel.transpose(axes) if kernel.ndim == 4 else kernel,
            "bias": _weight(layer, "bias", path),
        }
        _require(layer, "strides", list(module.stride), path)
        if depthwise:
            _require(layer, "padding", "same", path)
    else:
        weights = {"weight": _weight(layer, "kernel", path).T, "bias": _weight(layer, "bias", path)}
    own: dict[str, Tensor] = dict(module.named_parameters()) | dict(module.named_buffers())
    for name, array in weights.items():
        if tuple(own[name].shape) != array.shape:
            raise DataError(
                f"{path} is no SMICNet: {layer.name} has weights of {array.shape}, not {tuple(own[name].shape)}.",
                REMEDY,
            )
        if not np.isfinite(array).all():
            raise DataError(f"{path} is damaged: {layer.name} holds values that are no numbers.", "Fetch it again.")
        with torch.no_grad():
            own[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _weight(layer: KerasLayer, name: str, path: Path) -> np.ndarray:
    if name not in layer.weights:
        raise DataError(f"{path} is no SMICNet: {layer.name} has no weights named {name}.", REMEDY)
    return layer.weights[name]


def _require(layer: KerasLayer, name: str, value: object, path: Path) -> None:
    """Raise DataError where a layer's settings are known and other ones than the published network's."""
    given = layer.settings.get(name, value)
    same = abs(given - value) < 1e-6 if isinstance(value, float) and isinstance(given, float) else given == value
    if not same:
        raise DataError(f"{path} is no SMICNet: {layer.name} has {name} {given}, not {value}.", REMEDY)
