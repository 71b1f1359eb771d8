"""Regions: structures that overlap, each learned as a map of its own and written back as one class per sample.

As nnU-Net has them (Isensee et al., Nature Methods 2021): ``{whole: [edema, core], core: [core]}`` is learned as two
maps, and written in this order, so that what belongs to the core replaces what belongs to the whole.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gracile.errors import nearest
from gracile.recipe.stages import FuseSpec

if TYPE_CHECKING:
    from gracile.recipe.cascade import Recipe


def written_classes(regions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The classes that each region may be written as: those of its own that no region behind it has. One is right."""
    names = list(regions)
    behind = {name: {member for later in names[place + 1 :] for member in regions[later]}
              for place, name in enumerate(names)}  # fmt: skip
    return {name: [member for member in regions[name] if member not in behind[name]] for name in names}


def opposite_regions(regions: Mapping[str, Sequence[str]], opposites: Mapping[str, str]) -> dict[str, str]:
    """The region that each is in a mirror image, by the opposites of its classes; empty where there is none."""
    held = {frozenset(members): name for name, members in regions.items()}
    return {
        name: held.get(frozenset(opposites.get(member, member) for member in members), "")
        for name, members in regions.items()
    }


def region_problems(recipe: "Recipe") -> list[str]:
    """What is wrong with the regions, as sentences."""
    if not recipe.regions:
        return []
    found = _members(recipe)
    if found:
        return found
    for name, classes in written_classes(recipe.regions).items():
        if not classes:
            found.append(f"region {name!r} is never written: regions behind it have all of its classes. Put it last")
        elif len(classes) > 1:
            found.append(
                f"region {name!r} is written as one class, and {' and '.join(classes)} are in no region behind it: "
                f"add a region of one of them behind it, or put {name!r} in another order"
            )
    covered = {member for members in recipe.regions.values() for member in members}
    if alone := [name for name in recipe.class_names[1:] if name not in covered]:
        found.append(
            f"class {alone[0]!r} is in no region, so that it would never be found: add {alone[0]}: [{alone[0]}]"
        )
    return found + _conflicts(recipe)


def _members(recipe: "Recipe") -> list[str]:
    known, found = recipe.class_names[1:], []
    for name, members in recipe.regions.items():
        if not members:
            found.append(f"region {name!r} has no class")
        found += [
            f"region {name!r} names {member!r}, which is no class that could be found. {nearest(member, known)}"
            for member in members
            if member not in known
        ]
    if recipe.class_names and recipe.class_names[0] in recipe.regions:
        found.append(f"a region cannot be named as the background, {recipe.class_names[0]!r}")
    return found


def _conflicts(recipe: "Recipe") -> list[str]:
    """Settings that mean nothing, or something else, where regions overlap."""
    found = []
    if recipe.trees:
        found.append("`regions` and `trees` both say what classes share: leave one of them out")
    if recipe.gates:
        found.append(
            f"gate {recipe.gates[0].name!r} closes classes, and `regions` overlap: leave the gate or the regions out"
        )
    for spec in recipe.stages:
        if isinstance(spec, FuseSpec):
            found.append(f"stage {spec.name!r} learns classes, not `regions`: take a stage of kind segment")
        elif spec.gives == "mask" and spec.decision.rule != "argmax":  # type: ignore[union-attr]
            found.append(
                f"stage {spec.name!r}: decision.rule {spec.decision.rule} is for classes; "  # type: ignore[union-attr]
                "each of the `regions` is decided by decision.threshold"
            )
        swaps = recipe.opposites != list(range(len(recipe.classes))) and spec.mirroring(recipe.prepare.left_right)
        alone = [name for name, other in recipe.region_opposites.items() if not other]
        if swaps and spec.gives == "mask" and alone:
            found.append(
                f"stage {spec.name!r} mirrors, and no region is region {alone[0]!r} in a mirror image: "
                "add that of the other side, or do not mirror"
            )
    for measure in recipe.measure:
        if measure.name == "cord" and measure.options.get("partial_volume"):
            found.append("the measure 'cord' counts probabilities of classes: with `regions`, leave partial_volume out")
    return found
