"""Weights of Keras models from HDF5 files, as plain arrays by layer; no TensorFlow is needed."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError, needs
from gracile.plain_data import parse_json

with needs("keras"):
    import h5py


@dataclass(frozen=True)
class KerasLayer:
    """One layer.

    Args:
        kind: ``Conv2D``, ``DepthwiseConv2D``, ``BatchNormalization``, ``Dense``, or another class of Keras.
        name: As Keras named it, such as ``conv2d_3``.
        weights: By their names in Keras, such as ``kernel``, ``bias`` or ``moving_mean``; empty where it has none.
        settings: The layer's configuration; empty where the file holds weights alone.
    """

    kind: str
    name: str
    weights: dict[str, np.ndarray]
    settings: dict[str, Any] = field(default_factory=dict)


KINDS = {
    "conv2d": "Conv2D",
    "depthwise_conv2d": "DepthwiseConv2D",
    "batch_normalization": "BatchNormalization",
    "dense": "Dense",
}
"""Kinds by the names that Keras gives layers, where the file does not say."""


def read_keras_layers(path: Path) -> list[KerasLayer]:
    """The layers of a model that Keras saved as HDF5, in the order in which they were made.

    Takes whole models (``model.save``) and weights alone (``save_weights``).

    Raises:
        DataError: No HDF5 file, or none of Keras.
    """
    try:
        with h5py.File(path) as file:
            settings = _settings(file)
            group = file.get("model_weights", file)
            found = [_layer(group[name], name, settings) for name in group if isinstance(group[name], h5py.Group)]
    except MemoryError:
        raise
    except Exception:  # whatever HDF5 meets in a damaged file
        raise DataError(
            f"{path} cannot be read as a Keras model.",
            "It takes HDF5 files (.h5) as Keras 2 saves them.",
        ) from None
    if not any(layer.weights for layer in found):
        raise DataError(f"{path} holds no weights of Keras layers.", "It takes .h5 files as Keras 2 saves them.")
    return sorted(found, key=lambda layer: (layer.kind, _number(layer.name)))


def _settings(file: h5py.File) -> dict[str, dict[str, Any]]:
    """Class and configuration of each layer by its name, where the file tells."""
    text = file.attrs.get("model_config")
    if text is None:
        return {}
    layers = parse_json(text, "Its configuration", "Save it again.")["config"]["layers"]
    return {layer["config"]["name"]: {"class_name": layer["class_name"], **layer["config"]} for layer in layers}


def _layer(group: h5py.Group, name: str, settings: dict[str, dict[str, Any]]) -> KerasLayer:
    weights: dict[str, np.ndarray] = {}

    def take(path: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            weights[path.rsplit("/", 1)[-1].removesuffix(":0")] = np.asarray(item, dtype=np.float32)

    group.visititems(take)
    own = dict(settings.get(name, {}))
    return KerasLayer(own.pop("class_name", KINDS.get(re.sub(r"_\d+$", "", name), "")), name, weights, own)


def _number(name: str) -> int:
    """Keras counts layers of a kind as they are made: ``conv2d``, ``conv2d_1``, ``conv2d_2``."""
    ending = re.search(r"_(\d+)$", name)
    return int(ending[1]) if ending else 0
