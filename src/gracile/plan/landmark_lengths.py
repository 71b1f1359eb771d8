"""The lengths of the two stages that find points, from the size of the volumes and of their voxels."""

import numpy as np

from gracile.plan.choice import Choice
from gracile.plan.fingerprint import Fingerprint

COARSE = 64
"""Samples of the coarse copy along the volumes' longest side, at most."""

SIZE = 32
"""Samples of a fine patch's side."""


def landmark_choices(found: Fingerprint) -> list[Choice]:
    """Settings of the recipe points-3d in mm, with their reasons."""
    spacing, extent = found.spacing, found.field_of
    coarse = float(max(extent.max() / COARSE, 2 * spacing.min()))
    fine = float(max(spacing.min(), coarse / 8))
    reach = round(0.4 * (SIZE - 1) * fine, 3)
    patch = [int(max(16, min(72, np.ceil(side / coarse / 8) * 8))) for side in extent]
    return [
        Choice(
            "stages.locate.spacing_mm",
            [round(coarse, 3)] * 3,
            f"the longest side, {extent.max():.0f} mm, in {COARSE} samples",
        ),
        Choice("stages.locate.width_mm", round(2 * coarse, 3), "two samples of the coarse copy"),
        Choice("stages.locate.patch", patch, "samples along each axis: most of a volume"),
        Choice("stages.refine.size", SIZE, "samples of a side"),
        Choice("stages.refine.spacing_mm", round(fine, 4), f"mm, the volumes have {spacing.min():g}"),
        Choice("stages.refine.width_mm", round(1.5 * fine, 4), "one and a half samples"),
        Choice("stages.refine.reach_mm", reach, "as far as the coarse look may err"),
        Choice("stages.refine.error_mm", round(0.6 * coarse, 4), "what the coarse look leaves"),
        Choice("stages.refine.shift_mm", round(0.8 * coarse, 4), "as far as that"),
    ]
