"""What a study found: a page, tables for programs, and the best setting as a recipe."""

import csv
import math
from collections.abc import Sequence
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gracile.io.atomic import write_json, write_text
from gracile.names import VERSION
from gracile.report import Dot, Report, ReportTable, bar_chart, course_chart, dot_chart, write_report
from gracile.report.plane import Kind
from gracile.report.wording import NOTHING, label, number
from gracile.study import STAGE, RangeSpec, SettingSpec
from gracile.training.study_store import counted, expected_warnings
from gracile.training.trial import Plan

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
    return write_report(_page(plan, trials, rows, best, content), plan.out / "index.html")


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


def _page(
    plan: Plan, trials: Sequence[FrozenTrial], rows: list[dict[str, Any]], best: FrozenTrial | None,
    content: dict[str, Any],
) -> Report:  # fmt: skip
    spec, score = plan.spec, label(content["score"])
    states = [row["state"] for row in rows]
    counts = {name: states.count(name) for name in (*STATES.values(), "interrupted")}
    best_is: dict[str, str | int] = {} if best is None else {"best": number(best.value, 4), "best trial": best.number}
    better = "more is better" if content["more_is_better"] else "less is better"
    return Report(
        title=f"Tuning: {spec.title or spec.name}",
        subtitle=f"Recipe {plan.recipe.name}, stage {content['stage']}, judged by {score} ({better}), "
        f"{date.today().isoformat()}",
        classes=[],
        cases=[],
        summary={**best_is, **{name: count for name, count in counts.items() if count}},
        figures=_figures(plan, trials, best, content),
        figures_title="Trials",
        figures_hint="A dot is a trial, a ring the best; a hollow dot was given up and stands at its last score.",
        tables=_tables(plan, rows, best),
        settings={"study": spec.model_dump(mode="json")},
        notes=[note for note in (spec.summary, *content["notes"]) if note],
        credits=f"Made with Gracile {VERSION} and Optuna {optuna.__version__}.",
    )


def _figures(
    plan: Plan, trials: Sequence[FrozenTrial], best: FrozenTrial | None, content: dict[str, Any]
) -> list[tuple[str, str]]:
    scored = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED) and _known(t.value) is not None]
    if not scored:
        return []
    score = label(content["score"])
    dots = [Dot(t.number, t.value or 0.0, _kind(t, best), _hint(t)) for t in scored]
    line: list[tuple[float, float]] = []
    for trial in (t for t in scored if t.state == TrialState.COMPLETE):
        ends = [line[-1][1]] if line else []
        chosen = max if content["more_is_better"] else min
        line.append((trial.number, chosen([trial.value or 0.0, *ends])))
    figures = [("history, and the best so far", dot_chart(dots, "History", "trial", score, line=line))]
    for key, setting in plan.spec.settings.items():
        figures.append((short(key), _slice(key, setting, scored, best, score)))
    if content["importances"]:
        shares = {short(key): share for key, share in content["importances"].items()}
        figures.append(("share of the variance explained", bar_chart(shares, "Importances")))
    courses = []
    for trial in (t for t in scored if t.intermediate_values):
        known = {epoch + 1.0: v for epoch, v in sorted(trial.intermediate_values.items()) if _known(v) is not None}
        courses.append((list(known.items()), _kind(trial, best), _hint(trial)))
    if courses:
        figures.append(("course of each trial", course_chart(courses, "Courses", "epoch", score)))
    return figures


def _slice(key: str, setting: SettingSpec, trials: Sequence[FrozenTrial], best: FrozenTrial | None, score: str) -> str:
    """A setting's values against the scores."""
    ranged = isinstance(setting, RangeSpec)
    some = [trial for trial in trials if key in trial.params]
    dots = [
        Dot(t.params[key] if ranged else str(t.params[key]), t.value or 0.0, _kind(t, best), _hint(t)) for t in some
    ]
    names = [] if ranged else [str(value) for value in setting.values]
    log = isinstance(setting, RangeSpec) and setting.log
    return dot_chart(dots, short(key), short(key), score, log=log, names=names)


def _kind(trial: FrozenTrial, best: FrozenTrial | None) -> Kind:
    if best is not None and trial.number == best.number:
        return "best"
    return "hollow" if trial.state == TrialState.PRUNED else "plain"


def _hint(trial: FrozenTrial) -> str:
    settings = ", ".join(f"{short(key)} {shown(value)}" for key, value in trial.params.items())
    return f"trial {trial.number}: {number(trial.value, 4)} with {settings}"


def _tables(plan: Plan, rows: list[dict[str, Any]], best: FrozenTrial | None) -> list[ReportTable]:
    settings = list(plan.spec.settings)
    tables = []
    if best is not None:
        cells = [[short(key), shown(best.params[key])] for key in settings if key in best.params]
        tables.append(ReportTable("The best setting, written to best.yaml", ["setting", "value"], cells))
    columns = ["trial", "state", "score", *(short(key) for key in settings), "validations", "seconds", "reason"]
    _, more_is_better = plan.score
    sign = -1 if more_is_better else 1

    def rank(row: dict[str, Any]) -> tuple[bool, bool, float]:
        return (row["state"] != "complete", row["score"] is None, sign * (row["score"] or 0.0))

    cells = []
    for row in sorted(rows, key=rank):
        values = [shown(row["settings"][key]) if key in row["settings"] else NOTHING for key in settings]
        seconds = NOTHING if row["seconds"] is None else number(row["seconds"], 0)
        trial = [str(row["trial"]), row["state"], number(row["score"], 4)]
        cells.append([*trial, *values, str(len(row["course"])), seconds, row["reason"]])
    return [*tables, ReportTable("All trials, the best first", columns, cells)]


def short(key: str) -> str:
    """A setting's name without what all of them share."""
    return key.removeprefix(STAGE).removeprefix("train.")


def shown(value: Any) -> str:
    """A value as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
