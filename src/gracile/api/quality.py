"""Learns how good a model's answers are, on labeled cases that it was not trained on."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gracile.bundle import bundle_folder, read_bundle, write_card
from gracile.data import CaseFiles
from gracile.errors import DataError
from gracile.inference.gate_answers import Progress
from gracile.inference.held_answers import held_answers
from gracile.io.model_card import QUALITY
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe
from gracile.runners import Computing
from gracile.trust import HeldAnswer, QualityMap, learn_quality
from gracile.trust.quality_card import QualityEntry

log = logging.getLogger(__name__)

NOT_LEARNED = "how good answers are was not learned: "


def relearn_quality(
    model: str | Path, cases: Sequence[CaseFiles], device: str = "auto", progress: Progress | None = None
) -> QualityEntry:
    """Learn from labeled cases how good a model's answers are, and write it into its card; weights stay.

    Args:
        model: A bundle's folder.
        cases: Labeled, of people that it was not trained on; images that it was trained on are left out.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Told after each answer.

    Returns:
        What was written under ``quality``.

    Raises:
        DataError: Too few cases, or all answers are equally good; the card stays as it was.
        BundleError: The bundle cannot be used.
    """
    folder = bundle_folder(str(model))
    bundle = read_bundle(folder)
    pipeline = Pipeline.from_bundle(bundle, Computing(device=device))
    held = []
    for one in held_answers(pipeline, cases):
        held.append(one)
        if progress is not None:
            progress(len(held), len(cases), one.case)
    entry = learn_quality(held, score_of(bundle.recipe))
    write_card(folder, {**bundle.card, QUALITY: QualityMap(entry).as_card()})
    return entry


def quality_card(held: Sequence[HeldAnswer], recipe: Recipe) -> dict[str, Any] | str:
    """What a card holds of how good answers are: what was learned, or why nothing could be."""
    try:
        return QualityMap(learn_quality(held, score_of(recipe))).as_card()
    except DataError as error:
        log.warning("How good answers are is not predicted. %s", error)
        return NOT_LEARNED + error.message


def score_of(recipe: Recipe) -> Any:
    """The score that is predicted: ``dice`` of masks, ``mm`` of landmarks."""
    return "mm" if recipe.deciding is None else "dice"
