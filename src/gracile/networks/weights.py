"""Weights of a bundle, which are arrays, as PyTorch's tensors."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def tensors_of(weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Tensors with memory of their own, by the same names."""
    return {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
