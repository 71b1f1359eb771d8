"""What ordinary inputs and answers of a trained model look like, kept in the card of its bundle."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from gracile.bundle import read_bundle, write_card
from gracile.data import CaseFiles
from gracile.data.spread import spread
from gracile.errors import GracileError
from gracile.io import read_case_file
from gracile.pipeline import Pipeline
from gracile.runners import Computing
from gracile.trust import Ordinary, case_figures

log = logging.getLogger(__name__)

MOST = 100
"""Cases that are looked at, spread evenly over those there are: enough for a range, and minutes at most."""


FEWEST = 8
"""Cases that are looked at however long they take: fewer say nothing of a range."""


def add_ordinary(
    folder: Path, cases: Sequence[CaseFiles], device: str = "auto", most: int = MOST, seconds: float | None = None
) -> Ordinary:
    """Apply a bundle to cases like those it is for, and write the ranges of their figures into its card.

    Flags of later cases are told by these ranges. Weights and checksums stay as they are.

    Args:
        folder: The bundle.
        cases: Such as its training cases; never those that it is tested on.
        device: ``auto``, ``cpu`` or ``cuda``.
        most: Largest number of cases that are looked at.
        seconds: After which no more than `FEWEST` are; None sets no limit.

    Returns:
        What was written; empty, with a warning, where too few cases could be answered.
    """
    bundle = read_bundle(folder)
    ordinary = ordinary_of(Pipeline.from_bundle(bundle, Computing(device=device)), cases, most, seconds)
    if not ordinary.ranges:
        log.warning("Too few cases tell what ordinary answers are: flags go by fixed rules.")
    write_card(folder, {**bundle.card, "ordinary": ordinary.as_card()})
    return ordinary


def ordinary_of(
    pipeline: Pipeline, cases: Sequence[CaseFiles], most: int = MOST, seconds: float | None = None
) -> Ordinary:
    """The ranges of the figures of cases, at most so many of them; empty where too few could be answered."""
    figures, subjects, start = [], set(), time.monotonic()
    for number, files in enumerate(spread(cases)[:most]):
        if seconds is not None and number >= FEWEST and time.monotonic() - start > seconds:
            break
        try:
            wanted = pipeline.recipe.input
            case = read_case_file(files.image, files.id, wanted, channels=files.channels)  # alone, as it is predicted
            figures.append(case_figures(case, pipeline(case), pipeline.recipe))
        except GracileError as error:
            log.warning("%s tells nothing of ordinary answers: %s", files.id, error)
            continue
        subjects.add(files.subject)
    return Ordinary.of(figures, len(subjects))
