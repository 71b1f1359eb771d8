"""What is kept of the cases of a data set that a plan looks at."""

import time
from collections.abc import Sequence

import numpy as np

from gracile.case import Case
from gracile.data import CaseFiles
from gracile.data.near_duplicates import alike_pairs, thumbnail
from gracile.errors import DataError
from gracile.io import read_case_file
from gracile.plan.rules import Rules
from gracile.plan.structures import Structures, structures_of
from gracile.recipe import Recipe
from gracile.transforms.field_of_view import look_for_field_of_view
from gracile.transforms.fundus import why_not_a_fundus
from gracile.transforms.volume import Orientation

MOST_COMPARED = 300
"""Cases of which near-duplicates are looked for while a plan is made; a training looks among any number."""

SAMPLES = 10_000
"""Intensities of a case's structures that are kept, evenly spread."""


def is_gray(image: np.ndarray) -> bool:
    """Whether the three channels of a picture ``(3, height, width)`` are the same, but for what a JPEG did."""
    small = image[:, ::4, ::4].astype(np.int16)
    return bool(np.ptp(small, axis=0).mean() < 2.0)


class LookedAt:
    """Figures of cases that were looked at, one at a time, so that memory does not grow with their sizes.

    Args:
        recipe: By whose classes the labels are read, and to whose orientation volumes are turned.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.shapes: list[tuple[int, ...]] = []
        self.spacings: list[np.ndarray] = []
        self.structures: list[Structures] = []
        self.landmarks: list[np.ndarray] = []
        self.whole: list[np.ndarray] = []
        self.inside: list[np.ndarray] = []
        self.thumbnails: dict[str, np.ndarray] = {}
        self.channels = 1
        self.fundus = 0

    @property
    def shows(self) -> bool:
        """Whether any of them shows a structure or has points."""
        return bool(self.landmarks) or any(one.counts.any() for one in self.structures)

    @property
    def voxels(self) -> int:
        """Pixels or voxels of all together."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def add(self, files: CaseFiles, case: Case) -> None:
        """Look at one more case."""
        self.thumbnails[files.id] = thumbnail(case)
        image, truth, spacing = case.image, case.truth, np.ones(len(case.grid.shape))
        if self.recipe.input.kind == "volume":
            orientation = Orientation.to(self.recipe.prepare.orientation, case.grid)
            assert orientation.oriented.affine is not None
            spacing = np.linalg.norm(orientation.oriented.affine[:3, :3], axis=0)
            truth = None if truth is None else orientation.apply(truth)
            image = orientation.apply(image)
            marks = case.landmark_voxels(self.recipe.landmark_names, orientation.oriented)
            if marks:
                self.landmarks.append(np.stack(list(marks.values())))
        elif len(image) == 3 and not is_gray(image):
            found = look_for_field_of_view(image)
            self.fundus += not why_not_a_fundus(image, found.region, found)
        if self.recipe.input.kind == "image" and len(image) == 3 and is_gray(image):
            image = image[:1]
        self.channels = max(self.channels, len(image))
        self.shapes.append(image.shape[1:])
        self.spacings.append(spacing)
        flat = image.reshape(len(image), -1)
        self.whole.append(flat[:, :: max(1, flat.shape[1] // SAMPLES)].astype(np.float32))
        if truth is None:
            return
        self.structures.append(structures_of(truth, spacing, len(self.recipe.classes)))
        where = np.flatnonzero((truth > 0) & (truth < len(self.recipe.classes)))
        self.inside.append(flat[:, where[:: max(1, len(where) // SAMPLES)]].astype(np.float32))

    def intensity(self, rules: Rules) -> list[dict[str, float]]:
        """Of each channel over all cases."""
        low, high = rules["structure_percentiles"]
        described = []
        for channel in range(self.channels):
            # A gray picture among colored ones counts in each of their channels.
            whole = np.concatenate([values[min(channel, len(values) - 1)] for values in self.whole])
            inside = np.concatenate([v[min(channel, len(v) - 1)] for v in self.inside if v.size] or [whole])
            own = [values[min(channel, len(values) - 1)] for values in self.whole]
            lows = [float(np.percentile(values, 1)) for values in own]
            spreads = [float(values.std()) for values in own]
            described.append(
                {
                    "least": float(whole.min()), "most": float(whole.max()), "typical_low": float(np.median(lows)),
                    "spread_ratio": float(np.percentile(spreads, 95) / max(1e-6, np.percentile(spreads, 5))),
                    "structure_low": float(np.percentile(inside, low)),
                    "structure_high": float(np.percentile(inside, high)),
                    "structure_mean": float(inside.mean(dtype=np.float64)),
                    "structure_deviation": float(inside.std(dtype=np.float64)),
                }
            )  # fmt: skip
        return [{name: round(value, 4) for name, value in row.items()} for row in described]

    def duplicates(self, cases: Sequence[CaseFiles], rules: Rules, until: float) -> list[tuple[str, str]]:
        """Pairs of cases that are nearly the same image under two subjects.

        Those that were looked at are compared, and all others where these are few and small enough to be read for it.

        Args:
            cases: All labeled ones.
            rules: How much is read for it.
            until: Time of the monotonic clock after which nothing more is read.
        """
        seen = dict(self.thumbnails)
        rest = [files for files in cases if files.id not in seen]
        if len(cases) <= MOST_COMPARED and self.voxels / len(seen) * len(rest) <= rules["compared_voxels"]:
            for files in rest:
                if time.monotonic() > until:
                    break
                try:
                    case = read_case_file(files.image, files.id, self.recipe.input, channels=files.channels)
                except DataError:
                    continue  # whoever trains is told of it
                seen[files.id] = thumbnail(case)
        return [(pair.first.id, pair.second.id) for pair in alike_pairs(cases, seen) if pair.parts_subjects]
