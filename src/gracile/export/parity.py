"""Whether an exported model answers as Gracile does, in figures."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gracile.errors import ExportError, MissingPartError
from gracile.evaluation.metrics import cl_dice, dice
from gracile.io import write_json

if TYPE_CHECKING:
    from rich.table import Table

MOST_DIFFERING = 1e-3
"""Share of a picture's pixels, or of a volume's voxels, that may be of another class."""

MOST_CLDICE = 2e-3
"""How far the clDice of both masks of a structure may lie below 1."""

MOST_VOXELS = 0.02
"""How far a point may lie from Gracile's own."""


@dataclass(frozen=True)
class ParityRow:
    """What an engine made of one case, beside Gracile's own answer.

    Args:
        name: Of the case.
        engine: What ran the exported model.
        differing: Share of pixels or voxels of another class; None where there are no masks.
        dice: Of both masks, by structure.
        cldice: Of both flat masks, by structure; of volumes where scikit-image is installed.
        points_voxels: Largest distance of a point in voxels; infinite where one of both was not found. None where
            there are no points.
    """

    name: str
    engine: str
    differing: float | None = None
    dice: dict[str, float] = field(default_factory=dict)
    cldice: dict[str, float] = field(default_factory=dict)
    points_voxels: float | None = None

    @classmethod
    def of_masks(
        cls, name: str, engine: str, own: np.ndarray, exported: np.ndarray, structures: Mapping[str, Sequence[int]]
    ) -> "ParityRow":
        """Of two masks of class indices."""
        if own.shape != exported.shape:
            return cls(name, engine, 1.0)
        both = {
            structure: (np.isin(own, classes), np.isin(exported, classes)) for structure, classes in structures.items()
        }
        dices, centers = {key: dice(*masks) for key, masks in both.items()}, {}
        with suppress(MissingPartError):
            centers = {key: cl_dice(*masks) for key, masks in both.items()}
        return cls(name, engine, float((own != exported).mean()), dices, centers)

    @property
    def agrees(self) -> bool:
        """Whether nothing is further apart than it may be."""
        return not self.faults()

    def faults(self) -> list[str]:
        """What is too far apart, with the figures."""
        found = []
        if self.differing is not None and not self.differing <= MOST_DIFFERING:
            found.append(f"{100 * self.differing:.4f} % of its pixels differ (at most {100 * MOST_DIFFERING:g} %)")
        for structure, value in self.cldice.items():
            if not 1.0 - value <= MOST_CLDICE:
                found.append(f"clDice of {structure} is {value:.4f} (at least {1.0 - MOST_CLDICE:g})")
        if self.points_voxels is not None and not self.points_voxels <= MOST_VOXELS:
            found.append(f"a point lies {self.points_voxels:.3f} voxels away (at most {MOST_VOXELS:g})")
        return found


@dataclass
class Parity:
    """The rows of an export, for the terminal, for a file and for the verdict."""

    rows: list[ParityRow] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """As JSON: what was allowed, and the rows."""
        allowed = {"differing": MOST_DIFFERING, "cldice": MOST_CLDICE, "points_voxels": MOST_VOXELS}
        rows = [{**vars(row), "points_voxels": _finite(row.points_voxels), "agrees": row.agrees} for row in self.rows]
        write_json(path, {"allowed": allowed, "agrees": all(row.agrees for row in self.rows), "rows": rows})

    def table(self) -> "Table":
        """For the terminal: the smallest Dice and clDice of a case stand for all of its structures."""
        from rich.table import Table

        columns = {
            "differing %": [None if row.differing is None else 100 * row.differing for row in self.rows],
            "Dice": [min(row.dice.values(), default=None) for row in self.rows],
            "clDice": [min(row.cldice.values(), default=None) for row in self.rows],
            "voxels": [row.points_voxels for row in self.rows],
        }
        told = {title: values for title, values in columns.items() if any(value is not None for value in values)}
        table = Table(title="The exported model beside Gracile")
        table.add_column("case")
        table.add_column("engine", no_wrap=True)
        for title in told:
            table.add_column(title, justify="right", no_wrap=True)
        for place, row in enumerate(self.rows):
            figures = [values[place] for values in told.values()]
            shown = ["-" if value is None else f"{value:.5f}" for value in figures]
            table.add_row(row.name, row.engine, *shown, style=None if row.agrees else "red")
        return table


def require(parity: Parity) -> None:
    """Raise ExportError, with the figures, where an exported model answers otherwise than Gracile, or was not tried."""
    if not parity.rows:
        raise ExportError("The exported model was tried on nothing.", "Name cases to try it on: --cases FOLDER.")
    wrong = [row for row in parity.rows if not row.agrees]
    if wrong:
        first = "; ".join(f"{row.name} with {row.engine}: {', '.join(row.faults())}" for row in wrong[:3])
        raise ExportError(
            f"The exported model answers otherwise than Gracile in {len(wrong)} of {len(parity.rows)} cases: {first}.",
            "Do not use it; update the engine, and report which model and which engine it was.",
        )


def _finite(distance: float | None) -> float | str | None:
    """JSON knows no infinity."""
    return "not found" if distance is not None and not np.isfinite(distance) else distance
