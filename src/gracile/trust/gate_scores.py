"""What a gate said of frames of people that it had not seen: what it is calibrated on, and what bundles keep of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from gracile.case import Moment
from gracile.errors import BundleError

MOST = 2000
"""Frames of a gate that a bundle keeps; of more, evenly many of each person."""

MOMENT = ("clip", "time_s")
"""Columns of frames of clips."""


@dataclass(frozen=True)
class GateScores:
    """What a gate said, and what was true.

    Args:
        subjects: ``(frames,)`` names of people.
        targets: ``(frames,)`` index of the kind that each frame is.
        logits: ``(frames, kinds)``, kinds taken as equally frequent.
        clips: ``(frames,)`` names of clips, no two people's alike; empty names where they are of none.
        times: ``(frames,)`` seconds in their clip; NaN where not known.
    """

    subjects: np.ndarray
    targets: np.ndarray
    logits: np.ndarray
    clips: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))
    times: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if len(self.times) != len(self.targets):
            object.__setattr__(self, "clips", np.full(len(self.targets), ""))
            object.__setattr__(self, "times", np.full(len(self.targets), np.nan))

    @classmethod
    def joined(cls, parts: Sequence["GateScores"]) -> Self:
        """All frames of several, in their order; equal names are one person."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.targets)

    @property
    def names_nobody(self) -> bool:
        """Whether each of several frames is of a person of its own, as where a data set says nothing of people."""
        return self.frames > 1 and len(np.unique(self.subjects)) == self.frames

    def thinned(self, most: int = MOST) -> Self:
        """At most so many frames: as many of each person as fit, spread over the kinds that the person has."""
        people = [np.flatnonzero(self.subjects == person) for person in np.unique(self.subjects)]
        quota = max((q for q in range(1, most + 1) if sum(min(q, len(own)) for own in people) <= most), default=1)
        kept = []
        for own in people:
            by_kind = own[np.argsort(self.targets[own], kind="stable")]
            kept += by_kind[np.unique(np.linspace(0, len(own) - 1, min(quota, len(own))).round().astype(int))].tolist()
        rows = np.sort(kept)[:most].astype(int)
        return type(self)(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def as_card(self, kinds: Sequence[str]) -> dict[str, Any]:
        """Plain data for a bundle's card: a line for each frame, people as running numbers, logits to four digits.

        Args:
            kinds: Names of the kinds, in the order of the logits.
        """
        kept = self.thinned()
        lines = [
            " ".join([str(person), str(int(target)), *(f"{value:.4f}" for value in logits)])
            for person, target, logits in zip(_numbered(kept.subjects), kept.targets, kept.logits, strict=True)
        ]
        in_clips = bool(np.isfinite(kept.times).any())
        if in_clips:
            moments = zip(lines, _numbered(kept.clips), kept.times, strict=True)
            lines = [f"{line} {clip} {time:.3f}" for line, clip, time in moments]
        return {
            "columns": ["person", "kind", *(f"logit of {kind}" for kind in kinds), *(MOMENT if in_clips else ())],
            "kinds": list(kinds),
            "people": len(np.unique(self.subjects)),
            "frames": self.frames,
            "kept": lines,
        }

    @classmethod
    def from_card(cls, content: Mapping[str, Any], kinds: Sequence[str]) -> Self:
        """Read what `as_card` wrote. Raises BundleError where it is damaged or of another gate."""
        try:
            rows = [line.split(" ") for line in content["kept"]]
            in_clips = content["columns"][-len(MOMENT) :] == list(MOMENT)
            clips, times = np.array([row[-2] if in_clips else "" for row in rows]), np.full(len(rows), np.nan)
            if in_clips:
                times = np.array([row[-1] for row in rows], dtype=np.float64)
                rows = [row[: -len(MOMENT)] for row in rows]
            logits = np.array([row[2:] for row in rows], dtype=np.float64).reshape(len(rows), len(kinds))
            subjects, targets = (np.array([row[column] for row in rows]) for column in (0, 1))
            targets = targets.astype(np.int64)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise BundleError("The card's scores of a gate are damaged.", "Copy the bundle again.") from None
        right = content.get("kinds") == list(kinds) and np.isfinite(logits).all()
        if not right or ((targets < 0) | (targets >= len(kinds))).any():
            raise BundleError("The card's scores of a gate are not its own.", "Copy the bundle again.")
        return cls(subjects, targets, logits, clips, times)


def clips_and_times(moments: Sequence[Moment | None], subjects: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Names of clips, each one person's, and times in them; empty and NaN of cases that are no frame of a clip."""
    clips = [f"{subject}/{moment.clip}" if moment else "" for subject, moment in zip(subjects, moments, strict=True)]
    times = [np.nan if moment is None or moment.time_s is None else moment.time_s for moment in moments]
    return np.array(clips, dtype=str), np.array(times, dtype=np.float64)


def _numbered(names: np.ndarray) -> np.ndarray:
    """``(frames,)`` running numbers of names, from 1, in the order in which they come."""
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    return np.asarray((np.argsort(np.argsort(first)) + 1)[number])
