"""Predicted qualities of the cases of a run folder, as evaluation takes them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.evaluation.tables import read_rows
from gracile.io.predictions_file import PREDICTIONS, read_predictions
from gracile.io.run_tables import CASES

_ERROR_MM = "mm"
_COLUMNS = {"predicted_quality": "", "predicted_mm": _ERROR_MM}
"""Columns of ``cases.csv`` and the score that each tells; the first may be of any."""

_REMEDY = (
    "Predict with a model that tells it: one trained with --folds, or given it by gracile calibrate. Any program's "
    f"{CASES} with the columns case, predicted_quality (of landmarks predicted_mm), predicted_low and predicted_high "
    "is taken as well."
)


@dataclass(frozen=True)
class ToldCase:
    """What was told of the answer to a case beforehand; None where it was not.

    Args:
        predicted: Its predicted score.
        low: Lower end of its interval.
        high: Upper end.
        band: Half width of the band around the outline.
        unlike: How unlike the training images the input is.
        band_unit: ``mm`` or ``px``.
        image: The input, whose file may be gone.
    """

    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    band: float | None = None
    unlike: float | None = None
    band_unit: str = ""
    image: Path | None = None


@dataclass(frozen=True)
class ToldQualities:
    """What a run folder tells of its answers.

    Args:
        source: The file.
        score: What is predicted, such as ``dice``, or ``mm``; empty where the file does not say.
        cases: By the names that the folder gives its cases.
    """

    source: Path
    score: str
    cases: Mapping[str, ToldCase] = field(default_factory=dict)

    @property
    def errors(self) -> bool:
        """Whether errors in mm are predicted, so that less is better."""
        return self.score == _ERROR_MM


def read_told_qualities(run: Path) -> ToldQualities:
    """Read the predicted qualities that a run folder carries: its ``predictions.json``, or else a ``cases.csv``.

    Raises:
        DataError: It carries none, or what it carries cannot be read or is of several scores.
    """
    folder = run if run.is_dir() else run.parent
    if (folder / PREDICTIONS).is_file():
        told = _of_records(folder / PREDICTIONS)
    elif (folder / CASES).is_file():
        told = _of_table(folder / CASES)
    else:
        raise DataError(f"{folder} carries no predicted quality: it has no {PREDICTIONS} and no {CASES}.", _REMEDY)
    if all(case.predicted is None for case in told.cases.values()):
        raise DataError(f"{told.source} has no predicted quality for any case.", _REMEDY)
    return told


def _of_records(source: Path) -> ToldQualities:
    cases: dict[str, ToldCase] = {}
    scores: set[str] = set()
    for record in read_predictions(source)["inputs"]:
        quality = record["quality"] or {}
        name = record["name"]
        predicted, low, high, band = (
            _number(quality.get(key), source, name, key) for key in ("predicted", "low", "high", "band")
        )
        unlike = _number(record["unlike"], source, name, "unlike")
        image = Path(record["path"]) if record.get("path") else None
        cases[name] = ToldCase(predicted, low, high, band, unlike, str(quality.get("band_unit", "")), image)
        if predicted is not None:
            scores.add(str(quality.get("score", "")))
    return ToldQualities(source, _one_score(scores, source), cases)


def _of_table(source: Path) -> ToldQualities:
    cases: dict[str, ToldCase] = {}
    scores: set[str] = set()
    for row in read_rows(source, ("case",)):
        name = row["case"]
        if name in cases:
            raise DataError(f"{source} has {name} more than once.", "Keep one row for each case.")
        columns = [column for column in _COLUMNS if row.get(column)]
        scores |= {_COLUMNS[column] for column in columns}
        predicted, low, high, unlike = (
            _number(row.get(column), source, name, column)
            for column in (columns[0] if columns else "", "predicted_low", "predicted_high", "unlike")
        )
        cases[name] = ToldCase(predicted, low, high, unlike=unlike)
    return ToldQualities(source, _one_score(scores, source), cases)


def _one_score(scores: set[str], source: Path) -> str:
    if len(scores) > 1:
        raise DataError(
            f"{source} predicts several scores: {', '.join(sorted(scores))}.", "Evaluate the answers of one model."
        )
    return next(iter(scores), "")


def _number(value: Any, source: Path, case: str, name: str) -> float | None:
    """A number, or None where there is none. Raises DataError for what is no number."""
    if value is None or value == "":
        return None
    try:
        read = float(value)
    except (TypeError, ValueError):
        read = math.nan
    if isinstance(value, bool) or not math.isfinite(read):
        raise DataError(f"{source}: {name} of {case} is {value!r}, and no number.", "Correct it.")
    return read
