"""The page of a training, while it runs and after: losses and scores, samples with the present answers, the time."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from gracile.errors import DataError
from gracile.pages.case_page import CasePage
from gracile.pages.course import Course
from gracile.pages.drawn import DrawnCases
from gracile.recipe import Recipe
from gracile.report import Curve, ReportCase, ReportTable, line_chart
from gracile.report.wording import NOTHING, label, number

PAGE = "training.html"

DRAWN = "drawn"
"""Folder of a stage in which its samples lie."""

SAMPLES = 4
"""Samples of a stage that the page shows."""

RENEWED_SECONDS = 15
"""A browser loads the page of a training under way anew after so many seconds."""

HINT = "Over the minutes of each stage. The pictures are samples as the network sees them, with its latest answer."

_CURVES = 6
_POINTS = 300


def write_training_page(run: Path, recipe: Recipe, running: bool) -> Path:
    """Write ``training.html`` from what the stages of a run have written of their course.

    Args:
        run: Folder of the run.
        recipe: What it trains.
        running: Whether it goes on, so that browsers load the page anew.

    Returns:
        The page.

    Raises:
        DataError: It cannot be written.
    """
    courses = {spec.name: course for spec in recipe.stages if (course := _course_in(run / spec.name)) is not None}
    under_way = next((course for course in courses.values() if course.state == "training"), None)
    cases = [entry for name, course in courses.items() for entry in samples_of(run / name, course)]
    spent = sum(course.spent_seconds for course in courses.values())
    summary: dict[str, str | int] = {"time spent": _time(spent)}
    if running and under_way is not None:
        summary = {"now": under_way.stage, **summary, "time left of this stage": _time(under_way.seconds_left)}
    for name, course in courses.items():
        if (best := course.best()) is not None:
            summary[f"{name}: best {_figure(course.choosing)}"] = number(best[1], 4)
    page = CasePage()
    page.cases = cases
    written = f"written {datetime.now():%H:%M:%S}"
    return page.write(
        run / PAGE,
        title=f"Training: {recipe.title or recipe.name}",
        subtitle=["under way" if running else "ended", written],
        classes=[(spec.name, spec.color) for spec in recipe.classes],
        summary=summary,
        figures=[figure for course in courses.values() for figure in _figures(course)],
        figures_title="Course",
        figures_hint=HINT,
        tables=[_table(recipe, courses)],
        notes=[words for course in courses.values() for words in course.words()],
        settings={"train": recipe.train.model_dump(mode="json")},
        credits=f", recipe {recipe.name}",
        figures_first=True,
        refreshed_seconds=RENEWED_SECONDS if running else 0,
    )


def samples_of(folder: Path, course: Course) -> list[ReportCase]:
    """The samples that were drawn of a stage."""
    drawn = DrawnCases(folder / DRAWN)
    entries = [ReportCase(each["name"], each["status"], each["words"], flags=each["flags"]) for each in course.samples]
    return [entry for entry in entries if drawn.put_back(entry, {"finished": course.stage})]


def keep_samples(folder: Path, course: Course, entries: Sequence[ReportCase]) -> None:
    """Keep what was drawn of a stage's samples; their words are the course's. Raises DataError."""
    drawn = DrawnCases(folder / DRAWN)
    for entry in entries:
        drawn.keep(entry, {"finished": course.stage})
    course.samples = [
        {"name": each.id, "status": each.status, "words": each.reason, "flags": each.flags} for each in entries
    ]


def _course_in(folder: Path) -> Course | None:
    """The course of a stage; None where it has not begun."""
    try:
        return Course.read(folder)
    except DataError:
        return None


def _figures(course: Course) -> list[tuple[str, str]]:
    """The charts of a stage: losses, scores, learning rate."""
    terms = [name for name in course.names if name.startswith("train_") and name != "train_loss"]
    losses = ["train_loss", "validation_loss", *(terms if len(terms) > 1 else [])]
    losses = [name for name in losses if name in course.names]
    scores = [name for name in course.names if name.startswith("validation_") and name != "validation_loss"]
    scores.sort(key=lambda name: (name != course.choosing, _last(course, name)))
    charts = [(losses, "losses", True), (scores, "validation", False), (["learning_rate"], "rate", True)]
    return [
        (f"{course.stage}: {title}", _chart(course, names[:_CURVES], title, log))
        for names, title, log in charts
        if any(len(course.points(name)) for name in names)
    ]


def _chart(course: Course, names: Sequence[str], title: str, log: bool) -> str:
    curves = []
    for name in names:
        points = course.points(name)
        step = -(-len(points) // _POINTS) or 1
        kept = [*points[::step], *points[-1:]] if step > 1 else points
        last = number(points[-1][1]) if points else NOTHING
        curves.append(Curve(_figure(name), [x for x, _ in kept], [y for _, y in kept], note=last))
    positive = all(value > 0 for curve in curves for value in curve.y)
    return line_chart(curves, f"{course.stage}, {title}", "minutes", title, log=log and positive)


def _table(recipe: Recipe, courses: dict[str, Course]) -> ReportTable:
    rows = []
    for spec in recipe.stages:
        course = courses.get(spec.name)
        if course is None:
            rows.append([spec.name, "not begun", *[NOTHING] * 5])
            continue
        best = course.best()
        planned = number(course.limits.get("epochs"), 0)
        limit = course.limits.get("minutes")
        left = course.seconds_left if course.state == "training" else 0.0
        rows.append([
            spec.name, course.state, f"{len(course.rows)} of {planned}", _time(course.spent_seconds),
            _time(left) if course.state == "training" else NOTHING,
            NOTHING if limit is None else f"{number(limit, 1)} min",
            NOTHING if best is None else f"{_figure(course.choosing)} {number(best[1], 4)} in epoch {best[0]}",
        ])  # fmt: skip
    columns = ["Stage", "State", "Epochs", "Spent", "Left", "Limit", "Best"]
    return ReportTable("Stages, one after the other", columns, rows)


def _last(course: Course, name: str) -> float:
    points = course.points(name)
    return points[-1][1] if points else 0.0


def _figure(name: str) -> str:
    """A figure's name for people; what is not of the training's loss is of validation."""
    return label(name if name == "validation_loss" else name.removeprefix("validation_"))


def _time(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
