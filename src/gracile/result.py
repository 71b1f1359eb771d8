"""A result: what was found in a case, where, and how sure, as plain data."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gracile.errors import RecipeError, UsageError, WriteError, in_words
from gracile.geometry import Centerline, Grid

log = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class Landmark:
    """One landmark that was looked for.

    Args:
        name: As the recipe names it.
        point_mm: ``(3,)`` RAS+ mm in the patient; None when it was not found.
        probability: How sure it is to be there, from 0 to 1; also given when it was not found.
        uncertainty_mm: Root mean square distance in mm of its probability from its point; None when not found.
        note: What a reader must know, such as why it was not found.
    """

    name: str
    point_mm: np.ndarray | None
    probability: float
    uncertainty_mm: float | None = None
    note: str = ""

    @classmethod
    def from_summary(cls, entry: Mapping[str, Any]) -> "Landmark":
        """Read back what `summary` gave."""
        place = entry["point_mm"]
        return cls(**{**entry, "point_mm": None if place is None else np.array(place, dtype=float)})

    def summary(self) -> dict[str, Any]:
        """Ready for JSON; millimeters are RAS+."""
        return {
            "name": self.name,
            "point_mm": None if self.point_mm is None else [round(float(c), 4) for c in self.point_mm],
            "probability": round(self.probability, 6),
            "uncertainty_mm": None if self.uncertainty_mm is None else round(self.uncertainty_mm, 4),
            "note": self.note,
        }


class LandmarkMaps(Mapping[str, np.ndarray]):
    """Maps of landmarks by name, each made anew whenever it is asked for: many on a large grid would not fit memory.

    Args:
        names: The landmarks.
        make: Gives the map of the landmark of a number, ``(*spatial)`` float32.
    """

    def __init__(self, names: Sequence[str] = (), make: Callable[[int], np.ndarray] | None = None) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._make = make

    def __getitem__(self, name: str) -> np.ndarray:
        number = self._numbers[name]
        assert self._make is not None
        return self._make(number)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


@dataclass(frozen=True)
class Quality:
    """How good an answer is predicted to be, as learned from answers to cases that the model had not seen.

    Args:
        score: What is predicted: ``dice`` or another score of the recipe's protocol, from 0 to 1, or ``mm``, the mean
            error of landmarks.
        predicted: Its value.
        low: Lower end of the interval that holds the true value in nine cases of ten.
        high: Upper end.
        reasons: Words for what says most that it is worse than usual, at most two.
        band: Half width of the band around the outline that holds the true outline in nine cases of ten; None where
            that was not learned.
        band_unit: ``mm`` where the case has a spacing, else ``px``.
        parts: The same of each structure or landmark where there are several, and of a cord the error of its area as a
            share: predicted value, lower and upper end.
    """

    score: str
    predicted: float
    low: float
    high: float
    reasons: tuple[str, ...] = ()
    band: float | None = None
    band_unit: str = ""
    parts: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @classmethod
    def from_summary(cls, entry: Mapping[str, Any]) -> "Quality":
        """Read back what `summary` gave."""
        parts = {name: tuple(values) for name, values in entry.get("parts", {}).items()}
        return cls(**{**entry, "reasons": tuple(entry["reasons"]), "parts": parts})

    @property
    def badness(self) -> float:
        """How bad it is, from 0 on: what a share lacks to 1, or the error in mm itself."""
        return self.predicted if self.score == "mm" else 1.0 - self.predicted

    def summary(self) -> dict[str, Any]:
        """Ready for JSON."""
        rounded = {
            name: None if value is None else round(value, 4)
            for name, value in (
                ("predicted", self.predicted),
                ("low", self.low),
                ("high", self.high),
                ("band", self.band),
            )
        }
        parts = {name: [round(value, 4) for value in values] for name, values in self.parts.items()}
        return {
            "score": self.score, **rounded, "band_unit": self.band_unit, "reasons": list(self.reasons),
            **({"parts": parts} if parts else {}),
        }  # fmt: skip


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
        probabilities: ``(maps, *spatial)`` float32, or None.
        maps: What they show: the classes or, of a recipe with regions, the background and the regions; empty where
            there are none.
        extras: Further probability maps by name, ``(classes, ...)`` float32, that a stage was asked to keep, such as
            those of the network's own size.
        region: ``(*spatial)`` bool, the part of the image that was looked at, or None.
        gates: Probabilities that the gates gave, by structure or kind of frame.
        gate_decisions: What the gates decided, by the same names.
        agreement: Mean Dice between the masks of an ensemble's members, from 0 to 1; None where there are none.
        centerline: The line along the structure, where a stage looked for one.
        landmarks: Every landmark of the recipe in its order, found or not.
        landmark_maps: Probability of each landmark by its name, ``(*spatial)`` float32 on the input's grid, made when
            it is looked up; there when probabilities were asked for.
        quality: How good the answer is predicted to be; None where that cannot be told, which a note says.
        unlike: How unlike the model's training images the input is, 1 where flags begin; None where that is not known.
        signs: What the answer shows of how far it can be trusted, see `gracile.stages.signs`; empty where nobody asked.
        places: Where a sign is worst, in words, by its name.
        slices: Signs by slice of a structure that was followed along a line, of the slices of the prepared volume from
            ``first_slice`` on, ``(slices,)`` each.
        first_slice: See there.
        measurements: What was measured.
        tables: Rows of plain values by the table's name, such as a cord's sections slice by slice; each is written as
            ``NAME_TABLE.csv``.
        marks: Places to show over the picture, e.g. the optic disc, as plain data.
        flags: Things to look at in this case before its result is believed.
        notes: What a reader must know that is no matter of this case, such as that no gate was trained.
        seconds: Wall-clock seconds by step.
    """

    case_id: str
    status: Status
    grid: Grid
    classes: list[str]
    reason: str = ""
    mask: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    maps: list[str] = field(default_factory=list)
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    region: np.ndarray | None = None
    gates: dict[str, float] = field(default_factory=dict)
    gate_decisions: dict[str, bool] = field(default_factory=dict)
    agreement: float | None = None
    centerline: Centerline | None = None
    landmarks: list[Landmark] = field(default_factory=list)
    landmark_maps: Mapping[str, np.ndarray] = field(default_factory=LandmarkMaps)
    quality: Quality | None = None
    unlike: float | None = None
    signs: dict[str, float] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    slices: dict[str, np.ndarray] = field(default_factory=dict)
    first_slice: int = 0
    measurements: list[Measurement] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    marks: dict[str, Any] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def surviving(self, part: str) -> Iterator[None]:
        """Let what was found outlive a part of its answer that fails: a flag names the part, a note tells the reason.

        Args:
            part: What the block does, such as ``the measure areas``.

        Raises:
            WriteError: Nothing can be written any more.
            RecipeError, UsageError: The settings are wrong, for every case.
        """
        try:
            yield
        except (WriteError, RecipeError, UsageError):
            raise
        except Exception as error:
            log.debug("%s: %s failed", self.case_id, part, exc_info=True)
            self.flags.append(f"{part} failed")
            self.notes.append(f"{part} failed: {in_words(error)}")

    def summary(self) -> dict[str, Any]:
        """The result without its arrays, ready for JSON."""
        return {
            "id": self.case_id,
            "status": self.status,
            "reason": self.reason,
            "gates": {name: round(value, 6) for name, value in self.gates.items()},
            "gate_decisions": self.gate_decisions,
            "agreement": None if self.agreement is None else round(self.agreement, 6),
            "quality": None if self.quality is None else self.quality.summary(),
            "unlike": None if self.unlike is None else round(self.unlike, 4),
            "landmarks": [landmark.summary() for landmark in self.landmarks],
            "measurements": [vars(m) for m in self.measurements],
            "marks": self.marks,
            "flags": self.flags,
            "notes": self.notes,
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }
