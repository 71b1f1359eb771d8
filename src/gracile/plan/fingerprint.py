"""What a data set is like, as plain data: sizes, spacings, intensities, and what its structures look like."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.data import CaseFiles, near_duplicates, read_case
from gracile.plan.rules import Rules
from gracile.plan.structures import Structures, structures_of
from gracile.recipe import Recipe
from gracile.transforms.fundus import find_field_of_view, why_not_a_fundus
from gracile.transforms.volume import Orientation

MOST_COMPARED = 300
"""Cases of which near-duplicates are looked for while a plan is made; a training looks among any number."""

SAMPLES = 10_000
"""Intensities of a case's structures that are kept, evenly spread."""


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
            "box": [round(float(v), 2) for v in self.box] if shown else [],
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
    """Look at a data set's labeled cases, one at a time.

    Args:
        cases: All of them, labeled or not.
        recipe: By whose classes the labels are read, and to whose orientation volumes are turned.
        rules: How many are looked at.

    Raises:
        DataError: A case cannot be read, or its parts do not fit each other.
    """
    labeled = [case for case in cases if case.label is not None or case.points]
    step = max(1, -(-len(labeled) // int(rules["looked_at"])))
    voxels, looked = 0, _Looked(recipe)
    for files in labeled[::step]:
        case = read_case(files, recipe)
        looked.add(case)
        voxels += case.image[0].size
        if voxels > rules["looked_at_voxels"]:
            break
    return Fingerprint(
        kind=recipe.input.kind, cases=len(cases), labeled=len(labeled), subjects=len({c.subject for c in labeled}),
        looked_at=len(looked.shapes), shapes=np.array(looked.shapes, float), spacings=np.array(looked.spacings, float),
        channels=looked.channels, intensity=looked.intensity(rules), structures=looked.structures,
        classes=recipe.class_names[1:], empty=sum(not one.counts.any() for one in looked.structures),
        duplicates=_parted(labeled, recipe),
        regions=sum(case.region is not None for case in labeled), landmarks=np.array(looked.landmarks, float),
        fundus=looked.fundus,
    )  # fmt: skip


def is_gray(image: np.ndarray) -> bool:
    """Whether the three channels of a picture ``(3, height, width)`` are the same, but for what a JPEG did."""
    small = image[:, ::4, ::4].astype(np.int16)
    return bool(np.ptp(small, axis=0).mean() < 2.0)


def _parted(cases: Sequence[CaseFiles], recipe: Recipe) -> list[tuple[str, str]]:
    """Pairs of cases that are nearly the same image under two subjects."""
    if len(cases) > MOST_COMPARED:
        return []
    return [(pair.first.id, pair.second.id) for pair in near_duplicates(cases, recipe) if pair.parts_subjects]


class _Looked:
    """What is kept of the cases that were looked at."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.shapes: list[tuple[int, ...]] = []
        self.spacings: list[np.ndarray] = []
        self.structures: list[Structures] = []
        self.landmarks: list[np.ndarray] = []
        self.whole: list[np.ndarray] = []
        self.inside: list[np.ndarray] = []
        self.channels = 1
        self.fundus = 0

    def add(self, case: Case) -> None:
        """Look at one more case."""
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
            self.fundus += not why_not_a_fundus(image, find_field_of_view(image))
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
