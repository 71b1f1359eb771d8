"""The problems that pydantic finds in a recipe, as sentences with the nearest right word."""

import re
import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gracile.errors import nearest

Place = Sequence[str | int]

_WORD = re.compile(r"[a-z]+ ")


def sentences(error: ValidationError, root: type[BaseModel], above: Place = ()) -> list[str]:
    """What an error says, a sentence for each problem.

    Args:
        error: Of checking plain data.
        root: What the data was checked against.
        above: Where that lies in a recipe.
    """
    return [_sentence(problem, root, above) for problem in error.errors()]


def joined(problems: Iterable[str]) -> str:
    """Sentences in a row, each with its full stop; all but the first begin with a capital, unless with a setting."""
    ended = [text if text.endswith((".", "?")) else f"{text}." for text in problems]
    return " ".join(text[0].upper() + text[1:] if n and _WORD.match(text) else text for n, text in enumerate(ended))


def _sentence(problem: Any, root: type[BaseModel], above: Place) -> str:
    place, kind, context = problem["loc"], problem["type"], problem.get("ctx", {})
    dotted = ".".join(str(part) for part in (*above, *_typed(root, place)))
    if kind == "extra_forbidden":
        part = part_at(root, place[:-1])
        known = list(part.model_fields) if part is not None else []
        return f"{dotted}: there is no such setting. {nearest(str(place[-1]), known)}"
    if kind == "missing":
        return f"{dotted}: it is missing"
    if kind == "union_tag_not_found":
        return f"{dotted}.kind: it is missing"
    if kind in ("too_short", "string_too_short"):
        return f"{dotted}: it is empty"
    if kind == "model_type" and (part := part_at(root, place)):
        return f"{dotted}: it takes settings, each by its name: {', '.join(part.model_fields)}"
    if kind == "string_pattern_mismatch":
        return f"{dotted}: it takes small letters, digits, - and _, and begins with a letter or digit"
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']*)'", context["expected_tags"])
        key = context["discriminator"].strip("'")
        return f"{dotted}.{key}: there is no {context['tag']!r}. {nearest(context['tag'], known)}"
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        if known and isinstance(problem["input"], str):
            return f"{dotted}: there is no {problem['input']!r}. {nearest(problem['input'], known)}"
    said = str(problem["msg"]).removeprefix("Value error, ")
    return f"{dotted}: {said}" if dotted else said


def _typed(root: type[BaseModel], place: Place) -> list[str | int]:
    """A place as one types it: without the kind that pydantic puts behind the number of one of several."""
    return [
        step
        for number, step in enumerate(place)
        if number == 0 or not isinstance(place[number - 1], int) or part_at(root, place[:number]) is not None
    ]


def part_at(root: Any, place: Place) -> type[BaseModel] | None:
    """The part of a recipe at a place as pydantic names it; None where there is none."""
    here = root
    for step in place:
        here = _bare(here)
        if isinstance(here, type) and issubclass(here, BaseModel):
            if step not in here.model_fields:
                return None
            here = here.model_fields[str(step)].annotation
        elif isinstance(here, list):  # one of several kinds, told apart by its tag
            here = next((_bare(one) for one in here if _tag(_bare(one)) == step), None)
        elif get_origin(here) in (list, dict, tuple):
            here = get_args(here)[-1]
        else:
            return None
    here = _bare(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """An annotation without what is written around it; a union as a list."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return list(get_args(annotation))
    return annotation


def _tag(annotation: Any) -> Any:
    is_part = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation.model_fields["kind"].default if is_part and "kind" in annotation.model_fields else None
