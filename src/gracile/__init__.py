"""Gracile finds slender anatomy and delineates it.

Example:
    >>> import gracile
    >>> result = gracile.load("retina-av")("photograph.png")  # doctest: +SKIP
    >>> result.mask  # doctest: +SKIP
"""

import os
from typing import TYPE_CHECKING, Any

from gracile.names import VERSION as __version__

# Two busy cores spin against each other otherwise; read by OpenMP when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from gracile.api import Model, compare, evaluate, few_shot, gate_value, load, predict, train, tune
    from gracile.client import Client

__all__ = [
    "Client", "Model", "__version__",
    "compare", "evaluate", "few_shot", "gate_value", "load", "predict", "train", "tune",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "Client":  # it needs no torch
        from gracile.client import Client

        return Client
    if name in __all__:  # loaded when first asked for, so that the command line starts fast
        from gracile import api

        return getattr(api, name)
    raise AttributeError(f"module 'gracile' has no attribute {name!r}")
