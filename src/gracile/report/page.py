"""Lay a report out as one HTML file that needs nothing beside it."""

import base64
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from gracile.io import write_text
from gracile.names import cache_root
from gracile.report.contents import FAILED, Report, ReportCase, ReportLayer, worst_first
from gracile.report.gallery import FEW, first_pictures
from gracile.report.layers import visible_color
from gracile.report.wording import NOTICE, band_words, decimals, label, number, quality_words, unit_text
from gracile.result import Measurement

_FOLDER = Path(__file__).parent
_SEARCHABLE = 8


@dataclass(frozen=True)
class _Column:
    """One score or measurement in the table of all cases."""

    name: str
    structure: str
    unit: str
    main: bool
    digits: int
    values: dict[int, float | None]


def write_report(report: Report, path: Path | str) -> Path:
    """Write a report as one self-contained HTML file, whole or not at all.

    The page loads nothing from anywhere, and its content security policy forbids it to.

    Args:
        report: What to show.
        path: The file; its folder is made where needed.

    Returns:
        The path.

    Raises:
        DataError: The file cannot be written, such as on a full disk.
    """
    environment = _environment()
    cases = worst_first(report.cases, report.order_by, report.lower_is_better)
    columns = _columns(report, cases)
    page = environment.get_template("page.html").render(
        title=report.title,
        subtitle=report.subtitle,
        notes=report.notes,
        report=report,
        cases=[(index, case, _tone(case), _pivot(case.measurements)) for index, case in enumerate(cases, start=1)],
        first=[] if report.figures_first else first_pictures(cases),
        few=len(cases) <= FEW and not report.figures_first,
        columns=columns,
        spans=_spans(columns),
        flags=Counter(flag for case in cases for flag in case.flags).most_common(),
        flagged=any(case.flags for case in cases),
        predicted=next((case.quality.score for case in cases if case.quality is not None), ""),
        statuses=not report.order_by or len({case.status for case in cases}) > 1,
        failed=[(index, case) for index, case in enumerate(cases, start=1) if case.status in FAILED],
        switches=_switches(cases),
        classes=[(name, visible_color(color)) for name, color in report.classes[1:]],
        settings=yaml.safe_dump(report.settings, sort_keys=False, allow_unicode=True) if report.settings else "",
        searchable=len(cases) > _SEARCHABLE,
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup((_FOLDER / "page.js").read_text(encoding="utf-8")),
    )
    write_text(path, page)
    return Path(path)


def viewer_page(title: str, subtitle: str) -> str:
    """The page of the viewer and the server, in the shell of the reports; its scripts fill it."""
    return _environment().get_template("viewer.html").render(title=title, subtitle=subtitle, notes=[NOTICE])


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, bytecode_cache=_compiled_pages(),
    )  # fmt: skip
    environment.filters |= {
        "label": label, "number": number, "unit": unit_text, "jpeg": _jpeg, "png": _png, "grouped": _grouped,
        "quality": quality_words, "band": band_words,
    }  # fmt: skip
    return environment


class _CompiledPages(FileSystemBytecodeCache):
    """Compiled templates on disk, which a run for one picture would wait for; done without where they cannot be."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def _compiled_pages() -> _CompiledPages | None:
    with suppress(OSError, RuntimeError):  # Path.home knows no home
        folder = cache_root() / f"pages-{version('jinja2')}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _CompiledPages(str(folder))
    return None


def _jpeg(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")


def _png(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _tone(case: ReportCase) -> str:
    """How a case's status is colored."""
    return "bad" if case.status in FAILED else "faint" if case.status == "absent" else "good"


def _columns(report: Report, cases: list[ReportCase]) -> list[_Column]:
    """The scores where there are any, else the measurements; the headline's first, in its order."""
    found: dict[tuple[str, str, str], dict[int, float | None]] = {}
    for index, case in enumerate(cases, start=1):
        for name, value in case.scores.items():
            found.setdefault(("", name, "1"), {})[index] = value
    if not found:
        for index, case in enumerate(cases, start=1):
            for m in case.measurements:
                found.setdefault((m.structure, m.name, m.unit), {})[index] = m.value
    columns = [
        _Column(name, structure, unit, not report.headline or name in report.headline, decimals(some.values()), some)
        for (structure, name, unit), some in found.items()
    ]
    structures = sorted(dict.fromkeys(column.structure for column in columns), key=bool)  # the whole case first
    ranks = {name: rank for rank, name in enumerate(report.headline)}
    return sorted(columns, key=lambda c: (structures.index(c.structure), ranks.get(c.name, len(ranks))))


def _spans(columns: list[_Column]) -> list[tuple[str, int, int]]:
    """Structure, number of columns, number of those that are shown at first; empty without structures."""
    structures = dict.fromkeys(column.structure for column in columns)
    if not any(structures):
        return []
    groups = {name: [column for column in columns if column.structure == name] for name in structures}
    return [(name, len(group), sum(column.main for column in group)) for name, group in groups.items()]


def _pivot(measurements: list[Measurement]) -> dict[str, Any]:
    """Measurements as a table: a row per name and unit, a column per structure, the notes of each row."""
    structures = [name for name in dict.fromkeys(m.structure for m in measurements) if name]
    rows: dict[tuple[str, str], dict[str, Measurement]] = {}
    for m in measurements:
        rows.setdefault((m.name, m.unit), {})[m.structure] = m
    return {
        "structures": structures,
        "rows": [
            {
                "name": name,
                "unit": unit,
                "cells": cells,
                "digits": decimals(m.value for m in cells.values()),
                "notes": _notes(cells),
            }
            for (name, unit), cells in rows.items()
        ],
    }


def _notes(cells: dict[str, Measurement]) -> list[str]:
    """Each note once, with the structures it is about unless it is about the whole row."""
    about: dict[str, list[str]] = {}
    for structure, m in cells.items():
        if m.note:
            about.setdefault(m.note, []).append(structure)
    return [note if len(names) == len(cells) else f"{', '.join(names)}: {note}" for note, names in about.items()]


def _grouped(layers: list[ReportLayer]) -> dict[str, list[ReportLayer]]:
    """The layers by group, in the order in which they come."""
    groups: dict[str, list[ReportLayer]] = {}
    for layer in layers:
        groups.setdefault(layer.group, []).append(layer)
    return groups


def _switches(cases: list[ReportCase]) -> dict[str, list[ReportLayer]]:
    """The first layer of each name that any case has, by group."""
    first = {(layer.group, layer.name): layer for case in reversed(cases) for layer in reversed(case.layers)}
    return _grouped(list(reversed(first.values())))
