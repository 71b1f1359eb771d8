"""A recipe as YAML that says why: a comment before each setting that was chosen."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from gracile.recipe import Recipe

WIDTH = 110


def commented_yaml(recipe: Recipe, reasons: Mapping[str, str]) -> str:
    """What differs from the defaults, as YAML that `gracile.recipe.read_recipe` reads back.

    Args:
        recipe: What is written.
        reasons: By dotted name; stages go by their names, as in ``stages.segment.losses``.
    """
    content, whole = recipe.model_dump(mode="json", exclude_defaults=True), recipe.model_dump(mode="json")
    for stage, full in zip(content["stages"], whole["stages"], strict=True):
        stage |= {"kind": full["kind"], "name": full["name"]}
    for name in reasons:
        _state(content, whole, name.split("."))
    return "\n".join(_lines(content, "", reasons, 0)) + "\n"


def _state(content: Any, whole: Any, keys: Sequence[str]) -> None:
    """Put a value into what is written, default or not."""
    key, *rest = keys
    if isinstance(whole, list):  # stages go by their names
        place = next((number for number, entry in enumerate(whole) if entry.get("name") == key), None)
        if place is not None and rest:
            _state(content[place], whole[place], rest)
    elif rest:
        _state(content.setdefault(key, {}), whole[key], rest)
    else:
        content[key] = whole[key]


def _lines(content: Mapping[str, Any], front: str, reasons: Mapping[str, str], depth: int) -> Iterator[str]:
    for key, value in content.items():
        name = f"{front}{key}"
        yield from _comment(reasons.get(name, ""), depth)
        if key == "stages" and not front:
            yield "stages:"
            for stage in value:
                yield from _stage(stage, reasons)
        elif isinstance(value, dict) and any(other.startswith(f"{name}.") for other in reasons):
            yield f"{' ' * depth}{key}:"
            yield from _lines(value, f"{name}.", reasons, depth + 2)
        else:
            yield f"{' ' * depth}{key}: {_flat(value)}"


def _stage(stage: Mapping[str, Any], reasons: Mapping[str, str]) -> Iterator[str]:
    first = {"kind": stage["kind"], "name": stage["name"]}
    rest = {key: value for key, value in stage.items() if key not in first}
    yield f"  - kind: {stage['kind']}"
    yield f"    name: {stage['name']}"
    yield from _lines(rest, f"stages.{stage['name']}.", reasons, 4)


def _comment(text: str, depth: int) -> Iterator[str]:
    for line in textwrap.wrap(text, WIDTH - depth) if text else []:
        yield f"{' ' * depth}# {line}"


def _flat(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=100_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
