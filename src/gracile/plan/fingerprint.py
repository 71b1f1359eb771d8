"""What a data set is like, as plain data: sizes, spacings, intensities, and what its structures look like."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gracile.data import CaseFiles, read_case
from gracile.data.spread import spread
from gracile.errors import DataError
from gracile.plan.looked_at import LookedAt
from gracile.plan.rules import Rules
from gracile.plan.slice_axis import slices_last
from gracile.plan.structures import Structures
from gracile.recipe import Recipe

FEWEST, FEWEST_EMPTY = 3, 20
"""Cases that are looked at however long they take, and how many where none of them shows anything."""


@dataclass
class Fingerprint:
    """What is known of a data set. Lengths are in mm for volumes, in pixels for pictures; axes are the oriented ones.

    Args:
        kind: ``image`` or ``volume``.
        cases, labeled, subjects: How many.
        looked_at: Cases of which every voxel was looked at.
        shapes: ``(n, axes)`` of these.
        spacings: ``(n, axes)``; ones for pictures.
        channels: How many.
        intensity: For each channel percentiles over the set, and mean and deviation within the structures.
        structures: By case, see `gracile.plan.structures`.
        classes: Names of the foreground classes.
        empty: Cases that show no structure.
        duplicates: Pairs of cases that are nearly the same picture, of different subjects.
        regions: Cases with a mask of their field of view.
        fundus: Pictures that look like photographs of a fundus.
        landmarks: ``(n, landmarks, axes)`` places in voxels, of a set of points; empty otherwise.
        orientation: Where the axes of volumes run to, as `prepare.orientation` of a recipe; empty for pictures.
    """

    kind: str
    cases: int
    labeled: int
    subjects: int
    looked_at: int
    shapes: np.ndarray
    spacings: np.ndarray
    channels: int
    intensity: list[dict[str, float]]
    structures: list[Structures]
    classes: list[str]
    empty: int
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    regions: int = 0
    fundus: int = 0
    landmarks: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0)))
    orientation: str = ""

    def turned(self, order: Sequence[int]) -> "Fingerprint":
        """The same with the axes of volumes in another order, none of them mirrored; landmarks are left as they are."""
        axes = list(order)
        return replace(
            self, shapes=self.shapes[:, axes], spacings=self.spacings[:, axes],
            structures=[case.turned(axes) for case in self.structures],
            orientation="".join(self.orientation[axis] for axis in axes),
        )  # fmt: skip

    @property
    def left_right(self) -> int:
        """The axis that runs from left to right: of pictures the second."""
        return next(axis for axis, letter in enumerate(self.orientation) if letter in "LR") if self.orientation else 1

    @property
    def shape(self) -> np.ndarray:
        """``(axes)`` the median."""
        return np.median(self.shapes, axis=0)

    @property
    def spacing(self) -> np.ndarray:
        """``(axes)`` the median."""
        return np.median(self.spacings, axis=0)

    @property
    def field_of(self) -> np.ndarray:
        """``(axes)`` median length of a case along each axis."""
        return np.median(self.shapes * self.spacings, axis=0)

    @property
    def shown(self) -> list[Structures]:
        """Of the cases that show any structure."""
        return [case for case in self.structures if case.counts.any()]

    @property
    def box(self) -> np.ndarray:
        """``(axes)`` the lengths that nineteen of twenty cases' structures fit into."""
        return np.percentile([case.box for case in self.shown], 95, axis=0)

    @property
    def box_share(self) -> float:
        """Median share of the field that the box around all structures takes."""
        return float(np.median([case.box_share for case in self.shown]))

    @property
    def shares(self) -> np.ndarray:
        """``(classes)`` of the foreground."""
        counts = np.sum([case.counts for case in self.shown], axis=0, dtype=float)
        return counts / max(1.0, counts.sum())

    @property
    def rarest(self) -> float:
        """Share of the foreground of the class that has least of it, of those that are shown."""
        return float(min(share for share in self.shares if share > 0))

    @property
    def thickness(self) -> np.ndarray:
        """``(classes)`` median over the cases that show a class; infinite for one that none shows."""
        return _median([case.thickness for case in self.structures], np.inf)

    @property
    def slenderness(self) -> np.ndarray:
        """``(classes)`` how many times as long as thick, the median; 1 for a ball."""
        return _median([case.slenderness for case in self.structures], 1.0)

    @property
    def islands(self) -> np.ndarray:
        """``(classes)`` the median number."""
        return _median([case.islands for case in self.structures], 0.0)

    @property
    def split(self) -> np.ndarray:
        """``(classes)`` of volumes, share of the slices that show a class in which it is in pieces, the median."""
        return _median([case.split for case in self.structures], 0.0)

    @property
    def touching(self) -> list[tuple[str, str]]:
        """Pairs of classes that touch in any case."""
        pairs = Counter(pair for case in self.structures for pair in case.touching)
        return [(self.classes[a - 1], self.classes[b - 1]) for a, b in sorted(pairs)]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        shown = bool(self.shown)
        return {
            "kind": self.kind, "cases": self.cases, "labeled": self.labeled, "subjects": self.subjects,
            "cases_per_subject": round(self.labeled / max(1, self.subjects), 2), "looked_at": self.looked_at,
            "with_region": self.regions, "empty": self.empty, "channels": self.channels,
            "size": _range(self.shapes), "spacing": _range(self.spacings), "intensity": self.intensity,
            "axes": self.orientation, "box": [round(float(v), 2) for v in self.box] if shown else [],
            "box_share": round(self.box_share, 5) if shown else None,
            "classes": {
                name: {
                    "share_of_foreground": round(float(self.shares[i]), 5) if shown else 0.0,
                    "cases": int(sum(case.counts[i] > 0 for case in self.structures)),
                    "islands": float(self.islands[i]),
                    "thickness": round(float(self.thickness[i]), 2) if np.isfinite(self.thickness[i]) else None,
                    "slenderness": round(float(self.slenderness[i]), 2),
                }
                for i, name in enumerate(self.classes)
            },
            "touching": [list(pair) for pair in self.touching],
            "near_duplicates": [list(pair) for pair in self.duplicates],
            "unit": "mm" if self.kind == "volume" else "px",
        }  # fmt: skip


