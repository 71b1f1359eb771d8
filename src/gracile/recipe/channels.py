"""What is wrong with what a recipe says of the channels of its images."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gracile.recipe.cascade import Recipe


def channel_problems(recipe: "Recipe") -> list[str]:
    """Channels that contradict each other or what is done with them, as sentences."""
    wanted, names, found = recipe.input, recipe.input.channel_names, []
    folded = [name.casefold() for name in names]
    if names and len(names) != wanted.channels:
        found.append(f"input.channel_names names {len(names)} channels, and input.channels is {wanted.channels}")
    repeated = [name for number, name in enumerate(names) if name.casefold() in folded[:number]]
    if repeated:
        found.append(f"each channel has a name of its own: {', '.join(repeated)} is there twice")
    if wanted.shown not in names and not (isinstance(wanted.shown, int) and 1 <= wanted.shown <= wanted.channels):
        there = f"the numbers from 1 to {wanted.channels}" + (f" and {', '.join(names)}" if names else "")
        found.append(f"input.shown is {wanted.shown!r}, which is no channel. There are: {there}.")
    if wanted.region != "whole" and wanted.channels not in (1, 3):
        found.append(
            f"input.region {wanted.region} is found in gray and color pictures, and input.channels is "
            f"{wanted.channels}. Write region: whole."
        )
    return found + _fourth_axis(recipe)


def _fourth_axis(recipe: "Recipe") -> list[str]:
    wanted = recipe.input
    if wanted.fourth_axis == "channels" and wanted.kind != "volume":
        return ["input.fourth_axis: channels is for volumes (input.kind: volume)"]
    if wanted.fourth_axis == "channels" and wanted.channels == 1:
        return ["input.fourth_axis: channels needs to know how many: set input.channels to their number"]
    if wanted.fourth_axis in ("first", "mean") and wanted.separate:
        return [
            f"input.fourth_axis {wanted.fourth_axis} makes one channel of a file, and input.channels is "
            f"{wanted.channels}. Write fourth_axis: channels, or refuse where each channel is a file of its own."
        ]
    return []
