"""Gracile finds slender anatomy and delineates it.

Example:
    >>> import gracile
    >>> result = gracile.load("retina-av")("photograph.png")  # doctest: +SKIP
    >>> result.mask  # doctest: +SKIP
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gracile.names import VERSION as __version__

# Two busy cores spin against each other otherwise; read by OpenMP when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from gracile.api import (
        Answer,
        Model,
        Options,
        calibrate,
        compare,
        evaluate,
        explain,
        export,
        few_shot,
        gate_value,
        load,
        merge,
        plan,
        predict,
        table,
        train,
        tune,
    )  # fmt: skip
    from gracile.case import Case
    from gracile.client import Client
    from gracile.errors import GracileError
    from gracile.recipe import Recipe, read_recipe
    from gracile.result import Result

_PLACES = {
    **dict.fromkeys(
        ("Answer", "Model", "Options", "calibrate", "compare", "evaluate", "explain", "export", "few_shot",
         "gate_value", "load", "merge", "plan", "predict", "table", "train", "tune"),
        "gracile.api",
    ),
    "Case": "gracile.case",
    "Client": "gracile.client",
    "GracileError": "gracile.errors",
    "Recipe": "gracile.recipe",
    "Result": "gracile.result",
    "read_recipe": "gracile.recipe",
}  # fmt: skip
"""Where each public name is defined; loaded when first asked for, so that the command line starts fast."""

__all__ = [
    "Answer", "Case", "Client", "GracileError", "Model", "Options", "Recipe", "Result", "__version__",
    "calibrate", "compare", "evaluate", "explain", "export", "few_shot", "gate_value", "load", "merge", "plan",
    "predict", "read_recipe", "table", "train", "tune",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'gracile' has no attribute {name!r}")
    return getattr(import_module(place), name)


class _Package(ModuleType):
    """Keeps the function where a room of the package has its name: importing the room would put it in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
