"""How far predicted qualities can be trusted: an evaluation's scores joined with what was predicted of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gracile.errors import UsageError
from gracile.evaluation.bootstrap import percentile_interval, resampled_weights
from gracile.evaluation.outcome import Evaluation, describe_runs, interval_text
from gracile.evaluation.quality_sources import ToldCase, ToldQualities
from gracile.evaluation.trust import risk_coverage
from gracile.evaluation.trust_scores import LOOKED_AT, Judged, trust_scores

FORMULA = "(AURC - AURC of the best order) / (AURC of a random order - AURC of the best order)"

_ERROR = "_mm"
"""How the names of errors end."""

WORST_SHARE = 0.10
"""Share of the cases, those of the worst scores, that are failures where no threshold is stated."""

FIGURES = {
    "normalized_aurc": "normalized AURC, 0 best 1 random",
    "aurc": "AURC",
    "aurc_best": "AURC of the best order",
    "aurc_random": "AURC of a random order",
    "spearman": "Spearman correlation",
    "mean_absolute_error": "mean error of the predicted {}",
    "mean_difference": "mean of predicted less true {}",
    "interval_coverage": "intervals that hold (90 % meant)",
    "interval_width": "mean width of the intervals",
    "band_coverage": "bands that hold (90 % meant)",
    "failures_seen": "failures seen by looking at 10 %",
    "failures_seen_at_best": "the same in the best order",
    "auroc_of_failures": "AUROC of failures by prediction",
    "auroc_of_failures_unlike": "AUROC of failures by unlike",
}
"""Each figure in words; the braces name the score."""


@dataclass(frozen=True)
class ToldRun:
    """What one run told of its cases.

    Args:
        qualities: What its folder carries.
        cases: By the names of the evaluation's cases.
        bands: Whether the band holds the true outline, of the cases in which that can be told.
    """

    qualities: ToldQualities
    cases: Mapping[str, ToldCase]
    bands: Mapping[str, bool] = field(default_factory=dict)


def add_trust(
    evaluation: Evaluation,
    runs: Sequence[ToldRun],
    members: Mapping[str, str] | None = None,
    failure: float | None = None,
) -> None:
    """Add to an evaluation how far its predicted qualities can be trusted.

    ``details["trust"]`` has the figures, each with ``mean`` (over runs), ``interval95``, ``cases``; ``tables`` their
    table; the rows of ``cases`` get ``predicted``, ``low``, ``high``, ``inside``, ``band_holds`` and ``unlike``.

    Args:
        evaluation: What was scored.
        runs: What each run told.
        members: The subject of each case: each then counts once, however many cases it has, and is drawn as a whole.
        failure: A score below it, or an error above it, is a failure; the worst tenth of the cases when None.

    Raises:
        UsageError: What was predicted cannot be compared with what was scored.
    """
    score, notes = _compared(evaluation, runs[0].qualities)
    rows = [[row for row in evaluation.cases if row.get("run", 1) == run] for run in range(1, len(runs) + 1)]
    known = [[row for row in some if row[score] is not None] for some in rows]
    if not all(known):
        raise UsageError(f"No case has the score {score}.", "There is nothing to compare predicted qualities with.")
    judged = [_judged(some, score, run, members, failure) for some, run in zip(known, runs, strict=True)]
    names = list(dict.fromkeys(row["case"] for row in evaluation.cases))
    figures = _figures(judged, known, names, members)
    unlike = any(case.unlike is not None for run in runs for case in run.cases.values())
    for some, run, scored, one in zip(rows, runs, known, judged, strict=True):
        for row in some:
            row.update(_columns(row["case"], run, unlike))
        for row, inside in zip(scored, one.inside, strict=True):
            row["inside"] = None if np.isnan(inside) else int(inside)
    notes += _counted(rows, known, runs, score) + _undefined(judged, failure)
    evaluation.notes += notes
    evaluation.details["trust"] = {
        "predicted": runs[0].qualities.score,
        "scored": score,
        "unit": "mm" if judged[0].errors else "1",
        "cases": len(known[0]),
        "subjects": None if members is None else len({members[row["case"]] for row in known[0]}),
        "failure": {"at": failure, "worst_share": None if failure is not None else WORST_SHARE},
        "looked_at": LOOKED_AT,
        "normalized_aurc": FORMULA,
        "figures": figures,
        "runs": [_curve(one, some) for one, some in zip(judged, known, strict=True)],
        "notes": notes,
    }
    evaluation.tables[trust_title(evaluation.details["trust"])] = trust_rows(evaluation.details["trust"])


def trust_title(trust: Mapping[str, Any]) -> str:
    """What the table of ``details["trust"]`` is called."""
    grouped = trust["subjects"] is not None and trust["subjects"] < trust["cases"]
    return "trust in the predicted quality" + (f", {trust['subjects']} subjects that count alike" if grouped else "")


def trust_rows(trust: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of ``details["trust"]`` as rows of a table."""
    scored = "error" if trust["unit"] == "mm" else trust["scored"]
    return [
        {
            "figure": words.format(scored),
            "value": entry["mean"],
            **({"sd over runs": entry["sd_runs"]} if "sd_runs" in entry else {}),
            "95 % interval": interval_text(entry),
            "cases": entry["cases"],
        }
        for name, words in FIGURES.items()
        if (entry := trust["figures"].get(name)) is not None and entry["cases"]
    ]


