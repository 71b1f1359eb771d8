"""Left and right: classes that are mirror images of each other, by their `opposite` or by what they are called."""

import re
from collections.abc import Sequence

from gracile.errors import nearest
from gracile.recipe.subject import NONE, ClassSpec

WORDS = (
    ("left", "right"),
    ("lt", "rt"),
    ("l", "r"),
    ("lh", "rh"),
    ("lhs", "rhs"),
    ("sinister", "dexter"),
    ("os", "od"),
)
"""Words for the two sides."""

_OTHER = {a: b for pair in WORDS for a, b in (pair, pair[::-1])}


def opposite_indices(classes: Sequence[ClassSpec]) -> list[int]:
    """The class that each is in a mirror image, by index: itself where none is named."""
    names = [spec.name for spec in classes]
    return [
        names.index(spec.opposite) if spec.opposite in names else index for index, spec in enumerate(classes)
    ]  # fmt: skip


def opposite_problems(classes: Sequence[ClassSpec]) -> list[str]:
    """What is wrong with the opposites that classes name."""
    opposites = {spec.name: spec.opposite for spec in classes}
    problems = []
    for index, (name, opposite) in enumerate(opposites.items()):
        if opposite in ("", NONE):
            continue
        if opposite not in opposites:
            problems.append(
                f"the opposite of class {name!r}, {opposite!r}, is no class of the recipe. "
                + nearest(opposite, [one for one in opposites if one != name][1:])
            )
            continue
        if index == 0 or opposite == classes[0].name:
            problems.append(f"the background is no opposite: leave it out at {name!r}")
        elif opposites[opposite] != name:
            problems.append(
                f"{opposite!r} is the opposite of class {name!r}, but not the other way round: "
                f"--set {setting(opposite, name)}"
            )
    return problems


def sided_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names that differ only in their side, each pair once."""
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if differ_in_side(a, b)]


def differ_in_side(first: str, second: str) -> bool:
    """Whether two names are equal but for left and right: words, letters, or ``left`` written together with another."""
    if first.casefold() == second.casefold():
        return False
    a, b = words(first), words(second)
    if len(a) == len(b) and all(x == y or _OTHER.get(x) == y for x, y in zip(a, b, strict=True)):
        return a != b
    folded = (first.casefold(), second.casefold())
    return any(one.replace("left", "right") == other for one, other in (folded, folded[::-1]))


def has_side(name: str) -> bool:
    """Whether one of a name's words is left or right."""
    return bool({"left", "right"} & set(words(name)))


def words(name: str) -> list[str]:
    """The words of a name in small letters: ``Nerve_L`` and ``nerveL`` are two."""
    return re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())


def setting(name: str, opposite: str) -> str:
    """What to type behind ``--set`` so that a class has that opposite."""
    return f"'classes.{name}.opposite={opposite}'"
