"""Settings on plain data: ``stages.vessels.network.name=refining-unet``."""

import difflib
from typing import Any

import yaml

from gracile.errors import RecipeError


def apply_setting(data: dict[str, Any], setting: str) -> None:
    """Set one dotted ``key=value`` in place; lists are entered by index or by their items' name.

    Raises:
        RecipeError: There is no such setting, or its value cannot be read; names the nearest ones.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise RecipeError(f"{setting!r} is not a setting.", "Write it as --set train.epochs=50.")
    parts = key.strip().split(".")
    node: Any = data
    for depth, part in enumerate(parts[:-1]):
        node = _enter(node, part, ".".join(parts[: depth + 1]))
    last = parts[-1]
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(
            f"The value {text!r} of {key} cannot be read.", "Write a number, a word, or a list such as [64, 64]."
        ) from None
    if isinstance(node, list):
        node[_index(node, last, key)] = value
    elif isinstance(node, dict):
        if last not in node and parts[-2:-1] != ["options"] and not (parts[-2:-1] == ["train"] and len(parts) > 2):
            raise RecipeError(f"There is no setting {key!r}.", _nearest(last, node))
        node[last] = value
    else:
        raise RecipeError(f"There is no setting {key!r}.", f"{'.'.join(parts[:-1])} is a single value.")


def _enter(node: Any, part: str, so_far: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, so_far)]
    if isinstance(node, dict) and part in node:
        return node[part]
    above = so_far.rpartition(".")[0]
    hint = _nearest(part, node) if isinstance(node, dict) else f"{above} is a single value."
    raise RecipeError(f"There is no setting {so_far!r}.", hint)


def _index(items: list[Any], part: str, so_far: str) -> int:
    if part.isdecimal() and int(part) < len(items):
        return int(part)
    names = [item.get("name") if isinstance(item, dict) else index for index, item in enumerate(items)]
    if part in names:
        return names.index(part)
    raise RecipeError(f"There is no {so_far!r}.", f"There are: {', '.join(str(n) for n in names)}.")


def _nearest(word: str, node: dict[str, Any]) -> str:
    close = difflib.get_close_matches(word, node, n=3)
    return f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(node)}."