def _compared(evaluation: Evaluation, told: ToldQualities) -> tuple[str, list[str]]:
    """The score that predictions are compared with, and what must be said of the choice."""
    first = next(name for name in evaluation.headline if name in evaluation.summary)
    if told.errors != first.endswith(_ERROR):
        kind = "errors of landmarks in mm" if told.errors else f"the score {told.score or 'of masks'}"
        raise UsageError(
            f"{told.source} predicts {kind}, which protocol {evaluation.protocol} does not score.",
            f"Use --protocol {'landmarks' if told.errors else 'segmentation'}.",
        )
    if told.errors:
        return first, []
    if told.score in evaluation.summary:
        return told.score, []
    if not told.score:
        return first, [f"{told.source.name} does not say which score it predicts: it is compared with {first}"]
    return first, [
        f"predicted is {told.score}, compared with {first}, as protocol {evaluation.protocol} has no {told.score}: the "
        "order of cases can be judged, but errors and intervals are of two different scores"
    ]


def _judged(
    rows: Sequence[Mapping[str, Any]],
    score: str,
    run: ToldRun,
    members: Mapping[str, str] | None,
    failure: float | None,
) -> Judged:
    told = [run.cases.get(row["case"], ToldCase()) for row in rows]
    sizes = Counter(members[row["case"]] for row in rows) if members is not None else {}
    shares = np.array([1 / sizes[members[row["case"]]] if members is not None else 1.0 for row in rows])
    truths = np.array([row[score] for row in rows], dtype=float)
    errors = run.qualities.errors
    worst = truths if errors else -truths
    least = _worst(worst, shares) if failure is None else failure if errors else -failure
    return Judged(
        truths,
        errors,
        _numbers([case.predicted for case in told]),
        _numbers([case.low for case in told]),
        _numbers([case.high for case in told]),
        band_holds=_numbers([run.bands.get(row["case"]) for row in rows]),
        unlike=_numbers([case.unlike for case in told]),
        failures=worst >= least if failure is None else worst > least,
        shares=shares,
    )


def _worst(risks: np.ndarray, shares: np.ndarray) -> float:
    """The least risk of the worst share of the cases; all that are equal to it are failures too."""
    order = np.argsort(-risks, kind="stable")
    reached = np.cumsum(shares[order]) >= WORST_SHARE * shares.sum() * (1 - 1e-9)
    return float(risks[order][int(np.argmax(reached))])


