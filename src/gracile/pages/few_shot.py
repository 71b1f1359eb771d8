"""The page of a few-shot curve."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from gracile.evaluation import Protocol
from gracile.pages.case_page import CasePage, counted
from gracile.recipe import Recipe
from gracile.report import ReportTable, course_chart
from gracile.report.wording import NOTHING, label, number

_DRAWN = 6


def write_few_shot_page(
    rows: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    rules: Protocol,
    tested: int,
    path: Path,
    notes: Sequence[str] = (),
) -> Path:
    """Write the page of a curve.

    Args:
        rows: Of each training its ``shots``, ``repeat``, ``minutes`` and scores.
        recipe: What was trained.
        rules: How it was scored.
        tested: Number of test cases.
        path: The HTML file.
        notes: What else a reader must know.
    """
    headline = [name for name in rules.headline if any(row.get(name) is not None for row in rows)]
    sizes = sorted({row["shots"] for row in rows})
    trainings = f"{counted(len(rows), 'training')} on {', '.join(map(str, sizes))} cases"
    return CasePage().write(
        path,
        title=f"Few-shot curve: {recipe.title}",
        subtitle=[trainings, counted(tested, "test case")],
        summary={"trainings": len(rows), "test cases": tested},
        figures=[(label(name), _curve(rows, sizes, name)) for name in headline[:_DRAWN]],
        figures_title="Scores by number of training cases",
        figures_hint="The line is the mean of the repeats; each repeat is a faint line or dot.",
        tables=[_table(rows, sizes, headline)],
        settings=recipe.model_dump(mode="json"),
        notes=[*notes, "No case was held back: the schedule was fixed beforehand, and test cases chose nothing."],
        credits=f", recipe {recipe.name}",
    )


def _curve(rows: Sequence[Mapping[str, Any]], sizes: Sequence[int], name: str) -> str:
    def line(some: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
        by_size = {
            size: [row[name] for row in some if row["shots"] == size and row[name] is not None] for size in sizes
        }
        return [(float(size), fmean(values)) for size, values in by_size.items() if values]

    repeats = sorted({row["repeat"] for row in rows})
    courses = [(line(rows), "best", "mean of the repeats")]
    if len(repeats) > 1:
        courses += [(line([row for row in rows if row["repeat"] == r]), "plain", f"repeat {r}") for r in repeats]
    return course_chart(courses, label(name), "training cases", label(name))  # type: ignore[arg-type]


def _table(rows: Sequence[Mapping[str, Any]], sizes: Sequence[int], headline: Sequence[str]) -> ReportTable:
    cells = []
    for size in sizes:
        own = [row for row in rows if row["shots"] == size]
        texts = [str(len(own))]
        for name in (*headline, "minutes"):
            values = [row[name] for row in own if row.get(name) is not None]
            spread = f" ± {number(stdev(values), 3)}" if len(values) > 1 else ""
            texts.append(number(fmean(values), 3) + spread if values else NOTHING)
        cells.append([str(size), *texts])
    columns = ["Training cases", "Repeats", *map(label, headline), "Minutes"]
    return ReportTable("Mean and deviation over the repeats", columns, cells)
