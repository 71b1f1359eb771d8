"""Scores of points that were met or missed, for many weightings of the same points at once."""

from dataclasses import dataclass

import numpy as np

from gracile.evaluation.ranking import ratio

RADII = (0.5, 1, 2, 2.5, 3, 4)
"""Distances, in mm and in voxels, within which a point counts as a success."""

_ROUNDING = 1e-6
"""How much longer a distance may be: points on voxels often lie a whole radius apart, to which rounding adds some."""


@dataclass(frozen=True)
class Met:
    """True points and how they were met.

    Args:
        error_mm: ``(points,)`` radial errors; NaN where a point was missed.
        error_voxels: The same in voxels, infinite where a point was missed and NaN where its volume is not known; None
            where no volume is.
        identified: ``(points,)`` bool, whether the nearest true point is the right one.
    """

    error_mm: np.ndarray
    error_voxels: np.ndarray | None
    identified: np.ndarray

    def part(self, members: np.ndarray) -> "Met":
        """Some of the points, by a mask ``(points,)``."""
        voxels = None if self.error_voxels is None else self.error_voxels[members]
        return Met(self.error_mm[members], voxels, self.identified[members])

    def once(self) -> dict[str, float | None]:
        """Every score with each point counted once; None where undefined."""
        scores = point_scores(self, np.ones((1, self.error_mm.size)))
        return {name: float(values[0]) if np.isfinite(values[0]) else None for name, values in scores.items()}


def point_scores(met: Met, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every score of every round.

    Args:
        met: The points.
        weights: ``(rounds, points)``: how often each point counts.

    Returns:
        ``(rounds,)`` by name; NaN where undefined. Percentiles interpolate linearly, the deviation is that of a sample.
    """
    order = np.argsort(met.error_mm)  # missed ones last
    found = np.isfinite(met.error_mm[order])
    errors, counts = met.error_mm[order][found], weights[:, order][:, found]
    whole, total = weights.sum(axis=1), counts.sum(axis=1)
    mean = ratio(counts @ errors, total)
    squares = counts @ np.square(errors) - total * np.square(mean)
    scores = {
        "mean_error_mm": mean,
        "median_error_mm": _percentile(errors, counts, 0.5),
        "sd_error_mm": np.sqrt(np.maximum(ratio(squares, np.maximum(total - 1, 0)), 0)),
        "p95_error_mm": _percentile(errors, counts, 0.95),
        "max_error_mm": _percentile(errors, counts, 1.0),
    }
    scores |= {
        f"within_{radius:g}_mm": ratio(weights @ (met.error_mm <= radius + _ROUNDING), whole) for radius in RADII
    }
    if met.error_voxels is not None:
        known = np.isfinite(met.error_voxels)
        scores["mean_error_voxels"] = ratio(weights[:, known] @ met.error_voxels[known], weights[:, known].sum(axis=1))
        measured = ~np.isnan(met.error_voxels)
        own, errors = weights[:, measured], met.error_voxels[measured]
        for radius in RADII:
            scores[f"within_{radius:g}_voxels"] = ratio(own @ (errors <= radius + _ROUNDING), own.sum(axis=1))
    scores |= {
        "identified": ratio(weights @ met.identified, whole),
        "found": ratio(total, whole),
        "missed": whole - total,
    }
    return scores


def _percentile(values: np.ndarray, counts: np.ndarray, share: float) -> np.ndarray:
    """Of sorted values that are repeated as often as ``(rounds, values)`` counts say; NaN where nothing is."""
    answers = np.full(len(counts), np.nan)
    numbers = counts.sum(axis=1)
    some = numbers > 0
    if not values.size or not some.any():
        return answers
    reached = np.cumsum(counts[some], axis=1)
    place = share * (numbers[some] - 1)
    low, high = (values[(reached <= end[:, None]).sum(axis=1)] for end in (np.floor(place), np.ceil(place)))
    answers[some] = low + (high - low) * (place - np.floor(place))
    return answers
