"""Named points in the patient."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gracile.errors import GeometryError

Kind = Literal["points", "curve", "closed curve"]


@dataclass(frozen=True, eq=False)
class PointList:
    """Points with names, in order.

    Args:
        points_mm: ``(n, 3)`` RAS+ millimeters; a row of NaN is a point that has a name and no place yet.
        labels: ``(n,)`` names as they were read; a name may come twice, as in curves.
        kind: Whether the points stand alone or are the control points of a curve.
        name: Name of the list; may be empty.
        orientations: ``(n, 3, 3)`` axes of each point as columns in RAS+, or None.
        probabilities: ``(n,)`` how sure each point is, 0 to 1, or None for points that a person set.
    """

    points_mm: np.ndarray
    labels: list[str] = field(default_factory=list)
    kind: Kind = "points"
    name: str = ""
    orientations: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.points_mm.ndim != 2 or self.points_mm.shape[1] != 3:
            raise GeometryError(f"A list of points has shape (n, 3), not {self.points_mm.shape}.")
        count = len(self.points_mm)
        for what, some in (("labels", self.labels), ("orientations", self.orientations), ("", self.probabilities)):
            if some is not None and len(some) != count:
                raise GeometryError(f"{count} points cannot have {len(some)} {what or 'probabilities'}.")
        unclear = ~np.isfinite(self.points_mm)
        if (unclear.any(axis=1) != unclear.all(axis=1)).any():
            raise GeometryError("A point has either a place or none.")

    def __len__(self) -> int:
        return len(self.points_mm)

    @property
    def defined(self) -> np.ndarray:
        """``(n,)`` whether each point has a place."""
        return np.isfinite(self.points_mm).all(axis=1)

    def by_label(self) -> dict[str, np.ndarray]:
        """``(3,)`` place of each point that has one, by its name.

        Raises:
            GeometryError: Two points have the same name.
        """
        named = [(label, point) for label, point in zip(self.labels, self.points_mm, strict=True) if label]
        if len(dict(named)) < len(named):
            twice = sorted({label for label, _ in named if sum(label == other for other, _ in named) > 1})
            raise GeometryError(f"Several points are named {twice[0]!r}.", "Give each landmark a name of its own.")
        return {label: point for (label, point) in named if np.isfinite(point).all()}
