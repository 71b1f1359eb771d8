"""The errors a user may meet. Each says what is wrong and what to do about it."""

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any


class GracileError(Exception):
    """Something the user can mend.

    Args:
        message: What is wrong, in one sentence.
        remedy: What to do about it, in one sentence; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class DataError(GracileError):
    """A file, folder or label that cannot be used as it is."""


class RecipeError(GracileError):
    """A recipe or setting that makes no sense."""

    exit_code = 2


class BundleError(GracileError):
    """A trained bundle that is absent, damaged or made for something else."""


class GeometryError(GracileError):
    """Grids, spacings or coordinate systems that do not fit together."""


class UsageError(GracileError):
    """A command that was called in a way that cannot work."""

    exit_code = 2


def nearest(word: str, names: Iterable[str]) -> str:
    """A remedy for a name that does not exist: the names that are most like it, or all of them."""
    known = list(names)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.4)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(known)}." if known else "It has none."


def require_options(
    what: str, kind: Callable[..., Any], options: Iterable[str], given: Collection[str], further: bool = False
) -> None:
    """Raise RecipeError for options that something built by a recipe does not have, or lacks.

    Args:
        what: That is built, such as ``network 'unet'``.
        kind: What builds it.
        options: Names of the options that the recipe gives.
        given: Arguments that follow from the rest of the recipe and are no options.
        further: Whether it takes options that it does not name.
    """
    parameters = inspect.signature(kind).parameters
    takes = [n for n, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    takes = [n for n in takes if n not in given]
    options = list(options)
    unknown = [option for option in options if option not in takes and (option in given or not further)]
    if unknown:
        raise RecipeError(f"The {what} has no option {unknown[0]!r}.", nearest(unknown[0], takes))
    missing = [n for n in takes if parameters[n].default is inspect.Parameter.empty and n not in options]
    if missing:
        raise RecipeError(f"The {what} needs {' and '.join(missing)}.", "State them among its options.")
