"""The page of a study: its trials, what each setting was worth, the best one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gracile.pages.case_page import CasePage
from gracile.report import Dot, ReportTable, bar_chart, course_chart, dot_chart
from gracile.report.plane import Kind
from gracile.report.wording import NOTHING, label, number
from gracile.study import STAGE, RangeSpec, SettingSpec, StudySpec

Row = Mapping[str, Any]


def write_tuning_page(spec: StudySpec, content: Mapping[str, Any], path: Path, credits: str = "") -> Path:
    """Write the page of a study.

    Args:
        spec: The study.
        content: What ``tuning.json`` holds, its trials among it.
        path: The HTML file.
        credits: What tried the settings.

    Returns:
        The path.
    """
    rows, best = content["trials"], content["best"]
    states = [row["state"] for row in rows]
    best_is = {} if best is None else {"best": number(best["score"], 4), "best trial": best["trial"]}
    better = "more is better" if content["more_is_better"] else "less is better"
    return CasePage().write(
        path,
        title=f"Tuning: {spec.title or spec.name}",
        subtitle=[
            f"Recipe {content['recipe']}",
            f"stage {content['stage']}",
            f"judged by {label(content['score'])} ({better})",
        ],
        summary={**best_is, **{name: states.count(name) for name in dict.fromkeys(states)}},
        figures=_figures(spec, content),
        figures_title="Trials",
        figures_hint="A dot is a trial, a ring the best; a hollow dot was given up and stands at its last score.",
        tables=_tables(spec, content),
        settings={"study": spec.model_dump(mode="json")},
        notes=[note for note in (spec.summary, *content["notes"]) if note],
        credits=credits,
    )


def _figures(spec: StudySpec, content: Mapping[str, Any]) -> list[tuple[str, str]]:
    scored = [row for row in content["trials"] if row["score"] is not None]
    if not scored:
        return []
    score = label(content["score"])
    kinds = {row["trial"]: _kind(row, content["best"]) for row in scored}
    dots = [Dot(row["trial"], row["score"], kinds[row["trial"]], _hint(row)) for row in scored]
    chosen = max if content["more_is_better"] else min
    line: list[tuple[float, float]] = []
    for row in (row for row in scored if row["state"] == "complete"):
        line.append((row["trial"], chosen([row["score"], *(value for _, value in line[-1:])])))
    figures = [("history, and the best so far", dot_chart(dots, "History", "trial", score, line=line))]
    for key, setting in spec.settings.items():
        figures.append((short(key), _slice(key, setting, scored, kinds, score)))
    if content["importances"]:
        shares = {short(key): share for key, share in content["importances"].items()}
        figures.append(("share of the variance explained", bar_chart(shares, "Importances")))
    courses = [
        ([(float(epoch), v) for epoch, v in row["course"].items() if v is not None], kinds[row["trial"]], _hint(row))
        for row in scored
        if row["course"]
    ]
    if courses:
        figures.append(("course of each trial", course_chart(courses, "Courses", "epoch", score)))
    return figures


def _slice(key: str, setting: SettingSpec, rows: Sequence[Row], kinds: Mapping[int, Kind], score: str) -> str:
    """A setting's values against the scores."""
    ranged = isinstance(setting, RangeSpec)
    dots = [
        Dot(
            row["settings"][key] if ranged else str(row["settings"][key]), row["score"], kinds[row["trial"]], _hint(row)
        )
        for row in rows
        if key in row["settings"]
    ]
    names = [] if ranged else [str(value) for value in setting.values]
    log = isinstance(setting, RangeSpec) and setting.log
    return dot_chart(dots, short(key), short(key), score, log=log, names=names)


def _kind(row: Row, best: Mapping[str, Any] | None) -> Kind:
    if best is not None and row["trial"] == best["trial"]:
        return "best"
    return "plain" if row["state"] == "complete" else "hollow"


def _hint(row: Row) -> str:
    settings = ", ".join(f"{short(key)} {shown(value)}" for key, value in row["settings"].items())
    return f"trial {row['trial']}: {number(row['score'], 4)} with {settings}"


def _tables(spec: StudySpec, content: Mapping[str, Any]) -> list[ReportTable]:
    settings, best = list(spec.settings), content["best"]
    tables = []
    if best is not None:
        cells = [[short(key), shown(best["settings"][key])] for key in settings if key in best["settings"]]
        tables.append(ReportTable("The best setting, written to best.yaml", ["setting", "value"], cells))
    columns = ["trial", "state", "score", *(short(key) for key in settings), "validations", "seconds", "reason"]
    sign = -1 if content["more_is_better"] else 1

    def rank(row: Row) -> tuple[bool, bool, float]:
        return (row["state"] != "complete", row["score"] is None, sign * (row["score"] or 0.0))

    cells = []
    for row in sorted(content["trials"], key=rank):
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
