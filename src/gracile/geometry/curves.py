"""Lengths, curvature and tortuosity of curves given as ordered points.

A curve is an ``(n, dimensions)`` array of points in order; lengths are in the unit of its coordinates.
"""

import numpy as np
from scipy import ndimage


def smooth(points: np.ndarray, sigma: float) -> np.ndarray:
    """A curve with its steps smoothed out by a Gaussian along its points.

    The ends are continued by point reflection, so that they stay where they are and a straight line stays itself.

    Args:
        points: ``(n, dimensions)``, evenly spaced to within a pixel's diagonal.
        sigma: Standard deviation in points; shortened to a quarter of the curve where that is less.

    Returns:
        ``(n, dimensions)`` float64.
    """
    points = np.asarray(points, dtype=np.float64)
    sigma = min(sigma, len(points) / 4)
    if len(points) < 3 or sigma <= 0:
        return points
    reach = min(int(np.ceil(3 * sigma)), len(points) - 1)
    before, after = 2 * points[0] - points[reach:0:-1], 2 * points[-1] - points[-2 : -reach - 2 : -1]
    longer = np.concatenate([before, points, after])
    return ndimage.gaussian_filter1d(longer, sigma, axis=0, truncate=3.0)[reach:-reach]


def steps(points: np.ndarray) -> np.ndarray:
    """``(n - 1,)`` distances between neighboring points."""
    points = np.asarray(points, dtype=np.float64)
    return np.sqrt(((points[1:] - points[:-1]) ** 2).sum(axis=1))


def arc_length(points: np.ndarray) -> float:
    """Length along a curve; 0 for fewer than two points."""
    return float(steps(points).sum())


def chord_length(points: np.ndarray) -> float:
    """Straight distance between the ends of a curve; 0 for fewer than two points."""
    return float(np.linalg.norm(np.asarray(points[-1], float) - np.asarray(points[0], float))) if len(points) else 0.0


def point_weights(points: np.ndarray) -> np.ndarray:
    """Length of curve that each point stands for: ``(n,)``, half the step to either side."""
    weights = np.zeros(len(points))
    lengths = steps(points)
    weights[:-1] += lengths / 2
    weights[1:] += lengths / 2
    return weights


def tangents(points: np.ndarray) -> np.ndarray:
    """``(n, dimensions)`` unit vectors along a curve of at least two points."""
    along = np.gradient(np.asarray(points, dtype=np.float64), axis=0)
    return along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)


def curvature(points: np.ndarray) -> np.ndarray:
    """Curvature at each point: turning angle per length, without sign.

    Smooth pixel chains first (`smooth`), or this measures the pixel grid.

    Args:
        points: ``(n, dimensions)``.

    Returns:
        ``(n,)`` in radians per unit of length; 0 at both ends and for fewer than three points.

    Source: the discrete form that divides the angle between two neighboring steps by their mean length, e.g.
    Coeurjolly, Miguet and Tougne, IWVF 2001.
    """
    out = np.zeros(len(points))
    if len(points) < 3:
        return out
    edges = np.diff(np.asarray(points, dtype=np.float64), axis=0)
    lengths = np.maximum(np.linalg.norm(edges, axis=1), 1e-12)
    unit = edges / lengths[:, None]
    # 2 atan2(|u - v|, |u + v|) keeps its precision for small angles, where arccos of the product loses it.
    apart, together = np.linalg.norm(unit[1:] - unit[:-1], axis=1), np.linalg.norm(unit[1:] + unit[:-1], axis=1)
    out[1:-1] = 2 * np.arctan2(apart, together) / ((lengths[1:] + lengths[:-1]) / 2)
    return out


def tortuosity_arc_chord(points: np.ndarray) -> float | None:
    """Arc length over chord length: 1 for a straight line, pi / 2 for a half circle.

    Returns:
        The ratio; None where the ends coincide.

    Source: Lotmar, Freiburghaus and Bracher, Graefe's Archive 211 (1979) 49-57; tau 1 + 1 of Hart et al.,
    International Journal of Medical Informatics 53 (1999) 239-252.
    """
    chord = chord_length(points)
    return arc_length(points) / chord if chord > 1e-9 else None


def total_curvature(points: np.ndarray) -> float:
    """Integral of the curvature along a curve, in radians: 0 for a straight line, pi for a half circle.

    Source: tau 2 of Hart et al., International Journal of Medical Informatics 53 (1999) 239-252.
    """
    return float((curvature(points) * point_weights(points)).sum())


def tortuosity_curvature(points: np.ndarray) -> float | None:
    """Total curvature over arc length, in radians per unit of length: 1 / r for any arc of a circle of radius r.

    Returns:
        The ratio; None for a curve without length.

    Source: tau 4 of Hart et al., International Journal of Medical Informatics 53 (1999) 239-252.
    """
    length = arc_length(points)
    return total_curvature(points) / length if length > 0 else None
