"""A result: what was found in a case, where, and how sure, as plain data."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gracile.geometry import Centerline, Grid

Status = Literal["found", "absent", "failed"]


@dataclass(frozen=True)
class Measurement:
    """One measured number.

    Args:
        name: What was measured, e.g. ``caliber_mean``.
        value: The number; None when it is undefined (nothing there to measure).
        unit: Its unit, e.g. ``px``, ``um``, ``mm``, ``1`` for a ratio.
        structure: Class or tree that was measured; empty for one of the whole case.
        note: What a reader must know, e.g. that the optic disc was detected, not given.
    """

    name: str
    value: float | None
    unit: str
    structure: str = ""
    note: str = ""


@dataclass
class Result:
    """What a pipeline found in one case, on the input's own grid.

    Args:
        case_id: Id of the case.
        status: ``found``, ``absent`` (a gate or the decision found nothing) or ``failed``.
        reason: Why it is absent or failed; empty when found.
        grid: Grid of the input.
        classes: Names of the classes, the background first.
        mask: ``(*spatial)`` uint8 class indices, or None when failed.
        probabilities: ``(classes, *spatial)`` float32, or None.
        extras: Further probability maps by name, ``(classes, ...)`` float32, that a stage was asked to keep, such as
            those of the network's own size.
        region: ``(*spatial)`` bool, the part of the image that was looked at, or None.
        gates: Probabilities that the gates gave, by structure or kind of frame.
        gate_decisions: What the gates decided, by the same names.
        centerline: The line along the structure, where a stage looked for one.
        measurements: What was measured.
        tables: Rows of plain values by the table's name, such as a cord's sections slice by slice; each is written as
            ``NAME_TABLE.csv``.
        marks: Places to show over the picture, e.g. the optic disc, as plain data.
        flags: Things to look at before the result is believed.
        seconds: Wall-clock seconds by step.
    """

    case_id: str
    status: Status
    grid: Grid
    classes: list[str]
    reason: str = ""
    mask: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    region: np.ndarray | None = None
    gates: dict[str, float] = field(default_factory=dict)
    gate_decisions: dict[str, bool] = field(default_factory=dict)
    centerline: Centerline | None = None
    measurements: list[Measurement] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    marks: dict[str, Any] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The result without its arrays, ready for JSON."""
        return {
            "id": self.case_id,
            "status": self.status,
            "reason": self.reason,
            "gates": {name: round(value, 6) for name, value in self.gates.items()},
            "gate_decisions": self.gate_decisions,
            "measurements": [vars(m) for m in self.measurements],
            "marks": self.marks,
            "flags": self.flags,
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }
