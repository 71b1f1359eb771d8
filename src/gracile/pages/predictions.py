"""The page of a prediction run: gathers what it needs while the results pass by."""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gracile.case import Case
from gracile.errors import GracileError, WriteError, in_words
from gracile.io import read_case_file, read_centerline, read_labels, read_table, read_volume_labels, write_bytes
from gracile.io.predictions_file import HIDDEN, channels_of
from gracile.io.run_tables import grade_column
from gracile.pages.case_page import CasePage, counted
from gracile.pages.clip import add_clip_numbers, add_clip_pictures
from gracile.pages.drawn import DrawnCases
from gracile.recipe import Recipe
from gracile.report import (
    ReportCase,
    ReportTable,
    case_figures,
    case_layers,
    case_overlay,
    distribution_chart,
    is_drawn,
)
from gracile.report.wording import number, run_notes
from gracile.result import Landmark, Measurement, Quality, Result

log = logging.getLogger(__name__)

HEADLINE = (
    "avr", "crae", "crve", "caliber_mean", "density", "tortuosity_arc_chord", "area", "depth", "nbr", "csa_mean",
    "csa_c2_c3", "diameter_ap_mean", "diameter_rl_mean", "volume",
)  # fmt: skip
"""Measurements that the table of all cases and the charts show at first."""


_RANGE = re.compile(r"csa_[ctls]\d+_[ctls]\d+")

NOTES = 12
"""Largest number of notes that stand at the head of the page."""


class ReportWriter:
    """Collects results, scaled down to what the page shows, and writes ``report/index.html``.

    Each picture is also written at its own size, with the classes laid over it, as ``report/overlays/NAME.jpg``; of a
    volume that is the sheet of views that the page shows.
    """

    def __init__(self, recipe: Recipe, model: str, out: Path, credits: str = "") -> None:
        self.recipe = recipe
        self.model = model
        self.credits = credits
        self.folder = out / "report"
        self.out = out
        self.page = CasePage()
        self._drawn = DrawnCases(out / HIDDEN / "drawn")
        self._records: dict[str, dict[str, Any]] = {}
        self._entries: dict[str, ReportCase] = {}

    def add(self, case: Case | None, result: Result | None, record: dict[str, Any]) -> None:
        """Take a result, or the bare record of one that was answered before (its files are read again) or failed."""
        entry = ReportCase(
            id=record["name"],
            status=record["status"],
            reason=record["reason"],
            measurements=[Measurement(**m) for m in record.get("measurements", [])],
            flags=record.get("flags", []),
            seconds=record.get("seconds", {}),
            quality=_quality(record),
            unlike=record.get("unlike"),
        )
        if record.get("landmarks"):
            entry.tables.append(_landmark_table(record["landmarks"]))
        self._records[entry.id], self._entries[entry.id] = record, entry
        self.page.cases.append(entry)
        if "video" in record.get("files", {}):
            self._add_video(entry, record)
        else:
            self._add_pictures(entry, case, result, record)

    def try_add(self, case: Case | None, result: Result | None, record: dict[str, Any]) -> str:
        """Do as `add` does; what cannot be drawn is in the page without a picture, and why is returned.

        Raises:
            WriteError: Nothing can be written any more.
        """
        try:
            self.add(case, result, record)
        except WriteError:
            raise
        except Exception as error:
            log.debug("%s cannot be drawn", record["name"], exc_info=True)
            return in_words(error)
        return ""

    def write_all(self, records: Sequence[dict[str, Any]], part: str = "") -> Path:
        """Write the page of all records of a run folder, in their order; a part of a run knows those of its own.

        Those that were not added before, or changed since, are read from their files.
        """
        for record in records:
            if self._records.get(record["name"], {}).get("finished", "") != record["finished"]:
                self.try_add(None, None, record)
        self._records = {record["name"]: record for record in records}
        self.page.retain([self._entries[name] for name in self._records])
        if not part:
            self._drawn.retain(entry.id for entry in self.page.pictured)
            for overlay in (self.folder / "overlays").glob("*.jpg"):
                if overlay.stem not in self._records:
                    overlay.unlink(missing_ok=True)
        return self.write(part)

    def write(self, part: str = "") -> Path:
        """Write the page; a part of a run, such as ``2of8``, writes its own beside the others'."""
        cases = self.page.cases
        classes = [(spec.name, spec.color) for spec in self.recipe.classes]
        counts = {status: sum(c.status == status for c in cases) for status in ("found", "absent", "failed")}
        flagged = sum(bool(c.flags) for c in cases)
        words = [grade_column(record).get("grade") for record in self._records.values()]
        graded = {f"graded {word}": words.count(word) for word in ("good", "usable", "reject")}
        kinds = [_kind(record) for record in self._records.values()]
        numbers = " and ".join(counted(kinds.count(kind), kind) for kind in dict.fromkeys(kinds))
        said = run_notes(list(self._records.values()))
        notes = [f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in said[:NOTES]]
        if len(said) > NOTES:
            notes.append(f"{len(said) - NOTES} further notes stand in predictions.json.")
        if self.page.overflows:
            others = "report/overlays has one of every answered picture, and every video is linked"
            notes.append(f"Pictures are shown of {len(self.page.pictured)} cases; {others}.")
        return self.page.write(
            self.folder / (f"index.{part}.html" if part else "index.html"),
            title=self.recipe.title,
            subtitle=[numbers or "nothing", f"model {self.model}", *_computed(self._records.values())],
            classes=classes,
            summary={status: count for status, count in {**counts, "flagged": flagged, **graded}.items() if count},
            charts=measurement_charts(cases, dict(classes)),
            settings=self.recipe.model_dump(mode="json"),
            notes=notes,
            credits=f", recipe {self.recipe.name}, model {self.model}. {self.credits}".rstrip(" ."),
            headline=_headline(cases),
        )

    def _add_pictures(
        self, entry: ReportCase, case: Case | None, result: Result | None, record: dict[str, Any]
    ) -> None:
        overlay = self.folder / "overlays" / f"{entry.id}.jpg"
        wanted = self.page.wants(entry)
        there = result is None and _is_of(overlay, record)
        if there and wanted and self._drawn.put_back(entry, record):
            self.page.keep(entry)
            wanted = False
        elif result is None and (wanted or not there):
            case, result = self._read(record)
        if not there and (case is None or result is None or not is_drawn(result)):
            return
        colors = [spec.color for spec in self.recipe.classes]
        drawn = case_layers(case, result, colors) if wanted and case is not None and result is not None else None
        if not there and case is not None and result is not None:
            write_bytes(overlay, case_overlay(case, result, colors, drawn))
        entry.links["Full-size overlay"] = f"overlays/{quote(os.fsencode(overlay.name))}"
        if drawn is not None and result is not None:
            entry.base, entry.layers = drawn
            entry.figures = case_figures(result.tables)
            self._drawn.keep(entry, record)
            self.page.keep(entry)

    def _add_video(self, entry: ReportCase, record: dict[str, Any]) -> None:
        """A video's files are read back, those that were just written like those of an earlier run."""
        add_clip_numbers(entry, record, self.out, self.folder / "index.html")
        if self.page.wants(entry):
            if not self._drawn.put_back(entry, record):
                add_clip_pictures(entry, record, self.recipe, self.out)
                self._drawn.keep(entry, record)
            self.page.keep(entry)

    def _read(self, record: Mapping[str, Any]) -> tuple[Case | None, Result | None]:
        """The case and the mask or points of a reused record; None where their files are gone or changed."""
        files = record.get("files", {})
        if not {"mask", "landmarks"} & set(files):
            return None, None
        classes = self.recipe.classes
        try:
            path, wanted = Path(record["input"]), self.recipe.input
            case = read_case_file(path, record["name"], wanted, channels=channels_of(record))
            if "mask" not in files:
                points = [Landmark.from_summary(entry) for entry in record["landmarks"]]
                status = record["status"]
                names = self.recipe.class_names
                return case, Result(case.id, status, case.grid, names, landmarks=points, quality=_quality(record))
            mask = self.out / files["mask"]
            if self.recipe.input.kind == "volume":
                labels = read_volume_labels(mask, classes, case.grid, recoded=False).values
            else:
                labels = read_labels(mask, classes, recoded=False)
            line = read_centerline(self.out / files["centerline"]) if "centerline" in files else None
            tables = {kind: read_table(self.out / files[kind]) for kind in ("cord", "cord_levels") if kind in files}
        except GracileError:
            return None, None
        if labels.shape != case.grid.shape:
            return None, None
        names, marks = self.recipe.class_names, record.get("marks", {})
        status = record["status"]
        return case, Result(
            case.id, status, case.grid, names, mask=labels, centerline=line, tables=tables, marks=marks,
            quality=_quality(record),
        )  # fmt: skip


