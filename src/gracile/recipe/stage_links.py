"""Stages that lean on what another found: a line to follow, a box to look within."""

from typing import TYPE_CHECKING

from gracile.errors import nearest
from gracile.recipe.stages import SegmentVolumeSpec

if TYPE_CHECKING:
    from gracile.recipe.cascade import Recipe


def line_problems(recipe: "Recipe") -> list[str]:
    """Stages along lines that no stage before them gives."""
    found = []
    for number, spec in enumerate(recipe.stages):
        if not isinstance(spec, SegmentVolumeSpec) or not spec.along:
            continue
        lines = [other.name for other in recipe.stages[:number] if other.gives == "line"]
        if spec.along in lines:
            continue
        later = any(other.name == spec.along and other.gives == "line" for other in recipe.stages[number:])
        before = any(other.name == spec.along for other in recipe.stages[:number])
        said = f"stage {spec.name!r} follows the line of {spec.along!r}, "
        if later:
            found.append(f"{said}which comes after it. Put {spec.along!r} before it.")
        elif not lines:
            what = "which gives no line" if before else "and no stage before it gives a line"
            found.append(f"{said}{what}. Put a stage of kind centerline before it, or segment the whole: along: ''.")
        else:
            what = "which gives no line" if before else "and no stage before it has that name"
            found.append(f"{said}{what}. {nearest(spec.along, lines)}")
    return found


def box_problems(recipe: "Recipe") -> list[str]:
    """Stages that look within what no stage before them delineates."""
    found = []
    for number, spec in enumerate(recipe.stages):
        if not isinstance(spec, SegmentVolumeSpec) or not spec.within:
            continue
        before = [other.name for other in recipe.stages[:number] if isinstance(other, SegmentVolumeSpec)]
        if spec.along:
            found.append(f"stage {spec.name!r} has both `along` and `within`: leave one of them out")
        leaning = [other.name for other in recipe.stages[:number]
                   if isinstance(other, SegmentVolumeSpec) and (other.within or other.along)]  # fmt: skip
        if spec.within in leaning:
            found.append(
                f"stage {spec.name!r} looks within what {spec.within!r} found, which itself looks at a part alone: "
                "take a stage that looks at the whole volume"
            )
        elif spec.within not in before:
            what = nearest(spec.within, before) if before else "Put one of kind segment-volume before it."
            found.append(
                f"stage {spec.name!r} looks within what {spec.within!r} found, and no stage of kind segment-volume "
                f"before it has that name. {what}"
            )
    return found
