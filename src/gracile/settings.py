"""Files of settings by name, and settings on plain data: ``stages.vessels.network.name=refining-unet``."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from gracile.errors import RecipeError, nearest
from gracile.names import docs_page
from gracile.plain_data import parse_yaml, read_yaml


def named_file(source: str, kind: str, folder: Path, shipped: Collection[str]) -> Path:
    """The YAML file of a shipped name in a folder, or of a path. Raises RecipeError."""
    if source in shipped:
        return folder / f"{source}.yaml"
    path = Path(source)
    if path.suffix in {".yaml", ".yml"}:
        return path
    raise RecipeError(f"There is no {kind} {source!r}.", nearest(source, [*shipped, "a .yaml file"]))


def read_mapping(path: Path, kind: str, page: str) -> dict[str, Any]:
    """The YAML mapping of a file; ``kind`` and a ``page`` of docs/ are named in the RecipeError that it may raise."""
    data = read_yaml(path, "Check its path and its YAML.", RecipeError, f"The {kind} {path}")
    if not isinstance(data, dict):
        raise RecipeError(f"{path} is not a {kind}.", f"A {kind} is a YAML mapping; see {docs_page(page)}.")
    return data


def read_setting(setting: str) -> tuple[str, Any]:
    """The dotted name and the value of a ``key=value``. Raises RecipeError."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise RecipeError(f"{setting!r} is not a setting.", "Write it as --set train.epochs=50.")
    remedy = "Write a number, a word, or a list such as [64, 64]."
    return key.strip(), parse_yaml(text, f"The value {text[:200]!r} of {key}", remedy, RecipeError)


def apply_setting(data: dict[str, Any], key: str, value: Any) -> None:
    """Set one dotted name in place; lists are entered by index or by their items' name.

    Raises:
        RecipeError: There is no such setting; names the nearest ones.
    """
    parts = key.split(".")
    node: Any = data
    for depth, part in enumerate(parts[:-1]):
        of_a_stage = depth == 3 and parts[0] == "stages" and parts[2] == "train"
        if of_a_stage and part == "transfer" and isinstance(node, dict):
            node.setdefault(part, {})  # a stage's `train` says only what differs
        node = _enter(node, part, ".".join(parts[: depth + 1]))
    last = parts[-1]
    open_ended = parts[-2:-1] == ["options"] or (len(parts) > 3 and parts[0] == "stages" and parts[2] == "train")
    if isinstance(node, list):
        node[_index(node, last, key)] = value
    elif isinstance(node, dict):
        if last not in node and not open_ended:
            raise RecipeError(f"There is no setting {key!r}.", nearest(last, node))
        node[last] = value
    else:
        raise RecipeError(f"There is no setting {key!r}.", f"{'.'.join(parts[:-1])} is a single value.")


def _enter(node: Any, part: str, so_far: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, so_far)]
    if isinstance(node, dict) and part in node:
        return node[part]
    above = so_far.rpartition(".")[0]
    hint = nearest(part, node) if isinstance(node, dict) else f"{above} is a single value."
    raise RecipeError(f"There is no setting {so_far!r}.", hint)


def _index(items: list[Any], part: str, so_far: str) -> int:
    if part.isdecimal() and int(part) < len(items):
        return int(part)
    names = [item.get("name") if isinstance(item, dict) else index for index, item in enumerate(items)]
    if part in names:
        return names.index(part)
    raise RecipeError(f"There is no {so_far!r}.", nearest(part, [str(name) for name in names]))