def _figures(
    judged: Sequence[Judged],
    rows: Sequence[Sequence[Mapping[str, Any]]],
    names: Sequence[str],
    members: Mapping[str, str] | None,
) -> dict[str, dict[str, Any]]:
    """Every figure as a mean over runs, with its interval by resampling cases, or subjects."""
    numbers = {name: index for index, name in enumerate(names)}
    places = [np.array([numbers[row["case"]] for row in some]) for some in rows]
    plain = [trust_scores(one, np.ones((1, len(some)))) for one, some in zip(judged, rows, strict=True)]
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in plain[0]}
    groups = None if members is None else [members[name] for name in names]
    for counts in resampled_weights(len(names), groups):
        rounds = [trust_scores(one, counts[:, own]) for one, own in zip(judged, places, strict=True)]
        for name, values in drawn.items():
            values.append(np.mean([scores[name] for scores in rounds if name in scores], axis=0))
    figures = {}
    for name, values in drawn.items():
        known = [float(scores[name][0]) for scores in plain if name in scores and np.isfinite(scores[name][0])]
        interval = percentile_interval(np.concatenate(values)) if values and len(known) == len(plain) else None
        figures[name] = describe_runs(known, _behind(judged[0], name), len(judged), interval)
    return figures


def _behind(cases: Judged, figure: str) -> int:
    """How many cases are behind a figure."""
    of_some = {
        "mean_absolute_error": cases.predicted,
        "mean_difference": cases.predicted,
        "interval_coverage": cases.inside,
        "interval_width": cases.inside,
        "band_coverage": cases.band_holds,
        "auroc_of_failures_unlike": cases.unlike,
    }
    return int((~np.isnan(of_some[figure])).sum()) if figure in of_some else cases.truths.size


def _columns(case: str, run: ToldRun, unlike: bool) -> dict[str, Any]:
    """What a case's row says of its predicted quality."""
    own, held = run.cases.get(case, ToldCase()), run.bands.get(case)
    return {
        "predicted": own.predicted,
        "low": own.low,
        "high": own.high,
        "inside": None,
        "band_holds": None if held is None else int(held),
        **({"unlike": own.unlike} if unlike else {}),
    }


def _counted(
    rows: Sequence[Sequence[Mapping[str, Any]]],
    known: Sequence[Sequence[Mapping[str, Any]]],
    runs: Sequence[ToldRun],
    score: str,
) -> list[str]:
    """What must be said of cases that are not judged as the others."""
    notes = []
    undefined = sum(map(len, rows)) - sum(map(len, known))
    if undefined:
        notes.append(f"trust: {undefined} of {sum(map(len, rows))} cases have no {score} and are left out")
    told = [run.cases.get(row["case"], ToldCase()) for some, run in zip(known, runs, strict=True) for row in some]
    if untold := sum(case.predicted is None for case in told):
        notes.append(
            f"trust: {untold} of {len(told)} cases carry no predicted quality: they are ranked as the most doubtful; "
            "errors and intervals are of the others"
        )
    banded = sum(case.band is not None for case in told)
    if unchecked := banded - sum(len(run.bands) for run in runs):
        notes.append(
            f"trust: {unchecked} of {banded} bands are not checked: there is no true outline, as of a false alarm, or "
            "no known pixel size"
        )
    if score.endswith(_ERROR):
        notes.append("trust: a case's error is the mean over its points that were found")
    return notes


def _undefined(judged: Sequence[Judged], failure: float | None) -> list[str]:
    """Why figures are undefined."""
    notes = []
    if any(np.ptp(one.risks) == 0 for one in judged):
        notes.append("trust: all scores are equal, so that every order is as good and the normalized AURC is undefined")
    elif any(one.failures.all() or not one.failures.any() for one in judged):
        words = "the worst tenth" if failure is None else f"{failure:g}"
        notes.append(f"trust: by {words}, all cases or none are failures, so that there is nothing to find")
    return notes


def _curve(cases: Judged, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The risk-coverage curve of a run, that of the best order, and the points of its scatter."""
    coverages, risks = risk_coverage(cases.risks, -cases.doubts, weights=cases.shares)
    best_coverages, best = risk_coverage(cases.risks, -cases.risks, weights=cases.shares)
    return {
        "curve": {"coverage": coverages.tolist(), "risk": risks.tolist()},
        "best": {"coverage": best_coverages.tolist(), "risk": best.tolist()},
        "failures": [row["case"] for row, failed in zip(rows, cases.failures, strict=True) if failed],
    }


def _numbers(values: Sequence[float | bool | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
