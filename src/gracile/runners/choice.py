"""Which engine computes a network."""

import importlib

from gracile.bundle import Bundle
from gracile.runners.base import Computing, Runner


def open_runner(bundle: Bundle, stage: str, computing: Computing) -> Runner:
    """The network of a stage of a bundle as a function of arrays."""
    return importlib.import_module("gracile.learning.runner").open_torch_runner(bundle, stage, computing)
