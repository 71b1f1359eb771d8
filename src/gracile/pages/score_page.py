"""The page of an evaluation: its worst cases first, each with its picture, and what its protocol shows besides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gracile.evaluation import Evaluation, find_protocol
from gracile.evaluation.outcome import interval_text
from gracile.pages.case_page import PICTURES, CasePage, counted
from gracile.pages.trust_section import with_trust
from gracile.report import ReportCase, relative_link, worst_first


@dataclass
class ScoreParts:
    """What a page of scores shows of its own protocol.

    Args:
        cases: One entry for each case.
        order_by: Score by which they are ordered.
        headline: Scores that the table shows at first.
        files: Picture or volume of the cases that have one.
        draw: Gives an entry that has one its picture.
        kind: What such a file is called.
        notes: Sentences for the reader, before those of the evaluation.
        content: Further parts of a `gracile.report.Report`.
    """

    cases: list[ReportCase]
    order_by: str
    headline: tuple[str, ...]
    files: Mapping[str, Path]
    draw: Callable[[ReportCase], None]
    kind: str = "Image"
    notes: list[str] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)


def write_score_page(evaluation: Evaluation, path: Path, parts: ScoreParts, settings: Mapping[str, Any]) -> Path:
    """Write the page of an evaluation.

    Args:
        evaluation: What was scored.
        path: The HTML file.
        parts: What its protocol shows.
        settings: What was run.

    Returns:
        The path.

    Raises:
        DataError: A picture cannot be read, or the page cannot be written.
    """
    rules = find_protocol(evaluation.protocol)
    page = CasePage(parts.order_by, parts.order_by in rules.lower_is_better)
    page.cases = worst_first(parts.cases, page.order_by, page.lower_is_better)
    drawn = [case for case in page.cases if case.id in parts.files]
    for case in drawn:
        case.links[parts.kind] = relative_link(parts.files[case.id], path)
    for case in drawn[:PICTURES]:
        parts.draw(case)
    notes = [*parts.notes, *(f"{note[:1].upper()}{note[1:]}." for note in evaluation.notes)]
    if evaluation.runs > 1:
        notes.append(f"Scores are means over {evaluation.runs} runs; pictures and figures show the first.")
    if len(drawn) > PICTURES:
        notes.append(f"Pictures are shown of the {PICTURES} worst cases, and linked from the others.")
    return page.write(
        path,
        title=f"Evaluation, {evaluation.protocol}",
        subtitle=[counted(len(page.cases), "case"), rules.description],
        notes=notes,
        settings={"protocol": evaluation.protocol, **settings},
        headline=parts.headline,
        means={name: (entry["mean"], entry.get("sd_cases")) for name, entry in evaluation.summary.items()},
        intervals=_intervals(evaluation),
        **with_trust(evaluation, parts.content),
    )


def _intervals(evaluation: Evaluation) -> dict[str, str]:
    """The interval of each score; shares and distances with three digits, counts and percents with one."""
    known = {name: entry for name, entry in evaluation.summary.items() if entry.get("interval95")}
    fine = {name: entry["interval95"][1] <= 1 or name.endswith("_mm") for name, entry in known.items()}
    return {name: interval_text(entry, 3 if fine[name] else 1) for name, entry in known.items()}
