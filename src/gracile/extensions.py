"""Networks, losses and measures of other installed packages, beside Gracile's own. Needs no torch.

A package names them among its entry points, in the group ``gracile.networks``, ``gracile.losses`` or
``gracile.measures``, as ``name = "module:Class"``. These are read from what an installation says of the package; its
code is imported when a recipe uses the name, and not before.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from gracile.errors import GracileError, RecipeError
from gracile.names import ANY, LOSSES, MEASURES, NETWORKS, WINDOW_NETWORKS, Kind, Named

What = Literal["network", "loss", "measure"]

GROUPS: dict[What, str] = {"network": "gracile.networks", "loss": "gracile.losses", "measure": "gracile.measures"}
"""The groups of entry points."""


@dataclass(frozen=True)
class Added(Named):
    """What a package adds. What it can be used on, its class says once it is imported, as ``inputs``.

    Args:
        what: What it is.
        name: Its name in recipes.
        packages: Those that add it: one, or those that are at odds.
    """

    what: What = "network"
    name: str = ""
    packages: tuple[str, ...] = ()

    def problem(self) -> str:
        """That several packages add it."""
        if len(self.packages) < 2:
            return ""
        return f"the {self.what} {self.name!r} is added by several packages: {' and '.join(self.packages)}"

    def load(self) -> Any:
        """Its class, imported now. Raises RecipeError where the package is at odds with another, or at fault."""
        if problem := self.problem():
            raise RecipeError(f"{problem[0].upper()}{problem[1:]}.", "Uninstall all but one of them.")
        module, _, path = self.place.partition("[")[0].strip().partition(":")
        try:
            loaded: Any = importlib.import_module(module.strip())
            for part in path.strip().split("."):
                loaded = getattr(loaded, part)
        except ModuleNotFoundError as error:
            if error.name == "torch":
                raise self._fault("it needs torch", "Install it: pip install 'gracile[train]'.") from error
            raise self._fault(_in_a_line(error)) from error
        except Exception as error:  # whatever the code of a stranger raises
            raise self._fault(_in_a_line(error)) from error
        if not callable(loaded):
            raise self._fault(f"{self.place} is no class")
        return loaded

    def sees(self) -> tuple[Kind, ...]:
        """What it can be used on, as its class says. Raises RecipeError."""
        inputs = getattr(self.load(), "inputs", ANY)
        if not isinstance(inputs, tuple | list) or not inputs or not set(inputs) <= set(ANY):
            raise self._fault(f"the inputs of its class are {inputs!r}, and there are {' and '.join(ANY)}")
        return tuple(inputs)

    def require_kind(self, kind: type) -> Any:
        """Its class, a subclass of ``kind``. Raises RecipeError."""
        loaded = self.load()
        if not isinstance(loaded, type) or not issubclass(loaded, kind):
            raise self._fault(f"{self.place} is no {kind.__module__}.{kind.__qualname__}")
        return loaded

    def _fault(self, why: str, remedy: str = "") -> RecipeError:
        package = self.packages[0]
        return RecipeError(
            f"The {self.what} {self.name!r} of the package {package} cannot be used: {why}.",
            remedy or f"Mend {package.partition(' ')[0]}, or ask those who made it.",
        )


def _in_a_line(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, GracileError):
        return error.message.rstrip(".")
    said = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class Known(Mapping[str, Named]):
    """All of one sort by name: Gracile's own, then those of packages, which are looked for when they matter.

    A name that Gracile has stays Gracile's, and so do names with a colon, which are those of libraries.

    Args:
        what: What it names.
        own: Gracile's own.
        taken: Further names that are Gracile's.
    """

    def __init__(self, what: What, own: Mapping[str, Named], taken: Mapping[str, Any] | None = None) -> None:
        self.what = what
        self._own = own
        self._taken = {**own, **(taken or {})}

    def __getitem__(self, name: str) -> Named:
        return self._own[name] if name in self._own else self._added()[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._own, *self._added()])

    def __len__(self) -> int:
        return len(self._own) + len(self._added())

    def passed_over(self) -> dict[str, tuple[str, ...]]:
        """Packages by the names that they add in vain, as those are Gracile's."""
        return {name: one.packages for name, one in _found(self.what, tuple(sys.path)).items() if self._is_taken(name)}

    def _added(self) -> dict[str, Added]:
        return {name: one for name, one in _found(self.what, tuple(sys.path)).items() if not self._is_taken(name)}

    def _is_taken(self, name: str) -> bool:
        return name in self._taken or ":" in name


@cache
def _found(what: What, path: tuple[str, ...]) -> dict[str, Added]:
    """What installed packages add, read once for each state of Python's path."""
    from importlib.metadata import entry_points  # takes a moment, and own names don't need it

    found: dict[str, list[tuple[str, str]]] = {}
    for entry in entry_points(group=GROUPS[what]):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "of an unknown name"
        found.setdefault(entry.name, []).append((package, entry.value))
    return {
        name: Added(
            f"of the package {' and of '.join(package for package, _ in sorted(places))}",
            sorted(places)[0][1],
            ANY,
            what=what,
            name=name,
            packages=tuple(package for package, _ in sorted(places)),
        )
        for name, places in sorted(found.items())
    }


ALL_NETWORKS = Known("network", NETWORKS, WINDOW_NETWORKS)
ALL_LOSSES = Known("loss", LOSSES)
ALL_MEASURES = Known("measure", MEASURES)
