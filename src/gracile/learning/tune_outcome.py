"""What a study found: tables for programs, the best setting as a recipe, and the page."""

import csv
import math
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gracile.io.atomic import write_json, write_text
from gracile.learning.study_store import counted, expected_warnings
from gracile.learning.trial import Plan
from gracile.pages.tuning import write_tuning_page

OPTIMISTIC = (
    "The held-back cases chose these settings, so that the best score is optimistic. Train the best setting and judge "
    "it on cases that no trial has seen."
)
FEWEST_FOR_IMPORTANCE = 8
"""Complete trials below which nothing is said of how much a setting matters."""

STATES = {
    TrialState.COMPLETE: "complete", TrialState.PRUNED: "given up", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
}  # fmt: skip


def write_outcome(plan: Plan, study: optuna.Study) -> Path:
    """Write ``trials.csv``, ``tuning.json``, ``index.html`` and, once a trial is complete, ``best.yaml``.

    Returns:
        The page.
    """
    trials = study.get_trials(deepcopy=False)
    kept = {trial.number for trial in counted(trials)}
    name, more_is_better = plan.score
    rows = [_row(trial, trial.number in kept) for trial in trials]
    best = best_trial(trials, more_is_better)
    importances, why_not = setting_importances(study)
    if best is not None:
        write_text(plan.out / "best.yaml", plan.spec.apply(plan.recipe, best.params).to_yaml())
    _write_csv(rows, list(plan.spec.settings), plan.out / "trials.csv")
    content = {
        "study": plan.spec.name,
        "recipe": plan.recipe.name,
        "stage": plan.spec.stage_of(plan.recipe).name,
        "score": name,
        "more_is_better": more_is_better,
        "best": None if best is None else {"trial": best.number, "score": best.value, "settings": best.params},
        "importances": importances,
        "notes": [OPTIMISTIC, *([why_not] if why_not else [])],
        "trials": rows,
    }
    write_json(plan.out / "tuning.json", content)
    return write_tuning_page(plan.spec, content, plan.out / "index.html", f" and Optuna {optuna.__version__}")


def best_trial(trials: Sequence[FrozenTrial], more_is_better: bool) -> FrozenTrial | None:
    """The complete trial with the best score, the first of equals; None before one is complete."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sign = -1 if more_is_better else 1
    return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def setting_importances(study: optuna.Study) -> tuple[dict[str, float], str]:
    """Share of the scores' variance that each setting explains, by fANOVA with a fixed seed; or why it is not said.

    Hutter, Hoos, Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = {name for trial in complete for name in trial.params}
    if len(names) < 2:
        return {}, ""
    if len(complete) < FEWEST_FOR_IMPORTANCE:
        return {}, f"How much each setting matters is not said from fewer than {FEWEST_FOR_IMPORTANCE} complete trials."
    if len({trial.value for trial in complete}) == 1:
        return {}, "All scores are equal, so that no setting matters."
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    with expected_warnings():
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator)), ""


def _row(trial: FrozenTrial, kept: bool) -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration else None
    return {
        "trial": trial.number,
        "state": STATES[trial.state] if kept else "interrupted",
        "score": _known(trial.value) if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
        "settings": trial.params,
        "course": {str(epoch + 1): _known(value) for epoch, value in sorted(trial.intermediate_values.items())},
        "scores": trial.user_attrs.get("scores"),
        "seconds": None if seconds is None else round(seconds, 1),
        "reason": trial.user_attrs.get("reason", ""),
    }


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _write_csv(rows: Sequence[dict[str, Any]], settings: Sequence[str], path: Path) -> None:
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "score", *settings, "validations", "seconds", "reason"])
    for row in rows:
        values = [row["settings"].get(name) for name in settings]
        more = [len(row["course"]), row["seconds"], row["reason"]]
        writer.writerow([row["trial"], row["state"], row["score"], *values, *more])
    write_text(path, text.getvalue())