def _median(rows: Sequence[np.ndarray], missing: float) -> np.ndarray:
    table = np.array(rows, dtype=float)
    if not len(table):
        return np.zeros(0)
    known = np.isfinite(table)
    return np.array([np.median(c[k]) if k.any() else missing for c, k in zip(table.T, known.T, strict=True)])


def _range(table: np.ndarray) -> dict[str, list[float]]:
    stated = {"least": table.min(axis=0), "median": np.median(table, axis=0), "most": table.max(axis=0)}
    return {name: [round(float(v), 4) for v in values] for name, values in stated.items()}


def take_fingerprint(cases: Sequence[CaseFiles], recipe: Recipe, rules: Rules) -> Fingerprint:
    """Look at a data set's labeled cases, one at a time, spread evenly wherever it ends.

    Axes are turned so that slices lie along the third one, see `gracile.plan.slice_axis`.

    Args:
        cases: All of them, labeled or not.
        recipe: By whose classes the labels are read, and to whose orientation volumes are turned.
        rules: How many are looked at.

    Raises:
        DataError: A case cannot be read, its parts do not fit each other, or none that was looked at shows anything.
    """
    labeled = [case for case in cases if case.label is not None or case.points]
    looked, start = LookedAt(recipe), time.monotonic()
    for files in spread(labeled):
        looked.add(files, read_case(files, recipe))
        count, seconds = len(looked.shapes), time.monotonic() - start
        long = looked.voxels > rules["looked_at_voxels"] or seconds > rules["looking_seconds"]
        if looked.shows and (count >= rules["looked_at"] or (long and count >= FEWEST)):
            break
        if seconds > 2 * rules["looking_seconds"] and count >= FEWEST_EMPTY:
            break
    if not looked.shows:
        raise DataError(
            f"None of the {len(looked.shapes)} cases that were looked at shows a structure.",
            "Check that the labels belong to these images and hold the values of the classes.",
        )
    found = Fingerprint(
        kind=recipe.input.kind, cases=len(cases), labeled=len(labeled), subjects=len({c.subject for c in labeled}),
        looked_at=len(looked.shapes), shapes=np.array(looked.shapes, float), spacings=np.array(looked.spacings, float),
        channels=looked.channels, intensity=looked.intensity(rules), structures=looked.structures,
        classes=recipe.class_names[1:], empty=sum(not one.counts.any() for one in looked.structures),
        duplicates=looked.duplicates(labeled, rules, start + 2 * rules["looking_seconds"]),
        regions=sum(case.region is not None for case in labeled), landmarks=np.array(looked.landmarks, float),
        fundus=looked.fundus, orientation=recipe.prepare.orientation if recipe.input.kind == "volume" else "",
    )  # fmt: skip
    return slices_last(found, rules)
