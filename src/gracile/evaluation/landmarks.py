"""Protocol ``landmarks``: how far points lie from their true places, and which were missed.

Radial errors are in mm, and in voxels where the true volume is known: each component divided by its axis' spacing.
Mean, median, deviation (n - 1) and 95th percentile are over the points that were found. A mean over found points
rewards giving up, so that ``found`` (a share) and ``missed`` (a count) stand beside them, and all success rates are
shares of all true points: a missed one lies within no distance. A point is *identified* where the nearest true landmark
of its case is its own. Intervals resample cases, or groups where groups (subjects) are given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np

from gracile.errors import DataError
from gracile.evaluation.bootstrap import percentile_interval, resampled_weights
from gracile.evaluation.outcome import Evaluation, describe_runs
from gracile.evaluation.point_scores import Met, point_scores
from gracile.evaluation.point_sources import TruePoints, read_predicted_points
from gracile.evaluation.quality_sources import ToldCase, ToldQualities, read_told_qualities
from gracile.evaluation.tables import read_groups, some
from gracile.evaluation.trust_outcome import ToldRun, add_trust

HEADLINE = (
    "mean_error_mm", "median_error_mm", "sd_error_mm", "p95_error_mm", "within_0.5_mm", "within_1_mm", "within_2_mm",
    "identified", "found", "missed",
)  # fmt: skip


_NUMBERS_AT_ONCE = 1_000_000

SHOWN = ("points", "missed", "mean_error_mm", "median_error_mm", "p95_error_mm", "within_1_mm", "identified")
"""What the table of all landmarks shows of each."""


@dataclass(frozen=True)
class _Scored:
    """Every true point of a run: its case's index, its landmark, the true landmark nearest to it, how it was met."""

    case: np.ndarray
    landmark: list[str]
    nearest: list[str]
    met: Met


def evaluate_landmarks(
    runs: Sequence[Path],
    truth: Mapping[str, TruePoints],
    names: Sequence[str] = (),
    *,
    missing: Literal["error", "worst"] = "error",
    groups: Path | None = None,
    trust: bool = False,
    failure: float | None = None,
) -> Evaluation:
    """Score points against the truth; every true point counts.

    Args:
        runs: What `read_predicted_points` reads, one per run (seed).
        truth: By case.
        names: The landmarks to score; all that the truth names when empty.
        missing: What a case without prediction means: an error that names it, or that all of its points were missed.
        groups: CSV with columns ``name`` and ``group``.
        trust: Whether to add how far the predicted errors that the folders carry can be trusted, see `add_trust`.
        failure: With ``trust``: the mean error in mm above which an answer is a failure.

    Returns:
        The evaluation. Its ``cases`` have a row per case (and run), its ``classes`` a row per case and landmark;
        ``details["landmarks"]`` has each landmark's own scores.

    Raises:
        DataError: What cannot be read, cases without prediction, or no true point; with ``trust`` folders without
            predicted errors.
    """
    told = [read_told_qualities(run) for run in runs] if trust else []
    chosen = list(names) or list(dict.fromkeys(name for case in truth.values() for name in case.points))
    cases = [name for name, case in truth.items() if any(landmark in case.points for landmark in chosen)]
    if not cases:
        raise DataError("The truth has none of the landmarks that are to be scored.", "Check their names.")
    predicted = [read_predicted_points(run, {name: truth[name] for name in cases}) for run in runs]
    absent = sorted({name for found in predicted for name in cases if name not in found})
    if absent and (missing == "error" or len(absent) == len(cases)):
        raise DataError(
            f"{len(absent)} of {len(cases)} cases have no predicted points: {some(absent)}.",
            "Predict them, or count their points as missed (--missing-is-worst; in Python missing='worst').",
        )
    scored = [_scored(cases, truth, found, chosen) for found in predicted]
    members = read_groups(groups, cases) if groups else None
    known = [landmark for landmark in chosen if any(landmark in truth[name].points for name in cases)]
    notes = _notes(truth, cases, absent)
    rows = [{"landmark": name, **_of_landmark(scored, name)} for name in known]
    evaluation = Evaluation(
        "landmarks",
        len(runs),
        [row for run, one in enumerate(scored) for row in _case_rows(cases, one, predicted[run], run, len(runs))],
        [row for run, one in enumerate(scored) for row in _point_rows(cases, one, run, len(runs))],
        _summary(scored, len(cases), members),
        notes,
        HEADLINE,
        {"landmarks": rows},
        {"by landmark": [{name: row[name] for name in ("landmark", *SHOWN)} for row in rows]},
    )
    if told:
        runs_told = [ToldRun(own, _told_cases(own, truth)) for own in told]
        add_trust(evaluation, runs_told, dict(zip(cases, members, strict=True)) if members else None, failure)
    return evaluation


