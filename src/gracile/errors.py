"""The errors a user may meet. Each says what is wrong and what to do about it."""

import difflib
import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
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


class WriteError(DataError):
    """A place that cannot be written to: the disk is full or refuses. A run ends, as its next file would fail too."""


class RecipeError(GracileError):
    """A recipe or setting that makes no sense."""

    exit_code = 2


class BundleError(GracileError):
    """A trained bundle that is absent, damaged or made for something else."""


class ExportError(GracileError):
    """A model that other programs cannot be given as it is, or that answers otherwise in them."""


class GeometryError(GracileError):
    """Grids, spacings or coordinate systems that do not fit together."""


class UsageError(GracileError):
    """A command that was called in a way that cannot work."""

    exit_code = 2


PARTS: dict[str, str] = {
    "train": "Training, exporting, checking networks and models without a graph",
    "explain": "Explaining what a gate looked at",
    "keras": "Reading Keras weights",
}
"""What needs packages that ``pip install gracile`` alone does not bring, by the extra that does."""


class MissingPartError(UsageError):
    """Something that needs packages which are not installed."""


@contextmanager
def needs(part: str) -> Iterator[None]:
    """Around imports of a part of `PARTS`. Raises MissingPartError, with what to install, where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "gracile").partition(".")[0] == "gracile":
            raise
        raise MissingPartError(
            f"{PARTS[part]} needs the package {error.name}, which is not installed.",
            f'Install it: pip install "gracile[{part}]"',
        ) from None


def in_words(error: BaseException) -> str:
    """Why something failed, for people: never a type's name, never what a library quotes of a patient's file.

    A fault of the program itself is told as that; `--debug` shows it.
    """
    if isinstance(error, GracileError):
        return str(error)
    if isinstance(error, MemoryError):
        return "It needs more memory than there is. Make it smaller, or use a larger machine."
    if isinstance(error, OSError) and error.strerror:
        return f"The system says: {error.strerror}."
    return "It met a fault of Gracile. Run it again with `gracile --debug`, and report what that shows."


def nearest(word: str, words: Iterable[str]) -> str:
    """A remedy for a word that is not known: the nearest ones, or, where none is near, all that there are."""
    known = list(dict.fromkeys(words))
    folded = {one.casefold(): one for one in reversed(known)}
    close = difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(folded[one] for one in close)}?"
    return f"There are: {', '.join(known)}." if known else "There are none."


def require_options(
    what: str, kind: Callable[..., Any], options: Mapping[str, Any], given: Collection[str], further: bool = False
) -> None:
    """Raise RecipeError for options that something built by a recipe does not have, lacks, or cannot take.

    Args:
        what: That is built, such as ``network 'unet'``.
        kind: What builds it; its annotations say of which type each option is.
        options: The options that the recipe gives.
        given: Arguments that follow from the rest of the recipe and are no options.
        further: Whether it takes options that it does not name.
    """
    parameters = inspect.signature(kind).parameters
    takes = [n for n, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    takes = [n for n in takes if n not in given]
    unknown = [option for option in options if option not in takes and (option in given or not further)]
    if unknown:
        raise RecipeError(f"The {what} has no option {unknown[0]!r}.", nearest(unknown[0], takes))
    missing = [n for n in takes if parameters[n].default is inspect.Parameter.empty and n not in options]
    if missing:
        raise RecipeError(f"The {what} needs {' and '.join(missing)}.", "State them among its options.")
    annotations = _annotations(kind)
    for name, value in options.items():
        if name in annotations and (why := _why_not_by_axis(value, annotations[name])):
            raise RecipeError(f"The {what} cannot take {value!r} as its option {name!r}: {why}.", "Correct it.")


def _annotations(kind: Callable[..., Any]) -> dict[str, Any]:
    """Types of what a class or function takes; none where a library's own cannot be resolved."""
    try:
        return typing.get_type_hints(kind.__init__ if inspect.isclass(kind) else kind)
    except (NameError, TypeError, AttributeError):
        return {}


def _why_not_by_axis(value: Any, annotation: Any) -> str:
    """Like `_why_not`; takes a list for each axis too where libraries' annotations tell of one number alone."""
    why = _why_not(value, annotation)
    lists = [part for part in value if isinstance(part, list)] if isinstance(value, list) else []
    if not why or not lists or not all(lists):
        return why
    for axis in range(max(len(part) for part in lists)):
        of_axis = [part[axis % len(part)] if isinstance(part, list) else part for part in value]
        if why := _why_not_by_axis(of_axis, annotation):
            return why
    return ""


def _why_not(value: Any, annotation: Any) -> str:
    """Why a value from YAML is not of a type; empty where it is, or where that cannot be told."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        accepts = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticUserError, TypeError, NameError):
        return ""
    try:
        accepts.validate_python(value)
    except ValidationError as error:
        messages = dict.fromkeys(problem["msg"] for problem in error.errors())
        return " or ".join(message[:1].lower() + message[1:] for message in messages)
    return ""
