"""Which settings of two runs differ, in words for a message."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = 3
"""Settings that a message names; of further ones it tells the number."""

_LONGEST = 40
_ABSENT = object()


def differing_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The settings that differ, as ``probabilities was false and is true``, the first few of them.

    Args:
        before: Settings as plain data, those that were.
        now: Those that are. Values are named by dotted paths, items of lists by their ``name``, as in ``--set``.

    Returns:
        An empty text where all are equal.
    """
    found = [_words(path, *values) for path, values in _differences(before, now)]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def _differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    before, now = _named(before), _named(now)
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in {**before, **now}:
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(before.get(key, _ABSENT), now.get(key, _ABSENT), inner)
    elif before != now:
        yield path, (before, now)


def _named(value: Any) -> Any:
    """A list of things with names of their own as a mapping by these names; all else as it is."""
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(item, Mapping) and "name" in item for item in value)
    ):
        return value
    names = [item["name"] for item in value]
    return dict(zip(names, value, strict=True)) if len(set(names)) == len(names) else value


def _words(path: str, before: Any, now: Any) -> str:
    if path.startswith("model.weights"):
        return f"{path} differ"
    return f"{path} was {_shown(before)} and is {_shown(now)}"


def _shown(value: Any) -> str:
    if value is _ABSENT or value is None:
        return "not set"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
