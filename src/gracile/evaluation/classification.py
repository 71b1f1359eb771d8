"""Protocol ``classification``: whole pictures, of a gate or of another program, against the class that is true.

The scores are those of `gracile.evaluation.class_scores`, over all pictures together; intervals are resampled by
picture, or by group where groups (patients) are given. Then ``auc_roc_within_groups`` is the mean of the areas within
each group: pictures of one patient resemble each other, so that recognizing the patient alone can give a high area.

A picture is decided on by the record's ``gate_decisions`` where there are any; else ``present`` from a probability of
0.5 on, or the likeliest class.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np

from gracile.errors import DataError
from gracile.evaluation.bootstrap import bootstrap_interval, percentile_interval, resampled_weights
from gracile.evaluation.class_scores import Classified, class_scores, confusion_matrices, reliability
from gracile.evaluation.class_sources import ClassAnswers, read_answers, read_classes
from gracile.evaluation.outcome import Evaluation, describe_runs
from gracile.evaluation.ranking import curves
from gracile.evaluation.tables import meet, read_groups, some
from gracile.io import LabelClass

THRESHOLD = 0.5
HEADLINE = (
    "accuracy", "balanced_accuracy", "f1_macro", "auc_roc", "auc_pr", "recall", "specificity", "false_alarm_rate",
    "precision", "brier", "calibration_error",
)  # fmt: skip
OF_A_CLASS = ("precision", "recall", "specificity", "f1", "auc_roc", "auc_pr")
_WITHIN = "auc_roc_within_groups"


def evaluate_classes(
    runs: Sequence[Path],
    truth: Path,
    *,
    mask_classes: Sequence[LabelClass] = (),
    missing: Literal["error", "worst"] = "error",
    groups: Path | None = None,
    min_area: int = 0,
) -> Evaluation:
    """Score classified pictures; every picture of the truth counts.

    Args:
        runs: What `read_answers` reads, one per run (seed).
        truth: What `read_classes` reads.
        mask_classes: Classes of the masks, where the truth is masks.
        missing: What a missing prediction means: an error that names it, or a wrong decision (the class after the true
            one) of which the probabilities were certain.
        groups: CSV with columns ``name`` and ``group``.
        min_area: Pixels that a structure in a mask must exceed to be present.

    Returns:
        The evaluation; its ``classes`` have one row per class and run, its ``details`` one entry per run with the
        confusion matrix, the points of the curves, the bins of the calibration and the areas within groups.

    Raises:
        DataError: What cannot be read, names that do not meet, or runs about different classes.
        UsageError: A least area without masks.
    """
    answers = [read_answers(run) for run in runs]
    classes = answers[0].classes
    for other in answers[1:]:
        if (other.classes, other.structure) != (classes, answers[0].structure):
            raise DataError(f"{other.source} is about other classes than {answers[0].source}.", "Score them apart.")
    # In the order of names, so that the same draws hit the same pictures however the truth is written down.
    true = dict(sorted(read_classes(truth, answers[0], mask_classes, min_area).items()))
    names = list(true)
    members = read_groups(groups, names) if groups else None
    met = [_met(names, each, truth, missing) for each in answers]
    wanted = np.array([true[name] for name in names])
    scored = [_classified(names, wanted, each, found) for each, found in zip(answers, met, strict=True)]
    details = [_details(each, one, members) for each, one in zip(answers, scored, strict=True)]
    return Evaluation(
        "classification",
        len(runs),
        _case_rows(names, scored, met, members),
        [row for run, one in enumerate(scored, start=1) for row in _class_rows(one, run if len(runs) > 1 else None)],
        _summary(scored, members, details),
        _notes(answers[0], wanted, met, details),
        HEADLINE,
        {"class_names": classes, "structure": answers[0].structure, "runs": details},
    )


def _met(names: list[str], answers: ClassAnswers, truth: Path, missing: str) -> dict[str, str | None]:
    """The answer's name for each true one."""
    met = meet(names, list(answers.probabilities))
    absent = [name for name, other in met.items() if other is None]
    if len(absent) == len(names):
        raise DataError(
            f"No name meets: {truth} has {some(names, 3)}, {answers.source} has "
            f"{some(list(answers.probabilities), 3)}.",
            "Names are those of the pictures, with or without suffix.",
        )
    if absent and missing == "error":
        raise DataError(
            f"{len(absent)} of {len(names)} pictures have no prediction in {answers.source}: {some(absent)}.",
            "Predict them, or count them as wrong (--missing-is-worst; in Python missing='worst').",
        )
    return met


