"""Candidates for one slender structure that runs up or down a volume: its line first, then a column along it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gracile.plan.rules import Rules

if TYPE_CHECKING:
    from gracile.plan.fingerprint import Fingerprint

LINE_STEPS, LINE_WIDTH = 4.0, 0.5
"""Samples of the coarse copy across the structure, and the deviation of the heat around its line, in thicknesses."""

COLUMN_STEPS = (16.0, 12.0)
"""Samples of the column across the structure, the finest first."""

COLUMN_SIDE = 64
LENGTH = 48
"""Samples of a slice of the column along each side, and slices of a patch."""

MOST_ISLANDS, MOST_SPLIT = 2, 0.2
"""Islands of the structure in most cases, and share of the slices that may show it in pieces: vertebrae, ribs and two
vessels side by side have no single line."""


def is_slender(found: "Fingerprint", rules: Rules) -> bool:
    """Whether the line of a structure can be followed from slice to slice along the third axis.

    There is one class, much longer than thick, in one piece in most slices along the third axis, which runs up or down,
    and small in its volume.
    """
    if found.kind != "volume" or len(found.classes) != 1 or not found.shown or found.orientation[2] not in "SI":
        return False
    if found.islands[0] > MOST_ISLANDS or found.split[0] > MOST_SPLIT:
        return False
    length = float(np.median([case.box[2] for case in found.shown]))
    thick = float(found.thickness[0])
    return bool(
        length > rules["thin_length"] * thick
        and found.slenderness[0] > rules["thin_length"]
        and found.box_share < 4 * rules["small_share"]
        and found.shape[2] >= LENGTH
    )


def slender_stages(found: "Fingerprint", across: float, flip: bool) -> list[dict[str, Any]]:
    """The two stages as a recipe has them; ``across`` samples of the column lie across the structure."""
    thick = float(found.thickness[0])
    coarse = [round(max(thick / LINE_STEPS, float(s)), 2) for s in found.spacing]
    fine = [round(max(thick / across, float(s) / 2), 3) for s in found.spacing[:2]]
    sides = [side / step for side, step in zip(found.field_of, coarse, strict=True)]
    patch = [int(min(96, max(16, np.ceil(side / 16) * 16))) for side in sides]
    moderate = {"flip": flip, "illumination": 0.3}
    return [
        {
            "kind": "centerline", "name": "line", "spacing_mm": coarse, "patch": patch,
            "width_mm": round(LINE_WIDTH * thick, 2),
            "network": {"name": "light-unet-3d", "options": {"stride": [2, 2, 2]}},
            "augment": {"rotation": 20, "tilt": 15, "scale": 0.25, "elastic": 1, "shift": 0.4, **moderate},
            "train": {"batch_size": 4},
        },
        {
            "kind": "segment-volume", "name": "segment", "along": "line", "network": {"name": "light-unet-3d"},
            "losses": [{"name": "cross-entropy"}, {"name": "dice"}],
            "spacing_mm": [*fine, 0.0], "size": [COLUMN_SIDE] * 2, "length": LENGTH, "longest": 512,
            "augment": {"rotation": 15, "tilt": 10, "scale": 0.2, "elastic": 1.5, **moderate},
            "decision": {"largest_only": True, "fill_holes": True}, "flips": flip, "turns": [-10, 10],
            "smooth_mm": round(float(found.spacing[2]) * 2, 2),
            "train": {"batch_size": 4},
        },
    ]  # fmt: skip
