"""Labeled cases answered by models that did not see them, from their images alone, as they would be predicted."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.data import CaseFiles, read_case
from gracile.errors import GracileError, WriteError
from gracile.inference.answering import flag
from gracile.inference.held_answers import held_answer
from gracile.inference.inputs import Input
from gracile.inference.records import record_of
from gracile.inference.result_files import write_found
from gracile.io.atomic import writing
from gracile.io.predictions_file import PREDICTIONS, Record, write_predictions
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe
from gracile.result import Result
from gracile.transforms.volume import Orientation
from gracile.trust import HeldAnswer

log = logging.getLogger(__name__)

FAINT = 0.02
"""Probability of every structure below which a sample is background by any decision that is tried."""


@dataclass(frozen=True)
class Kept:
    """What a case's mask was decided from, in the smallest box that matters, and what would have been right.

    Args:
        probabilities: ``(classes, *box)`` float32, of a volume in its prepared orientation.
        truth: ``(*box)`` class indices.
        counts: ``(*box)`` bool, the samples that are scored.
    """

    probabilities: np.ndarray
    truth: np.ndarray
    counts: np.ndarray


class KeptAnswers:
    """Probabilities of held-back cases, on the disk while something is chosen by them; one case at a time is in memory.

    Args:
        folder: Where they lie: a file for each case, probabilities as float16.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: list[str] = []

    def put(self, case: Case, result: Result, recipe: Recipe) -> None:
        """Keep what a result was decided from, of a case whose truth is known."""
        if result.probabilities is None or case.truth is None:
            return
        maps, truth = result.probabilities, case.truth
        counts = truth < len(recipe.classes)
        if result.region is not None:
            counts &= result.region
        if truth.ndim == 3:
            turn = Orientation.to(recipe.prepare.orientation, case.grid).apply
            maps, truth, counts = turn(maps), turn(truth), turn(counts)
        matters = (maps[1:] >= FAINT).any(axis=0) | ((truth > 0) & counts)
        axes = range(truth.ndim)
        box = tuple(_span(np.asarray(matters.any(axis=tuple(i for i in axes if i != axis)))) for axis in axes)
        with writing(self.folder / f"{len(self.ids)}.npz") as part, part.open("wb") as file:
            kept = maps[(slice(None), *box)].astype(np.float16)
            np.savez(file, probabilities=kept, truth=truth[box].astype(np.uint8), counts=counts[box])
        self.ids.append(case.id)

    def read(self, id: str) -> Kept:
        """What was kept of a case."""
        with np.load(self.folder / f"{self.ids.index(id)}.npz", allow_pickle=False) as arrays:
            return Kept(arrays["probabilities"].astype(np.float32), arrays["truth"], arrays["counts"])


def _span(there: np.ndarray) -> slice:
    found = np.flatnonzero(there)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def answer_held_back(
    pipeline: Pipeline, cases: Sequence[CaseFiles], out: Path, kept: KeptAnswers | None = None,
    held: list[HeldAnswer] | None = None,
) -> Iterable[Record]:  # fmt: skip
    """Answer cases and write what was found to ``out``, as ``gracile predict`` does.

    Args:
        pipeline: It was not trained on them.
        cases: With their truth, which the pipeline is not shown.
        out: Folder of masks and points.
        kept: Where probabilities are kept; None keeps none.
        held: Is given the signs and the score of each answer; None asks for none.

    Yields:
        The record of each case. One that fails is told in it.

    Raises:
        WriteError: Nothing can be written any more.
    """
    recipe = pipeline.recipe
    for files in cases:
        told: dict[str, Any] = {}
        try:
            case = read_case(files, recipe)
            signed = held is not None
            result = pipeline(replace(case, truth=None, points={}), keep_probabilities=kept is not None, signed=signed)
            flag(pipeline, case, result, predicted=False)
            told = {**result.summary(), "files": write_found(result, out), "computed": pipeline.computed}
            if kept is not None:
                kept.put(case, result, recipe)
            if held is not None and (own := held_answer(pipeline, case, result, files.subject)) is not None:
                held.append(own)
        except WriteError:
            raise
        except GracileError as error:
            log.warning("%s, held back, has no answer: %s", files.id, error)
            told = {"status": "failed", "reason": str(error)}
        kind = "volume" if recipe.input.kind == "volume" else "picture"
        yield record_of(Input(files.image, files.id, kind), "", {}, told)  # type: ignore[arg-type]


def write_held_back(out: Path, records: Sequence[Record], model: dict[str, Any], recipe: Recipe) -> None:
    """Write ``predictions.json`` of answers that several models gave.

    Args:
        out: Folder of the answers.
        records: In the order that they are to have.
        model: Name and checksums of all of them.
        recipe: Of all of them.
    """
    settings = {"model": model, "recipe": recipe.model_dump(mode="json")}
    write_predictions(out / PREDICTIONS, "", settings, records)
