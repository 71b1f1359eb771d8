"""JSON and YAML as plain data, read with care: whatever a file holds, it is read or refused in one sentence.

It stands below recipes, so that every file of either kind is read here: one that is cut off, nested without end, in
another encoding, with numbers that no computer counts to, or with aliases that unfold to more than fits into memory.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import date
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, InstanceOf, TypeAdapter, ValidationError

from gracile.errors import DataError, GracileError

DEEPEST = 64
"""Levels of lists and mappings within one another; files of people and of Gracile have fewer than twenty."""

MOST_YAML_VALUES = 100_000
"""Values of a YAML file with its aliases unfolded."""

_LONGEST_WHOLE = 20
"""Digits of a whole number: more than 64 bits hold no numeric library takes."""

_JSON_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_JSON_BRACKET = re.compile(r"[\[\]{}]")


def _placeable(text: str) -> str:
    if "\0" in text or any("\ud800" <= letter < "\udc80" or "\udcff" < letter <= "\udfff" for letter in text):
        raise ValueError("no name that a file can have")
    return text


Text = InstanceOf[str]
"""Any text in a shape; file names of old disks, which are no Unicode, among them."""

FileName = Annotated[Text, AfterValidator(_placeable)]
"""A text in a shape that a disk can be asked for."""


def read_json(
    path: Path,
    remedy: str,
    *,
    kind: type[GracileError] = DataError,
    shape: Any = None,
    any_number: bool = False,
) -> Any:
    """The content of a JSON file.

    Args:
        path: The file.
        remedy: What to do where it cannot be read, in one sentence.
        kind: What is raised then.
        shape: A type, such as a TypedDict, that the content must be of.
        any_number: Take NaN and infinite numbers too, which some programs write though JSON has none.

    Raises:
        GracileError: Of that kind.
    """
    return parse_json(_bytes_of(path, remedy, kind), str(path), remedy, kind=kind, shape=shape, any_number=any_number)


def parse_json(
    content: bytes | str,
    what: str,
    remedy: str,
    *,
    kind: type[GracileError] = DataError,
    shape: Any = None,
    any_number: bool = False,
) -> Any:
    """What a JSON text says; ``what`` names it in the error. See `read_json`."""

    def number(text: str) -> float:
        value = float(text)
        if not any_number and not math.isfinite(value):
            raise ValueError(f"{text[:20]} is no number")
        return value

    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        data = json.loads(text, parse_int=_whole, parse_float=number, parse_constant=number)
        _require_shallow(text)
    except UnicodeDecodeError:
        raise kind(f"{what} cannot be read: it is not UTF-8.", remedy) from None
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise kind(f"{what} cannot be read: it is not JSON, or was cut off ({at}).", remedy) from None
    except RecursionError:
        raise kind(f"{what} cannot be read: it is nested more than {DEEPEST} deep.", remedy) from None
    except ValueError as error:
        raise kind(f"{what} cannot be read: {error}.", remedy) from None
    if shape is not None:
        require_shape(data, shape, what, remedy, kind)
    return data


def _whole(text: str) -> int:
    if len(text) > _LONGEST_WHOLE:
        raise ValueError(f"{text[:12]}... is too large a number")
    return int(text)


def _require_shallow(text: str) -> None:
    """Raise RecursionError where valid JSON is nested deeper than any file that is meant; its copies would fail."""
    if text.count("[") + text.count("{") > DEEPEST:
        brackets = _JSON_BRACKET.findall(_JSON_STRING.sub("", text))
        if max(accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0) > DEEPEST:
            raise RecursionError


def require_shape(data: Any, shape: Any, what: str, remedy: str, kind: type[GracileError] = DataError) -> None:
    """Raise an error where plain data is not of a type; the values themselves are never told, as they may be anyone's.

    Args:
        data: Plain data.
        shape: A type that pydantic knows.
        what: Names the data in the error.
        remedy: What to do then.
        kind: What is raised.
    """
    try:
        _adapter(shape).validate_python(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        found = f"{place}: {said[:1].lower()}{said[1:]}" if place else f"{said[:1].lower()}{said[1:]}"
        raise kind(f"{what} does not hold what it should ({found}).", remedy) from None


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def read_yaml(path: Path, remedy: str, kind: type[GracileError] = DataError, what: str = "") -> Any:
    """The content of a YAML file; ``what`` names it in the error, by default its path. Raises an error of that kind."""
    return parse_yaml(_bytes_of(path, remedy, kind, what), what or str(path), remedy, kind)


def parse_yaml(content: bytes | str, what: str, remedy: str, kind: type[GracileError] = DataError) -> Any:
    """What a YAML text says: scalars, lists and mappings. See `read_yaml`."""
    try:
        data = yaml.safe_load(content if isinstance(content, str) else content.decode("utf-8-sig"))
        _unfolded(data, {}, DEEPEST)
    except UnicodeDecodeError:
        raise kind(f"{what} cannot be read: it is not UTF-8.", remedy) from None
    except yaml.MarkedYAMLError as error:
        at = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise kind(f"{what} cannot be read: {error.problem or 'it is no YAML'}{at}.", remedy) from None
    except RecursionError:
        raise kind(f"{what} cannot be read: it is nested more than {DEEPEST} deep.", remedy) from None
    except OverflowError as error:
        raise kind(f"{what} cannot be read: {error}.", remedy) from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError):
        # What a tag claims and its text is not, such as !!int "x", a 99th of May or a control character, has no error
        # of its own in the library.
        raise kind(f"{what} cannot be read: it is no YAML of plain values.", remedy) from None
    return data


def _unfolded(node: Any, known: dict[int, int], left: int) -> int:
    """The number of values that a node stands for. Raises RecursionError, and OverflowError beyond what is read."""
    if isinstance(node, int) and node.bit_length() > 64:
        raise OverflowError("a number in it is too large")
    if isinstance(node, date | bytes | set):
        raise OverflowError("it holds a date, a set or bytes, which no setting is")
    if not isinstance(node, list | dict):
        return 1
    if not left:
        raise RecursionError
    if id(node) not in known:
        known[id(node)] = MOST_YAML_VALUES  # what an alias to the list that it stands in counts for
        parts = node if isinstance(node, list) else [*node, *node.values()]
        known[id(node)] = 1 + sum(_unfolded(part, known, left - 1) for part in parts)
        if known[id(node)] > MOST_YAML_VALUES:
            raise OverflowError(f"its aliases unfold to more than {MOST_YAML_VALUES} values")
    return known[id(node)]


def _bytes_of(path: Path, remedy: str, kind: Callable[[str, str], GracileError], what: str = "") -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        reason = getattr(error, "strerror", None) or "it has no name that a file can have"
        raise kind(f"{what or path} cannot be read: {reason}.", remedy) from None
