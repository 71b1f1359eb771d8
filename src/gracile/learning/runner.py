"""A stage's network computed by PyTorch."""

import threading
from typing import Any

import numpy as np
import torch

from gracile.bundle import Bundle
from gracile.devices import in_fast_layout, resolve_device
from gracile.errors import BundleError
from gracile.learning.graphs import exported
from gracile.networks.weights import tensors_of
from gracile.runners.base import Computed, Computing
from gracile.stages import build_stage


def open_torch_runner(bundle: Bundle, stage: str, computing: Computing) -> "TorchRunner":
    """The network of a bundle's stage. Raises BundleError when its weights do not fit."""
    spec = next(spec for spec in bundle.recipe.stages if spec.name == stage)
    built = build_stage(spec, bundle.recipe)
    built.load_bundle_state(tensors_of(bundle.weights[stage]))
    own = exported(built)
    if own is None:
        raise BundleError(f"The stage {stage!r} has no network from arrays to an array.", "Use the pipeline.")
    return TorchRunner(own.module, computing)


class TorchRunner:
    """A module in use, on the processor or a GPU; bfloat16 by autocast."""

    def __init__(self, module: Any, computing: Computing) -> None:
        device = resolve_device(computing.device)
        self._module = in_fast_layout(module.eval().to(device))
        self._device = device
        self._calling = threading.Lock()
        self.computed = Computed(
            "torch", torch.__version__.split("+")[0], computing.precision, computing.threads, device.type
        )

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """As `gracile.runners.Runner`."""
        tensors = [in_fast_layout(torch.from_numpy(np.ascontiguousarray(values)).to(self._device)) for values in inputs]
        reduced = self.computed.precision == "bfloat16"
        with self._calling, torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
            threads = torch.get_num_threads()
            torch.set_num_threads(self.computed.threads)
            try:
                return self._module(*tensors).float().cpu().numpy()
            finally:
                torch.set_num_threads(threads)
