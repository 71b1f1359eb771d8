"""The page of scored masks: each case with its truth and the differences over its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.evaluation import Evaluation, Protocol, find_protocol
from gracile.evaluation.label_files import label_files
from gracile.evaluation.mask_files import region_folder
from gracile.evaluation.trust_outcome import trust_title
from gracile.geometry import Centerline, Grid
from gracile.io import (
    is_volume,
    pair_files,
    read_case_file,
    read_centerline,
    read_labels,
    read_region,
    read_volume_labels,
    stem,
)
from gracile.io.channels import by_case
from gracile.measure import measure_cord
from gracile.pages.score_page import ScoreParts, write_score_page
from gracile.recipe import ClassSpec, InputSpec
from gracile.report import ReportCase, ReportTable, case_figures, case_layers, distribution_chart
from gracile.report.layers import visible_color
from gracile.report.wording import label, number
from gracile.result import Measurement, Result

_SHOWN = 6


@dataclass(frozen=True)
class CaseFiles:
    """Where the parts of one scored case's picture lie; a part that is not there is None."""

    truth: Path
    image: Path
    prediction: Path | None
    region: Path | None
    channels: tuple[Path, ...] = ()
    wanted: InputSpec | None = None


def find_case_files(
    predictions: Path, truth: Path, images: Path, fov: Path | None, protocol: str, wanted: InputSpec | None = None
) -> dict[str, CaseFiles]:
    """Files of the cases that have an image, by the case's name in an `Evaluation`.

    Args:
        predictions: Folder of the masks to draw, of the first run where there are several.
        truth: Folder of labels.
        images: Folder of the images.
        fov: Folder of fields of view; where the protocol needs one and this is None, the one beside the truth.
        protocol: Name of the protocol.
        wanted: The input of the recipe that they were predicted by, for images of several channels.

    Raises:
        DataError: No image belongs to any label.
    """
    truths = label_files(truth)
    named = {files.paths[0]: files.paths[1:] for files in by_case(label_files(images), wanted or InputSpec())}
    image_of = pair_files(truths, named)
    if not any(image_of.values()):
        raise DataError(
            f"{images} has no image for any label in {truth}.", "Check --images; files meet by their names."
        )
    prediction_of = pair_files(truths, label_files(predictions))
    regions = fov or (region_folder(truth) if find_protocol(protocol).needs_region else None)
    region_of = pair_files(truths, label_files(regions)) if regions else {}
    return {
        stem(path): CaseFiles(path, image, prediction_of[path], region_of.get(path), named[image], wanted)
        for path, image in image_of.items()
        if image is not None
    }


def write_mask_scores(
    evaluation: Evaluation,
    classes: Sequence[ClassSpec],
    path: Path,
    files: dict[str, CaseFiles],
    sources: dict[str, Any],
) -> Path:
    """Write the page of an evaluation of masks.

    Args:
        evaluation: What was scored.
        classes: Its classes by index, the background first.
        path: The HTML file.
        files: What to draw, see `find_case_files`; empty shows scores only.
        sources: Where the scored files lie, for the settings.

    Returns:
        The path.

    Raises:
        DataError: A picture cannot be read, or the page cannot be written.
    """
    rules = find_protocol(evaluation.protocol)
    headline = tuple(name for name in rules.headline if name in evaluation.summary)
    cases = _cases(evaluation, rules)
    parts = ScoreParts(
        cases,
        headline[0] if headline else next(iter(evaluation.summary), ""),
        headline,
        {name: own.image for name, own in files.items()},
        lambda case: _draw(case, files[case.id], classes),
        content={
            "classes": [(spec.name, spec.color) for spec in classes],
            "summary": _summary(evaluation, headline),
            "charts": _charts(cases, headline),
            "tables": _tables(evaluation),
        },
    )
    return write_score_page(evaluation, path, parts, {"classes": [spec.name for spec in classes], **sources})


def _cases(evaluation: Evaluation, rules: Protocol) -> list[ReportCase]:
    """One entry per case, scores averaged over its runs, those of its classes as measurements."""
    rows: dict[str, list[dict[str, Any]]] = {}
    class_rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in evaluation.cases:
        rows.setdefault(row["case"], []).append(row)
    for row in evaluation.classes:
        class_rows.setdefault(row["case"], {}).setdefault(row["class"], []).append(row)
    cases = []
    for name, some in rows.items():
        missing = any(row["status"] == "missing" for row in some)
        measurements = [
            Measurement(*_named(score, value, rules), structure)
            for structure, of_class in class_rows.get(name, {}).items()
            for score, value in _mean(of_class).items()
        ]
        cases.append(
            ReportCase(
                name,
                "missing" if missing else "scored",
                "There is no prediction: every score counts with its worst value." if missing else "",
                scores=_mean(some),
                measurements=measurements,
                flags=_flags(name, class_rows),
            )
        )
    return cases


