"""The page of classified pictures: confusion, curves and calibration, then the pictures, wrong ones first."""

from pathlib import Path
from statistics import fmean
from typing import Any

from gracile.errors import DataError
from gracile.evaluation import Evaluation
from gracile.evaluation.classification import OF_A_CLASS
from gracile.evaluation.outcome import interval_text
from gracile.evaluation.tables import meet
from gracile.geometry import Grid
from gracile.io import image_files, read_picture, stem
from gracile.pages.score_page import ScoreParts, write_score_page
from gracile.report import (
    Curve,
    ReportCase,
    ReportTable,
    confusion_chart,
    curve_chart,
    distribution_chart,
    reliability_chart,
    result_layers,
)
from gracile.report.wording import NOTHING, label, number
from gracile.result import Result

_ORDER = "probability_of_truth"
_TILES = ("accuracy", "balanced_accuracy", "auc_roc", "recall", "false_alarm_rate", "f1_macro")
_DECIDED = {
    "gate_decisions": "Pictures are decided on as the predictions say (gate_decisions).",
    "threshold": "A picture is decided on as present from a probability of {threshold} on.",
    "largest probability": "A picture is decided on as the likeliest class.",
}


def write_classification_scores(evaluation: Evaluation, path: Path, images: Path | None, truth: str) -> Path:
    """Write the page of an evaluation by the protocol ``classification``.

    Args:
        evaluation: What was scored.
        path: The HTML file.
        images: Folder of the pictures, or None to show figures only.
        truth: Where the truth lies, for the settings.

    Returns:
        The path.

    Raises:
        DataError: No picture belongs to any case, one cannot be read, or the page cannot be written.
    """
    runs = evaluation.details["runs"]
    cases = _cases(evaluation)
    pictures = _find_pictures(cases, images)

    def draw(case: ReportCase) -> None:
        picture = read_picture(pictures[case.id], case.id)
        case.base, _ = result_layers(picture, Result(case.id, "found", Grid(picture.grid.shape), []), [])

    parts = ScoreParts(
        cases,
        _ORDER,
        (_ORDER, "right"),
        pictures,
        draw,
        notes=[_DECIDED[runs[0]["decided_by"]].format(threshold=runs[0]["threshold"])],
        content={
            "summary": _tiles(evaluation, len(cases)),
            "charts": _charts(cases),
            "figures": _figures(evaluation),
            "tables": _tables(evaluation),
        },
    )
    sources = {"predictions": [run["source"] for run in runs], "truth": truth}
    return write_score_page(evaluation, path, parts, sources)