def _classified(names: list[str], wanted: np.ndarray, answers: ClassAnswers, met: dict[str, str | None]) -> Classified:
    presence = bool(answers.structure)
    count = len(answers.classes)
    probabilities, decisions = [], []
    for name, true in zip(names, wanted, strict=True):
        other = met[name]
        if other is None:  # surely wrong
            probabilities.append(1 - np.eye(count)[true])
            decisions.append((true + 1) % count)
            continue
        values = answers.probabilities[other]
        likeliest = int(values[1] >= THRESHOLD) if presence else int(values.argmax())
        probabilities.append(values)
        decisions.append(answers.decisions.get(other, likeliest))
    return Classified(answers.classes, presence, wanted, np.array(probabilities), np.array(decisions))


def _summary(
    scored: list[Classified], members: list[str] | None, details: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Each score as a mean over runs, with its interval."""
    cases = scored[0].truth.size
    plain = [class_scores(one, np.ones((1, cases))) for one in scored]
    # The same draws for all runs: the interval is that of the mean over runs.
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in plain[0]}
    for weights in resampled_weights(cases, members):
        rounds = [class_scores(one, weights) for one in scored]
        for name, values in drawn.items():
            values.append(np.mean([scores[name] for scores in rounds], axis=0))
    summary = {}
    for name, values in drawn.items():
        interval = percentile_interval(np.concatenate(values)) if values else None
        defined = [value for scores in plain if np.isfinite(value := float(scores[name][0]))]
        summary[name] = describe_runs(defined, cases, len(scored), interval if len(defined) == len(scored) else None)
    if members is not None:
        summary[_WITHIN] = _within_groups(details, cases)
    return summary


def _within_groups(details: list[dict[str, Any]], cases: int) -> dict[str, Any]:
    """The mean of the areas within groups; its interval is by group. In every run the same groups have an area."""
    areas = [[row["auc_roc"] for row in detail["groups"] if row["auc_roc"] is not None] for detail in details]
    by_group = [fmean(of_runs) for of_runs in zip(*areas, strict=True)]
    means = [fmean(of_groups) for of_groups in areas if of_groups]
    entry = describe_runs(means, cases, len(details), bootstrap_interval(by_group))
    return {**entry, "groups": len(by_group)}


def _details(answers: ClassAnswers, scored: Classified, members: list[str] | None) -> dict[str, Any]:
    """What a run's report draws, as plain data."""
    once = np.ones((1, scored.truth.size))
    sizes, said, true = (values[0] for values in reliability(scored, once))
    edges = np.arange(sizes.size + 1) / sizes.size
    from_record = bool(answers.decisions)
    by_threshold = scored.presence and not from_record
    details: dict[str, Any] = {
        "source": str(answers.source),
        "decided_by": "gate_decisions" if from_record else "threshold" if by_threshold else "largest probability",
        "threshold": THRESHOLD if by_threshold else None,
        "confusion": confusion_matrices(scored, once)[0].astype(int).tolist(),
        "curves": {name: _curve_points(scored, index) for index, name in enumerate(scored.classes)},
        "calibration": [
            {
                "from": float(edges[index]),
                "to": float(edges[index + 1]),
                "cases": int(sizes[index]),
                "mean_probability": _known(said[index]),
                "share": _known(true[index]),
            }
            for index in range(sizes.size)
        ],
    }
    if members is not None:
        details["groups"] = _group_rows(scored, members)
    return details


def _curve_points(scored: Classified, index: int) -> dict[str, list[float | None]] | None:
    """Points of both curves of a class, from the highest threshold on; None where all pictures are on one side."""
    found = curves(scored.truth == index, scored.probabilities[:, index])
    if found is None:
        return None
    return {
        "threshold": [None, *found.thresholds[1:].tolist()],
        "recall": found.recall.tolist(),
        "false_alarm_rate": found.false_alarm_rate.tolist(),
        "precision": found.precision.tolist(),
    }


def _group_rows(scored: Classified, members: list[str]) -> list[dict[str, Any]]:
    """The area under the ROC curve within each group."""
    labels = np.array(members, dtype=str)
    groups = list(dict.fromkeys(members))
    weights = np.stack([(labels == group).astype(float) for group in groups])
    areas = class_scores(scored, weights)["auc_roc"]
    return [
        {"group": group, "cases": int(row.sum()), "auc_roc": _known(area)}
        for group, row, area in zip(groups, weights, areas, strict=True)
    ]


def _case_rows(
    names: list[str], scored: list[Classified], met: list[dict[str, str | None]], members: list[str] | None
) -> list[dict[str, Any]]:
    rows = []
    for index, name in enumerate(names):
        for run, one in enumerate(scored, start=1):
            true, decided = int(one.truth[index]), int(one.decisions[index])
            shown = one.classes[1:] if one.presence else one.classes
            probabilities = one.probabilities[index][-len(shown) :].tolist()
            rows.append(
                {
                    "case": name,
                    **({"run": run} if len(scored) > 1 else {}),
                    "status": "missing" if met[run - 1][name] is None else "scored",
                    **({"group": members[index]} if members else {}),
                    "truth": one.classes[true],
                    "decision": one.classes[decided],
                    "right": int(true == decided),
                    "probability_of_truth": float(one.probabilities[index, true]),
                    **{f"probability_{of}": value for of, value in zip(shown, probabilities, strict=True)},
                }
            )
    return rows


def _class_rows(scored: Classified, run: int | None) -> list[dict[str, Any]]:
    once = class_scores(scored, np.ones((1, scored.truth.size)))
    return [
        {
            **({} if run is None else {"run": run}),
            "class": name,
            "cases": int((scored.truth == index).sum()),
            "decided": int((scored.decisions == index).sum()),
            **{score: _known(once[f"{score}_{name}"][0]) for score in OF_A_CLASS},
        }
        for index, name in enumerate(scored.classes)
    ]


def _notes(
    answers: ClassAnswers, wanted: np.ndarray, met: list[dict[str, str | None]], details: list[dict[str, Any]]
) -> list[str]:
    notes = []
    for index, name in enumerate(answers.classes):
        sizes = int((wanted == index).sum())
        if sizes in (0, wanted.size):
            side = "no picture" if not sizes else "every picture"
            notes.append(f"the curves of {name} are undefined: {side} of the truth is {name}")
    if not answers.structure:
        off = sum(abs(float(values.sum()) - 1) > 1e-3 for values in answers.probabilities.values())
        if off:
            notes.append(f"the probabilities of {off} pictures do not sum to 1; they count as they are")
    absent = sum(other is None for found in met for other in found.values())
    if absent:
        notes.append(f"{absent} missing predictions count as wrong decisions that were certain")
    unused = len(answers.probabilities) - sum(other is not None for other in met[0].values())
    if unused:
        notes.append(f"{unused} predictions have no truth")
    undefined = sum(group["auc_roc"] is None for group in details[0].get("groups", []))
    if undefined:
        notes.append(f"{undefined} groups are all on one side and have no area of their own")
    return notes


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
