"""The minutes of a whole command, shared out among the stages that it trains."""

import time
from dataclasses import dataclass
from pathlib import Path

from gracile.io import write_json
from gracile.plain_data import read_json
from gracile.recipe import Recipe, StageSpec

FILE = "minutes.json"
"""In a run's folder: the minutes that each stage has; a resumed run reads them back."""

KEPT_SHARE, KEPT_SECONDS = 0.04, 12.0
"""What is kept for the end: graphs, calibration, the ranges of ordinary answers; by share, and at least."""

UNTIL_THE_CLOCK = 100_000
"""Epochs of a training that ends by its minutes alone."""

LEAST = 0.05
"""Minutes that every stage has, however late it is."""


@dataclass
class TimeBudget:
    """How long a training may take from the start of its command to its bundle.

    Args:
        minutes: In all; 0 sets no limit, and each stage has what its recipe says.
        out: Folder of the run.
        started: When the command began, by `time.monotonic`.
    """

    minutes: float
    out: Path
    started: float

    def for_stage(self, spec: StageSpec, recipe: Recipe) -> float:
        """Minutes of a stage's training; 0 where nothing limits it.

        Stages share what is left when the first of them begins as their own ``train.minutes`` are to each other, or
        alike where none has any; one that is also trained for its calibration counts for each time.
        """
        if not self.minutes:
            return recipe.train_of(spec).minutes
        path = self.out / FILE
        given: dict[str, float] = read_json(path, "Delete it.", shape=dict[str, float]) if path.is_file() else {}
        if spec.name not in given:
            waiting = [other for other in recipe.stages if other.name not in given]
            weights = {other.name: self._weight(other, recipe) for other in waiting}
            times = 1 + spec.parts_judged
            given[spec.name] = max(LEAST, self._left() * weights[spec.name] / sum(weights.values()) / times)
            write_json(path, given)
        return given[spec.name]

    def _weight(self, spec: StageSpec, recipe: Recipe) -> float:
        minutes = [recipe.train_of(other).minutes for other in recipe.stages]
        own = recipe.train_of(spec).minutes if all(minutes) else 1.0
        return own * (1 + spec.parts_judged)

    def _left(self) -> float:
        """Minutes that trainings may still take."""
        kept = max(KEPT_SECONDS, KEPT_SHARE * 60 * self.minutes) / 60
        return self.minutes - (time.monotonic() - self.started) / 60 - kept

    @property
    def seconds_left(self) -> float | None:
        """Until all of it should have ended; None where nothing limits it."""
        return 60 * self.minutes - (time.monotonic() - self.started) if self.minutes else None