def _cases(evaluation: Evaluation) -> list[ReportCase]:
    """One entry per picture, its probabilities averaged over the runs."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in evaluation.cases:
        rows.setdefault(row["case"], []).append(row)
    cases = []
    for name, some in rows.items():
        missing = any(row["status"] == "missing" for row in some)
        scores: dict[str, float | None] = {
            score: fmean(row[score] for row in some)
            for score in some[0]
            if score.startswith("probability_") or score == "right"
        }
        wrong = sorted({_mistake(row) for row in some if not row["right"]})
        reason = f"Truth: {some[0]['truth']}. Decided: {', '.join(dict.fromkeys(row['decision'] for row in some))}."
        if missing:
            reason = "There is no prediction: it counts as a wrong decision that was certain."
        cases.append(ReportCase(name, "missing" if missing else "scored", reason, scores=scores, flags=wrong))
    return cases


def _mistake(row: dict[str, Any]) -> str:
    if {row["truth"], row["decision"]} == {"absent", "present"}:
        return "false alarm" if row["decision"] == "present" else "missed"
    return f"{row['truth']} called {row['decision']}"


def _find_pictures(cases: list[ReportCase], images: Path | None) -> dict[str, Path]:
    if images is None:
        return {}
    files = {stem(path): path for path in _pictures_below(images)}
    # Names of class folders are part of a case's name where two folders share a picture's.
    files |= {f"{path.parent.name}-{stem(path)}": path for path in _pictures_below(images) if path.parent != images}
    met = meet([case.id for case in cases], list(files))
    found = {name: files[other] for name, other in met.items() if other is not None}
    if not found:
        raise DataError(f"{images} has no image for any case.", "Check --images; files meet by their names.")
    return found


def _pictures_below(images: Path) -> list[Path]:
    """The pictures of a folder, or those of its class folders."""
    own = image_files(images)
    return own or [path for folder in sorted(images.iterdir()) if folder.is_dir() for path in image_files(folder)]


def _tiles(evaluation: Evaluation, cases: int) -> dict[str, str | int]:
    shown: dict[str, str | int] = {"cases": cases}
    for name in _TILES:
        if name in evaluation.summary:
            shown[name] = number(evaluation.summary[name]["mean"], 4)
    return shown


def _charts(cases: list[ReportCase]) -> list[tuple[str, str]]:
    """How the probability of the truth is distributed, a row per true class."""
    values: dict[str, list[float]] = {}
    for case in cases:
        truth = case.reason.removeprefix("Truth: ").split(". Decided")[0] if case.status == "scored" else "missing"
        values.setdefault(truth, []).append(case.scores[_ORDER] or 0.0)
    return [(_ORDER, distribution_chart(values, "1"))] if len(cases) >= 3 else []


def _figures(evaluation: Evaluation) -> list[tuple[str, str]]:
    run = evaluation.details["runs"][0]
    names = evaluation.details["class_names"]
    structure = evaluation.details["structure"]
    figures = [("Confusion matrix", confusion_chart(run["confusion"], names, "Confusion matrix"))]
    drawn = names[1:] if structure else names
    first = {row["class"]: row for row in reversed(evaluation.classes)}
    known = [(name, run["curves"][name], first[name]) for name in drawn if run["curves"][name] is not None]
    if known:
        roc = [
            Curve(
                name, points["false_alarm_rate"], points["recall"],
                (1 - row["specificity"], row["recall"]), f"area {number(row['auc_roc'], 3)}",
            )
            for name, points, row in known
        ]  # fmt: skip
        precision = [
            Curve(
                name, points["recall"], points["precision"],
                None if row["precision"] is None else (row["recall"], row["precision"]),
                f"area {number(row['auc_pr'], 3)}",
            )
            for name, points, row in known
        ]  # fmt: skip
        figures.append(("ROC curve", curve_chart(roc, "ROC curve", "false alarm rate", "recall", diagonal=True)))
        title = "Precision-recall curve"
        figures.append((title, curve_chart(precision, title, "recall", "precision", steps=True)))
    bins = [(b["from"], b["to"], b["cases"], b["mean_probability"], b["share"]) for b in run["calibration"]]
    of = (
        ("probability of present", "share present")
        if structure
        else ("probability of the likeliest class", "share right")
    )
    return [*figures, ("Calibration", reliability_chart(bins, "Calibration", *of))]


def _tables(evaluation: Evaluation) -> list[ReportTable]:
    scores = [
        [label(name), number(entry["mean"], 4), interval_text(entry).replace("-", NOTHING)]
        for name, entry in evaluation.summary.items()
        if not name.endswith(tuple(f"_{of}" for of in evaluation.details["class_names"]))
    ]
    ran = "run" in evaluation.classes[0]
    by_class = [
        [
            row["class"] + (f", run {row['run']}" if ran else ""),
            str(row["cases"]),
            str(row["decided"]),
            *(number(row[name], 4) for name in OF_A_CLASS),
        ]
        for row in evaluation.classes
    ]
    tables = [
        ReportTable("Scores by class", ["Class", "True", "Decided", *map(label, OF_A_CLASS)], by_class),
        ReportTable("Scores over all cases", ["Score", "Value", "95 % interval"], scores),
    ]
    groups = evaluation.details["runs"][0].get("groups", [])
    if groups:
        rows = [[group["group"], str(group["cases"]), number(group["auc_roc"], 4)] for group in groups]
        tables.append(ReportTable("Within each group", ["Group", "Cases", "AUC ROC"], rows))
    return tables