def _quality(record: Mapping[str, Any]) -> Quality | None:
    """How good the answer of a record is predicted to be."""
    return None if record.get("quality") is None else Quality.from_summary(record["quality"])


def _computed(records: Iterable[dict[str, Any]]) -> list[str]:
    """By what networks were computed, each way once."""
    ways: dict[str, None] = {}
    for record in records:
        told = record.get("computed") or {}
        for one in [told] if "engine" in told else told.values():
            threads = "1 thread" if one["threads"] == 1 else f"{one['threads']} threads"
            ways[f"{one['engine']} {one['version']} in {one['precision']} on {one['device']}, {threads}"] = None
    return [f"computed by {' and '.join(ways)}"] if ways else []


def _headline(cases: Sequence[ReportCase]) -> tuple[str, ...]:
    """What the table shows at first, areas over vertebral levels among it; all where none of that was measured."""
    names = {m.name for case in cases for m in case.measurements}
    chosen = (*HEADLINE, *sorted(name for name in names - {*HEADLINE} if _RANGE.fullmatch(name)))
    return chosen if names & {*chosen} else ()


def _is_of(overlay: Path, record: Mapping[str, Any]) -> bool:
    """Whether an overlay is there and not older than what it is to show."""
    if not overlay.is_file():
        return False
    finished = record.get("finished")
    return not finished or overlay.stat().st_mtime >= datetime.fromisoformat(finished).timestamp()


def _landmark_table(landmarks: Sequence[Mapping[str, Any]]) -> ReportTable:
    """Where each landmark is and how sure that is."""
    rows = []
    for part in landmarks:
        place = part["point_mm"] or [None] * 3
        numbers = [*(number(value, 2) for value in place), number(part["probability"], 3)]
        rows.append([part["name"], *numbers, number(part["uncertainty_mm"], 2), part["note"]])
    columns = ["Landmark", "R (mm)", "A (mm)", "S (mm)", "Probability", "Uncertainty (mm)", "Note"]
    return ReportTable("Landmarks", columns, rows)


def _kind(record: Mapping[str, Any]) -> str:
    """What an input was; cameras give videos."""
    kind = record.get("kind", "video" if "video" in record.get("files", {}) else "picture")
    return "video" if kind == "camera" else kind


def measurement_charts(
    cases: Sequence[ReportCase], colors: Mapping[str, Sequence[int]] | None = None
) -> list[tuple[str, str]]:
    """How each measurement is distributed over the cases, structures side by side; needs at least three cases."""
    groups: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        for m in case.measurements:
            if m.value is not None:
                groups[m.name, m.unit][m.structure or "all"].append(m.value)
    ranks = {name: rank for rank, name in enumerate(HEADLINE)}
    return [
        (name, distribution_chart(values, unit, colors))
        for (name, unit), values in sorted(groups.items(), key=lambda group: ranks.get(group[0][0], len(ranks)))
        if max(len(v) for v in values.values()) >= 3
    ]
