"""What a gate buys and costs on labeled frames: false paint, lost frames and time, gated against ungated."""

from dataclasses import dataclass

import numpy as np

from gracile.evaluation.bootstrap import bootstrap_interval
from gracile.evaluation.gate_value import GateValue


@dataclass(frozen=True)
class GatedFrames:
    """Frames that were looked at with and without a gate; all arrays ``(frames,)``.

    Args:
        subjects: Names of people.
        positive: Whether the structures are there.
        is_open: Whether the gate lets them be looked for.
        painted: Whether they are painted where no gate stands before.
        gate_seconds: What looking at the whole frame takes.
        other_seconds: What all stages behind it take.
    """

    subjects: np.ndarray
    positive: np.ndarray
    is_open: np.ndarray
    painted: np.ndarray
    gate_seconds: np.ndarray
    other_seconds: np.ndarray


def gate_savings(frames: GatedFrames, *, clips: bool) -> GateValue:
    """What the gate changes, with intervals of the difference by resampling people.

    - false paint: frames without the structures in which they are painted;
    - lost: frames with the structures in which nothing is painted;
    - time of a frame, all stages together.

    Args:
        frames: What was seen.
        clips: Whether frames are evenly spaced in time: the first two are then seconds in a minute of video. They are
            counted in a hundred frames otherwise.
    """
    scale, unit = (60.0, "s a minute") if clips else (100.0, "of 100 frames")
    empty, shown, both = ~frames.positive, frames.positive, frames.painted & frames.is_open
    times = frames.gate_seconds + np.where(frames.is_open, frames.other_seconds, 0.0)
    values = {
        f"false paint, {unit}": (scale * (empty & both), scale * (empty & frames.painted)),
        f"lost, {unit}": (scale * (shown & ~both), scale * (shown & ~frames.painted)),
        "time of a frame, ms": (1e3 * times, 1e3 * frames.other_seconds),
    }
    rows = []
    for name, (gated, ungated) in values.items():
        difference = np.subtract(gated, ungated, dtype=float)
        interval = bootstrap_interval(difference.tolist(), frames.subjects.tolist())
        rows.append({
            "score": name, "gated": float(np.mean(gated)), "ungated": float(np.mean(ungated)),
            "difference": float(difference.mean()), "interval95": None if interval is None else list(interval),
        })  # fmt: skip
    return GateValue(rows, digits=2)
