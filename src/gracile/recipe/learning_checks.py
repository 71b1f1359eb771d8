"""What is wrong with how a recipe's samples are prepared and drawn, as sentences."""

from typing import TYPE_CHECKING

from gracile.recipe.stages import SegmentSpec, SegmentVolumeSpec
from gracile.recipe.subject import NONE

if TYPE_CHECKING:
    from gracile.recipe.cascade import Recipe

LARGEST_TURN = 90
"""Degrees up to which a turned volume keeps its left on the left."""


def learning_problems(recipe: "Recipe") -> list[str]:
    """Every problem of intensities, sampling and mirroring."""
    return [*_intensities(recipe), *_sampling(recipe), *_mirrored_axes(recipe)]


def _mirrored_axes(recipe: "Recipe") -> list[str]:
    """Mirroring along other axes than that of the sides, where turns make the one the other."""
    left_right = recipe.prepare.left_right
    if recipe.input.kind != "volume" or all(spec.opposite in ("", NONE) for spec in recipe.classes):
        return []
    found = []
    for spec in recipe.stages:
        augment = getattr(spec, "augment", None)
        others = [axis for axis in getattr(augment, "flip_axes", []) if axis != left_right]
        if others and max(augment.rotation, augment.tilt) > LARGEST_TURN:  # type: ignore[union-attr]
            found.append(
                f"stage {spec.name!r} turns by more than {LARGEST_TURN} degrees and mirrors along axis {others[0]}, "
                f"which together make a left a right: leave axis {others[0]} out of augment.flip_axes"
            )
    return found


def _intensities(recipe: "Recipe") -> list[str]:
    given, channels = recipe.prepare.intensity, recipe.input.channels
    if not isinstance(given, list) or len(given) == channels:
        return []
    return [f"prepare.intensity lists {len(given)} channels, and input.channels is {channels}: give one for each"]


def _sampling(recipe: "Recipe") -> list[str]:
    """Ways to draw samples, and settings of stages for landmarks, that would change nothing."""
    found = []
    for spec in recipe.stages:
        where = f"stage {spec.name!r}"
        if isinstance(spec, SegmentVolumeSpec) and spec.along and spec.balance == "classes":
            found.append(f"{where} draws its patches along a line: balance is for whole volumes, leave it out")
        if isinstance(spec, SegmentSpec) and spec.sampler.whole and spec.sampler.balance == "classes":
            found.append(f"{where} shows whole pictures: sampler.balance is for patches, leave it out")
        if spec.gives == "landmarks" and getattr(getattr(spec, "augment", None), "flip_axes", []):
            found.append(f"{where} mirrors by augment.flip, with its landmarks' opposites: leave flip_axes out")
    return found
