"""How the answers of a new bundle by each engine and in each number format agree with float32, for its card.

Without such a row `gracile.runners.choice` takes bfloat16 for nothing.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gracile.bundle import read_bundle, write_card
from gracile.case import Case
from gracile.data import CaseFiles, read_case
from gracile.data.spread import spread
from gracile.errors import GracileError
from gracile.pipeline import Pipeline
from gracile.result import Result
from gracile.runners import Computing
from gracile.runners.agreement import row_name
from gracile.runners.processor import computes_bfloat16

log = logging.getLogger(__name__)

Way = tuple[str, str]
"""An engine and a number format."""

FLOAT32: Way = ("openvino", "float32")
FAST: tuple[Way, ...] = (("openvino", "bfloat16"),)
"""What a training compares with float32; PyTorch's own bfloat16 is not applied unasked."""

MOST, FEWEST = 10, 3
"""Cases that are compared; fewer where they take long."""

ENOUGH_SECONDS = 30.0


def add_engine_table(folder: Path, cases: Sequence[CaseFiles], seconds: float | None = None) -> None:
    """Write into a bundle's card how bfloat16 agrees with float32, where this processor computes in it.

    Args:
        folder: The bundle, with its graphs.
        cases: Labeled cases like those that it is for; never those that it is tested on.
        seconds: That are left; where there are none, no table is made.
    """
    if not computes_bfloat16() or (seconds is not None and seconds <= 0):
        return
    allowed = ENOUGH_SECONDS if seconds is None else min(ENOUGH_SECONDS, seconds / 2)
    try:
        table = engine_table(folder, cases, FLOAT32, FAST, allowed)
    except GracileError as error:
        log.debug("no table of engines: %s", error)
        return
    if table:
        write_card(folder, {**read_bundle(folder).card, "engines": table})


def engine_table(
    folder: Path, cases: Sequence[CaseFiles], right: Way, others: Sequence[Way], seconds: float | None = None,
    most: int = MOST,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """By engine and number format how answers agree with the right ones; see `gracile.runners.agreement`.

    Args:
        folder: The bundle.
        cases: Labeled cases, of which at most ``most`` are taken, spread evenly.
        right: By which the others are judged.
        others: Those that cannot be had are left out.
        seconds: After which no further case is looked at, once there are `FEWEST`.
        most: Number of cases.
    """
    bundle = read_bundle(folder)
    pipelines = {}
    for way in (right, *others):
        try:
            pipelines[way] = Pipeline.from_bundle(bundle, Computing(*way))
        except GracileError as error:
            if way == right:
                raise
            log.info("%s in %s is left out: %s", *way, error)
    answers: dict[Way, list[Result]] = {way: [] for way in pipelines}
    looked_at = []
    start = time.monotonic()
    for number, files in enumerate(spread(cases)[:most]):
        if seconds is not None and number >= FEWEST and time.monotonic() - start > seconds:
            break
        looked_at.append(case := read_case(files, bundle.recipe))
        for way, pipeline in pipelines.items():
            answers[way].append(pipeline(case))
    if not looked_at:
        return {}
    return {
        row_name(*way): agreement(looked_at, answers[right], found) for way, found in answers.items() if way != right
    }


def agreement(cases: Sequence[Case], right: Sequence[Result], found: Sequence[Result]) -> dict[str, float]:
    """Share of pixels and of gate decisions that agree, points of Dice or of landmarks within 1 mm that differ."""
    row: dict[str, Any] = {"cases": len(cases)}
    pairs = [(a.mask, b.mask) for a, b in zip(right, found, strict=True) if a.mask is not None and b.mask is not None]
    if pairs:
        row["pixels"] = float(np.mean([(a == b).mean() for a, b in pairs]))
    decisions = [a.gate_decisions == b.gate_decisions for a, b in zip(right, found, strict=True)]
    if any(result.gate_decisions for result in right):
        row["gates"] = float(np.mean(decisions))
    scores = [[score(case, result) for case, result in zip(cases, side, strict=True)] for side in (right, found)]
    if not np.isnan(scores).all():
        row["score_difference"] = float(100 * abs(np.nanmean(scores[0]) - np.nanmean(scores[1])))
    return {name: round(value, 6) for name, value in row.items()}


def score(case: Case, result: Result) -> float:
    """Dice of all structures together, or the share of landmarks within 1 mm; NaN without a truth."""
    if case.points:
        near = [mark.point_mm is not None and bool(np.linalg.norm(mark.point_mm - case.points[mark.name]) <= 1.0)
                for mark in result.landmarks if mark.name in case.points]  # fmt: skip
        return float(np.mean(near))
    if case.truth is None or result.mask is None:
        return float("nan")
    true, mask = case.truth > 0, result.mask > 0
    return float(2 * (true & mask).sum() / max(1, true.sum() + mask.sum()))
