"""Smooth curves through noisy points, one coordinate of the points being the way along."""

from collections.abc import Callable

import numpy as np

from gracile.errors import GeometryError

Curve = Callable[..., np.ndarray]
"""Takes places along, and optionally the order of a derivative; gives ``(n, dimensions)``."""

TUKEY = 4.685  # 95 % efficiency for normal noise, Beaton and Tukey, Technometrics 16 (1974) 147-185
FEWEST = 5
TURNS = 4


def smooth_curve(along: np.ndarray, values: np.ndarray, bandwidth: float, weights: np.ndarray | None = None) -> Curve:
    """A cubic smoothing spline whose stiffness is a length, not a number to be guessed.

    A smoothing spline acts like a running mean with a kernel of bandwidth ``(lambda h) ** (1/4)``, ``h`` being the
    distance of the points: details below some six bandwidths are taken away, a straight line stays itself.

    Args:
        along: ``(n,)`` rising places of the points.
        values: ``(n, dimensions)``.
        bandwidth: In the unit of `along`; 0 goes through the points.
        weights: ``(n,)`` above 0, or None for equal ones.

    Returns:
        The curve. Fewer than five points are joined by a natural cubic spline, two by a line.

    Source: Silverman, "Spline smoothing: the equivalent variable kernel method", Annals of Statistics 12 (1984)
    898-916.
    """
    from scipy.interpolate import CubicSpline, make_smoothing_spline  # slow to import, and pictures need none

    along, values = np.asarray(along, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if not len(along) or (np.diff(along) <= 0).any():
        raise GeometryError("A curve needs at least one point, and points in order.")
    if len(along) == 1:
        return lambda at, order=0: np.repeat(values if order == 0 else np.zeros_like(values), len(at), axis=0)
    if len(along) < FEWEST or bandwidth <= 0:
        natural = "natural" if len(along) > 2 else "not-a-knot"
        spline = CubicSpline(along, values, bc_type=natural)
        return lambda at, order=0: spline(at, order)
    stiffness = bandwidth**4 / float(np.mean(np.diff(along)))
    parts = [make_smoothing_spline(along, column, w=weights, lam=stiffness) for column in values.T]
    return lambda at, order=0: np.stack([part(at, order) for part in parts], axis=1)


def robust_curve(along: np.ndarray, values: np.ndarray, bandwidth: float, weights: np.ndarray | None = None) -> Curve:
    """`smooth_curve` that is not drawn by a few points far off: those count the less, the farther off they are.

    Iteratively reweighted by Tukey's biweight of the distances; points within a twentieth of the bandwidth never
    lose weight, so that a perfect line is not picked apart.

    Args:
        along: ``(n,)`` rising places of the points.
        values: ``(n, dimensions)``.
        bandwidth: See `smooth_curve`.
        weights: ``(n,)`` above 0 at the start, or None for equal ones.
    """
    start = np.ones(len(along)) if weights is None else np.asarray(weights, dtype=np.float64)
    curve = smooth_curve(along, values, bandwidth, start)
    if len(along) < FEWEST or bandwidth <= 0:
        return curve
    for _ in range(TURNS):
        off = np.linalg.norm(values - curve(along), axis=1)
        scale = max(1.4826 * float(np.median(off)), bandwidth / 20)
        trust = (1 - np.minimum(off / (TUKEY * scale), 1) ** 2) ** 2
        curve = smooth_curve(along, values, bandwidth, np.maximum(start * trust, 1e-4))
    return curve
