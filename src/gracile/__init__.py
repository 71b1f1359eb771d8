"""Gracile finds slender anatomy and delineates it.

Example:
    >>> import gracile
    >>> result = gracile.load("retina-av")("photograph.png")  # doctest: +SKIP
    >>> result.mask  # doctest: +SKIP
"""

import os
from typing import TYPE_CHECKING, Any

# Two busy cores spin against each other otherwise; read by OpenMP when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from gracile.api import Model, evaluate, load, predict, train

__version__ = "0.1.0"
__all__ = ["Model", "evaluate", "load", "predict", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from gracile import api

        return getattr(api, name)
    raise AttributeError(f"module 'gracile' has no attribute {name!r}")
