"""The minutes of a whole command, shared out among the stages that it trains."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from gracile.errors import UsageError
from gracile.io import write_json
from gracile.plain_data import read_json
from gracile.recipe import Recipe, StageSpec

log = logging.getLogger(__name__)

FILE = "minutes.json"
"""In a run's folder: its minutes, and those that each stage has; a resumed run reads them back."""

KEPT_SHARE, KEPT_SECONDS = 0.04, 12.0
"""What is kept for the end: graphs, calibration, the ranges of ordinary answers; by share, and at least."""

LITTLE = 0.15
"""Share of a command's minutes below which a stage's part is said to be too small."""

LEAST = 0.05
"""Minutes that every stage has, however late it is."""


class _Given(TypedDict):
    """What the file holds."""

    minutes: float
    stages: dict[str, float]


@dataclass
class TimeBudget:
    """How long a training may take from the start of its command to its bundle.

    Args:
        minutes: In all; 0 sets no limit, and each stage has what its recipe says.
        out: Folder of the run.
        started: When the command began, by `time.monotonic`.
        crossfits: Whether stages that are judged by others of their kind are trained once more for each part.
    """

    minutes: float
    out: Path
    started: float
    crossfits: bool = True

    def resumed(self, asked: float = 0) -> "TimeBudget":
        """With the minutes that the run was begun with. Raises UsageError where others are asked for."""
        given = self._given()
        minutes = given["minutes"] if given else 0.0
        if asked and asked != minutes:
            had = f"{minutes:g} minutes" if minutes else "no limit"
            raise UsageError(
                f"A resumed run keeps the minutes it was started with: {had}.", "Leave --minutes out, or start anew."
            )
        return TimeBudget(minutes, self.out, self.started)

    def note(self) -> None:
        """Write down the minutes of a run that begins, for whoever resumes it."""
        if self.minutes:
            write_json(self.out / FILE, _Given(minutes=self.minutes, stages={}))

    def for_stage(self, spec: StageSpec, recipe: Recipe) -> float:
        """Minutes of a stage's training; 0 where nothing limits it.

        Stages share what is left when the first of them begins as their own ``train.minutes`` are to each other, or
        alike where one has none; a stage that is trained again for its calibration counts for each time.
        """
        if not self.minutes:
            return recipe.train_of(spec).minutes
        given = self._given() or _Given(minutes=self.minutes, stages={})
        shares = given["stages"]
        if spec.name not in shares:
            waiting = [other for other in recipe.stages if other.name not in shares]
            weights = {other.name: self._weight(other, recipe) for other in waiting}
            spent = sum(shares.get(stage.name, 0.0) * self._times(stage) for stage in recipe.stages)
            own = self._left(spent) * weights[spec.name] / sum(weights.values())
            shares[spec.name] = max(LEAST, own / self._times(spec))
            if own < LITTLE * self.minutes:
                log.warning(
                    "The stage %r has %.1f of %g minutes: reading and preparing the cases took the others. Give more.",
                    spec.name, shares[spec.name], self.minutes,
                )  # fmt: skip
            write_json(self.out / FILE, given)
        return shares[spec.name]

    @property
    def seconds_left(self) -> float | None:
        """Until all of it should have ended; None where nothing limits it."""
        return 60 * self.minutes - (time.monotonic() - self.started) if self.minutes else None

    def _given(self) -> _Given | None:
        path = self.out / FILE
        return read_json(path, "Delete it.", shape=_Given) if path.is_file() else None

    def _weight(self, spec: StageSpec, recipe: Recipe) -> float:
        minutes = [recipe.train_of(other).minutes for other in recipe.stages]
        own = recipe.train_of(spec).minutes if all(minutes) else 1.0
        return own * self._times(spec)

    def _times(self, spec: StageSpec) -> int:
        """How often a stage is trained."""
        return 1 + spec.parts_judged * self.crossfits

    def _left(self, spent: float) -> float:
        """Minutes that trainings may still take: a resumed run began earlier than its command."""
        kept = max(KEPT_SECONDS, KEPT_SHARE * 60 * self.minutes) / 60
        return self.minutes - max(spent, (time.monotonic() - self.started) / 60) - kept
