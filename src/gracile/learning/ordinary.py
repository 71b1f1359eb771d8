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
from gracile.io.model_card import UNLIKE
from gracile.pipeline import Pipeline
from gracile.runners import Computing
from gracile.trust import Ordinary, Unlike, case_figures, sampled
from gracile.trust.appearance import appearance

log = logging.getLogger(__name__)

MOST = 100
"""Cases that are looked at, spread evenly over those there are: enough for a range, and minutes at most."""


FEWEST = 8
"""Cases that are looked at however long they take: fewer say nothing of a range."""


def add_ordinary(
    folder: Path, cases: Sequence[CaseFiles], device: str = "auto", most: int = MOST, seconds: float | None = None
) -> Ordinary:
    """Apply a bundle to cases like those it is for, and write what is ordinary of them into its card.

    Flags of later cases are told by the ranges of their figures, and by how unlike these cases an input is. Weights and
    checksums stay as they are.

    Args:
        folder: The bundle.
        cases: Such as its training cases; never those that it is tested on.
        device: ``auto``, ``cpu`` or ``cuda``.
        most: Largest number of cases that are looked at.
        seconds: After which no more than `FEWEST` are; None sets no limit.

    Returns:
        The ranges that were written; empty, with a warning, where too few cases could be answered.
    """
    bundle = read_bundle(folder)
    ordinary, unlike = ordinary_of(Pipeline.from_bundle(bundle, Computing(device=device)), cases, most, seconds)
    if not ordinary.ranges:
        log.warning("Too few cases tell what ordinary answers are: flags go by fixed rules.")
    if unlike.why_not:
        log.warning("How unlike the training images an input is cannot be told: %s.", unlike.why_not)
    write_card(folder, {**bundle.card, "ordinary": ordinary.as_card(), UNLIKE: unlike.as_card()})
    return ordinary


def ordinary_of(
    pipeline: Pipeline, cases: Sequence[CaseFiles], most: int = MOST, seconds: float | None = None
) -> tuple[Ordinary, Unlike]:
    """What is ordinary of cases, at most so many of them.

    Returns:
        The ranges of their figures, empty where too few could be answered; and what tells how unlike them an input is.
    """
    figures, looks, subjects, start = [], [], [], time.monotonic()
    pipeline.unlike = Unlike()  # what is learned from is not refused by what was learned before
    for number, files in enumerate(spread(cases)[:most]):
        if seconds is not None and number >= FEWEST and time.monotonic() - start > seconds:
            break
        try:
            wanted = pipeline.recipe.input
            case = read_case_file(files.image, files.id, wanted, channels=files.channels)  # alone, as it is predicted
            result = pipeline(case)
        except GracileError as error:
            log.warning("%s tells nothing of ordinary answers: %s", files.id, error)
            continue
        samples = sampled(case, result.region)
        figures.append(case_figures(case, result, pipeline.recipe, samples))
        if samples is not None:
            looks.append(appearance(samples))
            subjects.append(files.subject)
    unlike = Unlike.of(looks, subjects, pipeline.recipe.input.kind == "volume")
    return Ordinary.of(figures, len(set(subjects))), unlike
