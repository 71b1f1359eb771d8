"""Left and right: classes that are mirror images of each other, by their `opposite` or by what they are called."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gracile.errors import nearest
from gracile.recipe.base import StageBase
from gracile.recipe.stages import GateSpec
from gracile.recipe.subject import NONE, ClassSpec

if TYPE_CHECKING:
    from gracile.recipe.cascade import Recipe

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

_TURNED = 180.0

_OTHER = {a: b for pair in WORDS for a, b in (pair, pair[::-1])}


def opposite_indices(classes: Sequence[ClassSpec]) -> list[int]:
    """The class that each is in a mirror image, by index: itself where none is named."""
    names = [spec.name for spec in classes]
    return [
        names.index(spec.opposite) if spec.opposite in names else index for index, spec in enumerate(classes)
    ]  # fmt: skip


def side_warnings(recipe: "Recipe") -> list[str]:
    """A side that is named without the other, and mirrored, as sentences."""
    mirroring = mirroring_stages(recipe)
    if not mirroring:
        return []
    paired = {name for pair in sided_pairs(recipe.class_names) for name in pair}
    return [
        f"The class {spec.name!r} names a side, and {first_of(mirroring)} mirrors: in a mirror image it is the other "
        f"side's. Give that side a class and name each as the other's `opposite`; or, where only one is ever there, "
        f"--set {setting(spec.name, NONE)}."
        for spec in recipe.classes[1:]
        if not spec.opposite and has_side(spec.name) and spec.name not in paired
    ]


def side_problems(recipe: "Recipe") -> list[str]:
    """Classes and kinds of frames that change their name in a mirror image, where something mirrors."""
    found = opposite_problems(recipe.classes)
    mirroring = mirroring_stages(recipe)
    specs = {spec.name: spec for spec in recipe.classes}
    for a, b in sided_pairs(recipe.class_names[1:]) if mirroring else []:
        if not specs[a].opposite and not specs[b].opposite:
            found.append(
                f"the classes {a!r} and {b!r} differ only in their side, and {first_of(mirroring)} mirrors: "
                f"in a mirror image one is the other. Say so: --set {setting(a, b)} --set {setting(b, a)}; "
                f"or, where they keep their names all the same: --set {setting(a, NONE)} --set {setting(b, NONE)}"
            )
    for spec in recipe.stages:
        found += _sides_of_stage(recipe, spec)
    return found


def _sides_of_stage(recipe: "Recipe", spec: StageBase) -> list[str]:
    if not spec.mirroring(recipe.prepare.left_right):
        return []
    where, off = f"stage {spec.name!r}", f"--set stages.{spec.name}.augment.flip=false"  # type: ignore[attr-defined]
    found = []
    opposites = {one.name: one.opposite for one in recipe.classes if one.opposite in recipe.class_names}
    members = [name for structure in spec.members for name in _classes_of(recipe, structure)]
    alone = [name for name in members if opposites.get(name, name) not in members]
    if alone:
        found.append(
            f"{where} takes {alone[0]!r} without its opposite, and mirrors: in a mirror image it would be the other "
            f"side's. Turn that off: {off}"
        )
    if isinstance(spec, GateSpec):
        found += [
            f"{where} tells {a!r} from {b!r}, which differ only in their side, and mirrors. Turn that off: {off}"
            for i, a in enumerate(spec.classes)
            for b in spec.classes[i + 1 :]
            if differ_in_side(a, b)
        ]
    upside_down = getattr(spec, "flips", False) is True and "image" in spec.inputs
    if upside_down and opposites and spec.augment.rotation < _TURNED:  # type: ignore[attr-defined]
        found.append(
            f"{where} averages answers of pictures upside down and has not learned from such, so that their left and "
            f"right mean nothing. Mirror left and right alone: --set stages.{spec.name}.flips=horizontal"  # type: ignore[attr-defined]
        )
    return found


def _classes_of(recipe: "Recipe", structure: str) -> list[str]:
    """The classes of a structure, or the one of that name."""
    if structure in recipe.class_names:
        return [structure]
    return (recipe.regions or recipe.trees).get(structure, [])


def mirroring_stages(recipe: "Recipe") -> list[str]:
    """Names of the stages that see classes mirrored."""
    return [spec.name for spec in recipe.stages if spec.mirroring(recipe.prepare.left_right)]


def first_of(stages: list[str]) -> str:
    return f"stage {stages[0]!r}"


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
