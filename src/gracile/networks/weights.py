"""Weights of a bundle, which are arrays, as PyTorch's tensors; and which weights only a training needs."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn


def tensors_of(weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Tensors with memory of their own, by the same names."""
    return {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}


def only_trained_with(module: nn.Module) -> set[str]:
    """Names of weights that no answer in use needs: those of the parts that networks name in ``training_only``."""
    parts = [
        f"{name}.{part}.".removeprefix(".")
        for name, network in module.named_modules()
        for part in getattr(network, "training_only", ())
    ]
    return {name for name in module.state_dict() if any(name.startswith(part) for part in parts)}
