"""What a page of scores shows of predicted qualities: how they order the cases, and how near they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gracile.evaluation import Evaluation
from gracile.evaluation.trust_outcome import trust_rows, trust_title
from gracile.report import Curve, Dot, ReportTable, dot_chart, line_chart
from gracile.report.wording import NOTHING, label, number

_DOTS = 800
"""Largest number of dots and of points of a curve that a page draws; more are too many to tell apart."""

_HINT = (
    "Coverage is the share of cases that are kept when the most doubtful ones are set aside, risk their mean error. "
    "A hollow dot is a case whose true score lies outside its interval."
)


def with_trust(evaluation: Evaluation, content: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a page with what it shows of predicted qualities, where they were judged.

    Args:
        evaluation: What was scored.
        content: Parts of a `gracile.report.Report`.
    """
    trust = evaluation.details.get("trust")
    if trust is None:
        return dict(content)
    hint = f"{content['figures_hint']} {_HINT}" if content.get("figures") else _HINT
    figures = [("Risk and coverage", _risk_chart(trust)), ("Predicted and true", _scatter(evaluation, trust))]
    return {
        "figures_title": "Over all cases",
        **content,
        "figures": [*content.get("figures", []), *figures],
        "figures_hint": hint,
        "tables": [*content.get("tables", []), _table(trust)],
    }


def _risk_chart(trust: Mapping[str, Any]) -> str:
    """The curve of the first run between the best order and a random one."""
    run, figures = trust["runs"][0], trust["figures"]
    curves = [
        Curve(name, *_thinned(points["coverage"], points["risk"]), note=f"area {number(figures[area]['mean'], 4)}")
        for name, points, area in (
            ("predicted quality", run["curve"], "aurc"), ("best order", run["best"], "aurc_best")
        )
    ]  # fmt: skip
    mean = figures["aurc_random"]["mean"]
    curves.append(Curve("random order", [0.0, 1.0], [mean, mean], note=f"area {number(mean, 4)}"))
    risk = "mean error in mm" if trust["unit"] == "mm" else f"mean of 1 - {label(trust['scored'])}"
    return line_chart(curves, "Risk by coverage", "coverage (share of the cases kept)", risk)


def _scatter(evaluation: Evaluation, trust: Mapping[str, Any]) -> str:
    """True by predicted scores of the cases of the first run."""
    score = trust["scored"]
    rows = [
        row
        for row in evaluation.cases
        if row.get("run", 1) == 1 and row[score] is not None and row["predicted"] is not None
    ]
    dots = [
        Dot(
            row["predicted"],
            row[score],
            "hollow" if row["inside"] == 0 else "plain",
            f"{row['case']}: predicted {number(row['predicted'], 3)}, true {number(row[score], 3)}",
        )
        for row in (rows[place] for place in _some(len(rows)))
    ]
    name = label(score)
    return dot_chart(dots, f"True by predicted {name}", f"predicted {name}", f"true {name}", diagonal=True)


def _table(trust: Mapping[str, Any]) -> ReportTable:
    rows = trust_rows(trust)
    shown = [[_cell(value) for value in row.values()] for row in rows]
    return ReportTable(label(trust_title(trust)), [label(column) for column in rows[0]], shown)


def _cell(value: float | str | None) -> str:
    if isinstance(value, str):
        return NOTHING if value == "-" else value
    return number(value, 0 if isinstance(value, int) else 4)


def _some(count: int) -> list[int]:
    """Places of at most `_DOTS` of some things, evenly among them, the first and the last too."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, _DOTS)).round()})


def _thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    places = _some(len(x))
    return [x[place] for place in places], [y[place] for place in places]
