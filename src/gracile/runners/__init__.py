"""Runners: a network as a function of arrays, computed by OpenVINO, ONNX Runtime or PyTorch."""

from gracile.runners.base import Computed, Computing, Runner
from gracile.runners.choice import ENGINES, open_runner

__all__ = ["ENGINES", "Computed", "Computing", "Runner", "open_runner"]
