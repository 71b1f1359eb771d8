"""A network as a function of arrays, through one of several engines."""

from gracile.runners.base import Computed, Computing, Runner
from gracile.runners.choice import open_runner

__all__ = ["Computed", "Computing", "Runner", "open_runner"]
