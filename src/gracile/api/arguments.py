"""Arguments of the public functions: what does not fit is told in words before anything runs."""

import functools
import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from pydantic import ConfigDict, ValidationError, validate_call

from gracile.errors import UsageError

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

_SHOWN = 60
"""Letters of a wrong argument that are repeated to the user."""


def checked(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Make a function raise UsageError for arguments that are missing, unknown or of a kind that its signature does
    not take. The signature is read when it is first called, as its names may be defined later than the function.
    """
    validated: list[Callable[Given, Returned]] = []

    @functools.wraps(function)
    def unnamed(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        return function(*args, **kwargs)

    # What is given back is not checked, and its type may be one that is imported for type checkers alone.
    unnamed.__annotations__ = {name: kind for name, kind in function.__annotations__.items() if name != "return"}

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        if not validated:
            validated.append(validate_call(config=ConfigDict(arbitrary_types_allowed=True))(unnamed))
        try:
            return validated[0](*args, **kwargs)
        except ValidationError as error:
            if error.title not in (function.__name__, function.__qualname__):  # of something else, inside
                raise
            raise _usage_error(function, error) from None

    return call


def _usage_error(function: Callable[..., Any], error: ValidationError) -> UsageError:
    first = error.errors()[0]
    parameters = inspect.signature(function).parameters
    names = list(parameters)
    own = {"__call__": "A model"}.get(function.__name__, f"{function.__name__}()")
    argument = first["loc"][0]
    if first["type"] == "unexpected_keyword_argument":
        near = get_close_matches(str(argument), names, 1)
        hint = f"Did you mean {near[0]}?" if near else f"It has: {', '.join(names)}."
        return UsageError(f"{own} has no argument {argument!r}.", hint)
    if first["type"] == "unexpected_positional_argument":
        return UsageError(f"{own} was given too many arguments.", f"In their order: {', '.join(names)}.")
    name = names[argument] if isinstance(argument, int) and argument < len(names) else str(argument)
    takes = _in_words(parameters[name].annotation)
    if first["type"].startswith("missing"):
        return UsageError(f"{own} needs the argument {name}.", f"It takes {takes}.")
    value = repr(first["input"])
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    return UsageError(f"{own} cannot use {shown} as {name}.", f"It takes {takes}.")


def _in_words(annotation: Any) -> str:
    """A type as people say it: ``str or Path or list of str``."""
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Literal:
        return " or ".join(map(repr, parts))
    if kind in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_in_words, parts)))
    if kind is not None and issubclass(kind, Sequence):
        return f"list of {_in_words(parts[0])}"
    return "None" if annotation is NoneType else getattr(annotation, "__name__", str(annotation))
