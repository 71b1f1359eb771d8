"""The page of scored landmarks: distances over all cases, then each case with three slices through every point."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gracile.evaluation import Evaluation, TruePoints, find_protocol
from gracile.evaluation.point_scores import RADII
from gracile.evaluation.point_sources import read_predicted_points
from gracile.io import read_case_file
from gracile.pages.score_page import ScoreParts, write_score_page
from gracile.recipe import InputSpec
from gracile.report import ReportCase, ReportTable, course_chart, distribution_chart, landmark_layers
from gracile.report.wording import label, number
from gracile.result import Landmark, Measurement

_ORDER = "mean_error_mm"
_COLUMNS = (
    "points", "missed", "mean_error_mm", "median_error_mm", "sd_error_mm", "p95_error_mm",
    *(f"within_{radius:g}_mm" for radius in RADII), "identified",
)  # fmt: skip


def write_landmark_scores(
    evaluation: Evaluation,
    path: Path,
    truth: Mapping[str, TruePoints],
    volumes: Mapping[str, Path],
    predictions: Path,
    sources: Mapping[str, Any],
) -> Path:
    """Write the page of an evaluation by the protocol ``landmarks``.

    Args:
        evaluation: What was scored.
        path: The HTML file.
        truth: What it was scored by.
        volumes: The volume of each case that is to be shown.
        predictions: What `read_predicted_points` reads, of the first run where there are several.
        sources: Where the scored files lie, for the settings.

    Raises:
        DataError: A volume cannot be read, or the page cannot be written.
    """
    headline = tuple(name for name in find_protocol(evaluation.protocol).headline if name in evaluation.summary)
    names = [row["landmark"] for row in evaluation.details["landmarks"]]
    found = read_predicted_points(predictions, truth)
    cases = _cases(evaluation)

    def draw(case: ReportCase) -> None:
        volume = read_case_file(volumes[case.id], case.id, InputSpec(kind="volume", fourth_axis="first"))
        places = found.get(case.id, {})
        points = [Landmark(name, places.get(name), 1.0) for name in names]
        case.base, case.layers = landmark_layers(volume, points, truth[case.id].points)

    shown = (*headline[:2], "within_1_mm", "identified", "found")
    parts = ScoreParts(
        cases,
        _ORDER,
        headline,
        volumes,
        draw,
        kind="Volume",
        content={
            "summary": {
                "cases": len(cases),
                **{name: number(evaluation.summary[name]["mean"], 3) for name in shown},
                "missed": number(evaluation.summary["missed"]["mean"], 0),
            },
            "charts": _charts(evaluation, names),
            "figures": [("Share of all points within a distance", _within_chart(evaluation))],
            "figures_title": "Over all points",
            "figures_hint": "The line shows which share of all true points, missed ones included, lies within a "
            "distance.",
            "tables": _tables(evaluation),
        },
    )
    return write_score_page(evaluation, path, parts, {"landmarks": names, **sources})


def _cases(evaluation: Evaluation) -> list[ReportCase]:
    """One entry per case with scores of its first run; each landmark's error as a measurement."""
    points: dict[str, list[dict[str, Any]]] = {}
    for row in evaluation.classes:
        if row.get("run", 1) == 1:
            points.setdefault(row["case"], []).append(row)
    cases = []
    for row in evaluation.cases:
        if row.get("run", 1) != 1:
            continue
        own = points.get(row["case"], [])
        flags = [f"{part['class']}: missed" for part in own if not part["found"]]
        flags += [
            f"{part['class']}: nearer to {part['nearest']}"
            for part in own
            if part["found"] and part["nearest"] != part["class"]
        ]
        cases.append(
            ReportCase(
                row["case"],
                row["status"],
                "There is no prediction: all points count as missed." if row["status"] == "missing" else "",
                scores={name: value for name, value in row.items() if name not in ("case", "run", "status")},
                measurements=[Measurement("error", part["error_mm"], "mm", part["class"]) for part in own],
                flags=flags,
            )
        )
    return cases


def _errors(evaluation: Evaluation) -> list[float | None]:
    return [row["error_mm"] for row in evaluation.classes]


def _charts(evaluation: Evaluation, names: Sequence[str]) -> list[tuple[str, str]]:
    values = {
        name: [row["error_mm"] for row in evaluation.classes if row["class"] == name and row["error_mm"] is not None]
        for name in names
    }
    known = {name: some for name, some in values.items() if some}
    return [("radial error", distribution_chart(known, "mm"))] if known else []


def _within_chart(evaluation: Evaluation) -> str:
    """Share of all points by distance, up to the largest error or the largest radius."""
    errors = _errors(evaluation)
    known = np.sort([error for error in errors if error is not None])
    if not known.size:
        return course_chart([([(0.0, 0.0), (RADII[-1], 0.0)], "best", "none was found")], "within", "mm", "share")
    shares = np.arange(1, known.size + 1) / len(errors)
    line = [(0.0, 0.0), *((float(x), float(y)) for x, y in zip(known, shares, strict=True))]
    kept = [point for point in line if point[0] <= RADII[-1]]
    hint = f"{known.size} of {len(errors)} points were found"
    return course_chart(
        [(kept, "best", hint)], "Share of points within a distance", "distance in mm", "share of points"
    )


def _tables(evaluation: Evaluation) -> list[ReportTable]:
    rows = [
        [row["landmark"], *(number(row[name], 0 if name in ("points", "missed") else 3) for name in _COLUMNS)]
        for row in evaluation.details["landmarks"]
    ]
    tables = [ReportTable("By landmark", ["Landmark", *map(label, _COLUMNS)], rows)]
    voxels = [name for name in evaluation.summary if name.endswith("_voxels")]
    if voxels:
        cells = [[label(name), number(evaluation.summary[name]["mean"], 3)] for name in voxels]
        tables.append(ReportTable("In voxels, over all points", ["Score", "Value"], cells))
    windows = evaluation.details.get("windows")
    if windows:
        columns = ["precision", "recall", "f1"]
        rows = [
            [row["class"], str(row["windows"]), *(number(row[c], 3) for c in columns)] for row in windows["classes"]
        ]
        whole = str(windows["windows"])
        rows += [[row["average"], whole, *(number(row[c], 3) for c in columns)] for row in windows["averages"]]
        tables.append(ReportTable("Windows by class", ["Class", "Windows", *map(label, columns)], rows))
    return tables