def _told_cases(told: ToldQualities, truth: Mapping[str, TruePoints]) -> dict[str, ToldCase]:
    """What was told of each case, by its own name or its volume's."""
    own = {name: name if name in told.cases else case.file for name, case in truth.items()}
    return {name: told.cases[other] for name, other in own.items() if other in told.cases}


def _scored(
    cases: Sequence[str],
    truth: Mapping[str, TruePoints],
    predicted: Mapping[str, Mapping[str, np.ndarray]],
    names: Sequence[str],
) -> _Scored:
    case: list[int] = []
    landmarks: list[str] = []
    nearest: list[str] = []
    error_mm: list[float] = []
    error_voxels: list[float] = []
    for index, name in enumerate(cases):
        true = {landmark: truth[name].points[landmark] for landmark in names if landmark in truth[name].points}
        places, affine = np.stack(list(true.values())), truth[name].affine
        for landmark, place in true.items():
            found = predicted.get(name, {}).get(landmark)
            away = np.full(3, np.nan) if found is None else found - place
            case.append(index)
            landmarks.append(landmark)
            error_mm.append(float(np.linalg.norm(away)))
            if affine is None:
                error_voxels.append(np.nan)
            else:
                error_voxels.append(
                    np.inf if found is None else float(np.linalg.norm(np.linalg.solve(affine[:3, :3], away)))
                )
            nearest.append("" if found is None else list(true)[int(np.linalg.norm(places - found, axis=1).argmin())])
    in_voxels = None if all(truth[name].affine is None for name in cases) else np.array(error_voxels)
    identified = np.array([own == other for own, other in zip(landmarks, nearest, strict=True)])
    return _Scored(np.array(case), landmarks, nearest, Met(np.array(error_mm), in_voxels, identified))


def _summary(scored: Sequence[_Scored], cases: int, members: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """Each score over all points as a mean over runs, with its interval."""
    plain = [one.met.once() for one in scored]
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in plain[0]}
    at_once = max(1, _NUMBERS_AT_ONCE // len(scored[0].landmark))
    for weights in resampled_weights(cases, members):
        for start in range(0, len(weights), at_once):
            rounds = [point_scores(one.met, weights[start : start + at_once][:, one.case]) for one in scored]
            for name, values in drawn.items():
                values.append(np.mean([scores[name] for scores in rounds], axis=0))
    summary = {}
    for name, values in drawn.items():
        known = [value for one in plain if (value := one[name]) is not None]
        interval = percentile_interval(np.concatenate(values)) if values and len(known) == len(scored) else None
        summary[name] = describe_runs(known, cases, len(scored), interval)
    summary["missed"]["total"] = summary["missed"]["mean"]
    return summary


def _of_landmark(scored: Sequence[_Scored], name: str) -> dict[str, float | None]:
    """A landmark's scores over all cases, means over the runs."""
    members = [np.array([landmark == name for landmark in one.landmark]) for one in scored]
    each = [one.met.part(own).once() for one, own in zip(scored, members, strict=True)]
    means = {key: [value for scores in each if (value := scores[key]) is not None] for key in each[0]}
    row = {key: fmean(values) if values else None for key, values in means.items()}
    return {"points": int(members[0].sum()), **row}


def _case_rows(
    cases: Sequence[str], scored: _Scored, predicted: Mapping[str, Any], run: int, runs: int
) -> Iterable[dict[str, Any]]:
    for index, name in enumerate(cases):
        scores = scored.met.part(scored.case == index).once()
        status = "scored" if name in predicted else "missing"
        yield {"case": name, **({"run": run + 1} if runs > 1 else {}), "status": status, **scores}


def _point_rows(cases: Sequence[str], scored: _Scored, run: int, runs: int) -> Iterable[dict[str, Any]]:
    voxels = scored.met.error_voxels
    for index, landmark in enumerate(scored.landmark):
        error_mm = scored.met.error_mm[index]
        found = bool(np.isfinite(error_mm))
        yield {
            "case": cases[scored.case[index]],
            **({"run": run + 1} if runs > 1 else {}),
            "class": landmark,
            "error_mm": float(error_mm) if found else None,
            "error_voxels": float(voxels[index]) if voxels is not None and np.isfinite(voxels[index]) else None,
            "found": int(found),
            "nearest": scored.nearest[index],
        }


def _notes(truth: Mapping[str, TruePoints], cases: Sequence[str], absent: Sequence[str]) -> list[str]:
    notes = ["errors are those of the points that were found; success rates count missed points as failures"]
    if any(truth[name].affine is None for name in cases):
        notes.append("where the volume of a case is not known there are no errors in voxels")
    if absent:
        notes.append(f"{len(absent)} cases without prediction: all of their points count as missed")
    return notes