def _flags(case: str, class_rows: dict[str, dict[str, list[dict[str, Any]]]]) -> list[str]:
    """False alarms and misses of the protocol of gated masks, in any run."""
    flags = []
    for structure, rows in class_rows.get(case, {}).items():
        for score, words in (("false_alarm_rate", "false alarm"), ("miss_rate", "missed")):
            if any(row.get(score) for row in rows):
                flags.append(f"{structure}: {words}")
    return flags


def _mean(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Means over the runs in which a score is defined."""
    names = [name for name in rows[0] if name not in ("case", "run", "status", "class")]
    known = {name: [row[name] for row in rows if row.get(name) is not None] for name in names}
    return {name: fmean(values) if values else None for name, values in known.items()}


def _named(score: str, value: float | None, rules: Protocol) -> tuple[str, float | None, str]:
    """A score's name without its unit, its value and its unit."""
    if score.startswith((*rules.distances, *rules.sizes)):
        name, _, unit = score.rpartition("_")
        return name, value, "%" if unit == "percent" else unit
    return score, value, "1"


def _tables(evaluation: Evaluation) -> list[ReportTable]:
    """The scores of each class over all cases."""
    tables = []
    trusted = trust_title(evaluation.details["trust"]) if "trust" in evaluation.details else ""
    for title, rows in evaluation.tables.items():
        if title == trusted:
            continue  # stands with its charts
        cells = [[value if isinstance(value, str) else number(value) for value in row.values()] for row in rows]
        tables.append(ReportTable(label(title), [label(name) for name in rows[0]], cells))
    return tables


def _summary(evaluation: Evaluation, headline: tuple[str, ...]) -> dict[str, str | int]:
    shown: dict[str, str | int] = {"cases": len({row["case"] for row in evaluation.cases})}
    for name in headline[:_SHOWN]:
        mean = evaluation.summary[name]["mean"]
        shown[name] = number(mean, 4 if mean is None or abs(mean) <= 1 else 1)
    return shown


def _charts(cases: list[ReportCase], headline: tuple[str, ...]) -> list[tuple[str, str]]:
    spread = [name for name in headline if not name.endswith("_rate")]  # of a case a rate is 0 or 1: no distribution
    known = {name: [v for case in cases if (v := case.scores.get(name)) is not None] for name in spread}
    return [(name, distribution_chart({"": values}, "1")) for name, values in known.items() if len(values) >= 3]


def _draw(entry: ReportCase, files: CaseFiles, classes: Sequence[ClassSpec]) -> None:
    """Show a case with its truth; along the line that a stage found in a volume also the area."""
    volume = is_volume(files.image)
    wanted = InputSpec(kind="volume", fourth_axis="first") if volume else InputSpec()
    if files.wanted is not None and files.wanted.separate:
        wanted = files.wanted
    case = read_case_file(files.image, stem(files.truth), wanted, channels=files.channels)

    def labels(path: Path, recoded: bool) -> np.ndarray:
        if volume:
            return read_volume_labels(path, classes, case.grid, recoded=recoded).values
        return read_labels(path, classes, recoded=recoded)

    truth = labels(files.truth, True)
    mask = np.zeros_like(truth) if files.prediction is None else labels(files.prediction, False)
    region = None if files.region is None or volume else read_region(files.region)
    grid = case.grid if volume else Grid(truth.shape)
    line = _line_beside(files.prediction) if volume and files.prediction is not None else None
    names = [spec.name for spec in classes]
    result = Result(case.id, "found", grid, names, mask=mask, region=region, centerline=line)
    colors = [spec.color for spec in classes]
    entry.base, entry.layers = case_layers(case, result, colors, truth)
    if line is not None and len(classes) == 2:
        found, true = ({"cord": measure_cord(one > 0, grid).rows} for one in (mask, truth))
        entry.figures = case_figures(found, true, visible_color(colors[1]))


def _line_beside(prediction: Path) -> Centerline | None:
    """The line that was written with a mask, where its recipe looks for one."""
    path = prediction.parent / "centerline" / f"{stem(prediction)}.csv"
    return read_centerline(path) if path.is_file() else None
