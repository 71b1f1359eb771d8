"""What a report shows of a video: frames, curves over time and speed, all read back from the files of its answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gracile.case import Case
from gracile.errors import GracileError
from gracile.geometry import Grid
from gracile.pages.clip_table import ClipTable, Series, read_clip_table
from gracile.recipe import Recipe
from gracile.report import (
    ReportCase,
    ReportStill,
    ReportTable,
    TimeLine,
    relative_link,
    result_layers,
    spans,
    timeline_chart,
)
from gracile.report.paint import frame_colors
from gracile.report.wording import number
from gracile.result import Result

STILLS = 6
"""Evenly spread frames that are shown; the one with the largest area comes to them."""

_LARGE, _SMALL = 1000, 640
"""Longer side in pixels of the frame that is shown large, and of the others."""


def add_clip_numbers(entry: ReportCase, record: Mapping[str, Any], out: Path, page: Path) -> None:
    """Give a video's entry its links and the table of its steps, which every video has in the page.

    Args:
        entry: Its entry.
        record: What `gracile.inference.video.predict_video` told of it.
        out: Folder that its files lie in.
        page: The page that the links are for.
    """
    files = record["files"]
    entry.links |= {
        "Painted video": relative_link(out / files["video"], page),
        "Table of the frames (CSV)": relative_link(out / files["frames"], page),
    }
    entry.seconds = {}
    frames = next((m["value"] for m in record["measurements"] if m["name"] == "frames"), 0)
    if frames:
        entry.tables.append(_step_table(record, frames))


def add_clip_pictures(entry: ReportCase, record: Mapping[str, Any], recipe: Recipe, out: Path) -> None:
    """Give a video's entry its frames and curves; where its files are gone or changed it stays without.

    Memory does not grow with the length of the video: see `gracile.pages.clip_table`.
    """
    try:
        table = _read_table(record, recipe, out / record["files"]["frames"])
        entry.stills = _stills(entry, table, out / record["files"]["video"])
    except GracileError:
        return
    entry.figures = [*_gate_charts(record, table), *_structure_charts(recipe, table)]


def _step_table(record: Mapping[str, Any], frames: int) -> ReportTable:
    """Milliseconds a frame and share of each step, below the frames per second from decoding to encoding."""
    seconds = dict(record["seconds"])
    whole = seconds.pop("whole", 0.0)
    spent = sum(seconds.values()) or 1.0
    own = record.get("clip", {}).get("frame_rate")
    caption = f"Answered at {number(frames / whole, 1)} frames/s" if whole else "Steps"
    caption += f"; the video has {number(own, 1).removesuffix('.0')}" if own else ""
    rows = [[step, number(s / frames * 1000, 1), f"{100 * s / spent:.0f} %"] for step, s in seconds.items()]
    return ReportTable(caption, ["Step", "ms per frame", "Share"], rows)


def _read_table(record: Mapping[str, Any], recipe: Recipe, path: Path) -> ClipTable:
    areas = [f"area_px_{name}" for name in recipe.structures]
    columns = {column: [column] for name in recipe.structures for column in (f"area_px_{name}", f"dice_{name}")}
    thresholds = {}
    for gate in record.get("clip", {}).get("gates", []):
        columns[_open(gate)] = [f"p_{kind}" for kind in gate["present"]]
        columns |= {f"p_{kind}": [f"p_{kind}"] for kind in gate["others"]}
        thresholds[_open(gate)] = gate["threshold"]
    return read_clip_table(path, columns, thresholds, areas, STILLS)


def _open(gate: Mapping[str, Any]) -> str:
    """Name of the series that is held against a gate's threshold; no column is called so."""
    return f"gate {gate['name']}"


def _stills(entry: ReportCase, table: ClipTable, video: Path) -> list[ReportStill]:
    """The frames, each scaled down before the next is decoded; sets the entry's base to the chosen one."""
    chosen = next((m for m in table.moments if m.largest), None)
    if chosen is None and table.moments:
        chosen = table.moments[len(table.moments) // 2]
    stills = []
    from gracile.io.video_stills import read_stills  # with FFmpeg, which pictures and volumes do without

    frames = read_stills(video, [moment.since_first for moment in table.moments])
    for moment, image in zip(table.moments, frames, strict=True):
        case = Case.from_array(image, entry.id)
        nothing = Result(entry.id, "found", Grid(image.shape[:2]), [])
        if moment is chosen:
            entry.base, _ = result_layers(case, nothing, [], longest=_LARGE)
        small, _ = result_layers(case, nothing, [], longest=_SMALL)
        largest = ", largest area" if moment.largest else ""
        stills.append(ReportStill(f"{moment.seconds:.2f} s: {moment.words}{largest}", small, moment is chosen))
    return stills


def _gate_charts(record: Mapping[str, Any], table: ClipTable) -> list[tuple[str, str]]:
    """A chart for each gate: what opens it, its threshold, where it is open, and the other kinds of frames."""
    charts = []
    for gate in record.get("clip", {}).get("gates", []):
        if _open(gate) not in table.series:
            continue
        opening = table.openings[_open(gate)]
        # Smoothed, a probability no longer is what the gate decided by.
        reached = "smoothed, at the threshold" if "smooth" in record["seconds"] else "open"
        share = f"; {reached} in {100 * opening.open / opening.frames:.0f} % of the frames" if opening.frames else ""
        lines = [_line(" + ".join(gate["present"]), table.series[_open(gate)])]
        lines += [_line(kind, table.series[f"p_{kind}"]) for kind in gate["others"] if f"p_{kind}" in table.series]
        title = "Gate: probability" if gate["name"] == "gate" else f"Gate {gate['name']}: probability"
        chart = timeline_chart(
            lines, title, top=1.0, threshold=gate["threshold"], bands=spans(opening.seconds, opening.inside),
            marks=[moment.seconds for moment in table.moments],
        )  # fmt: skip
        charts.append((title + share, chart))
    return charts


def _structure_charts(recipe: Recipe, table: ClipTable) -> list[tuple[str, str]]:
    """Areas over time and, where there is truth, Dice, a line per structure in the color that it is painted in."""
    painted = frame_colors(recipe)
    colors = {name: painted[indices[0]] for name, indices in recipe.structures.items()}
    marks = [moment.seconds for moment in table.moments]
    charts = []
    for prefix, caption, top in (("area_px_", "Area in pixels", None), ("dice_", "Dice with the truth", 1.0)):
        lines = [
            TimeLine(name, series.seconds, series.values, color)
            for name, color in colors.items()
            if (series := table.series.get(prefix + name)) is not None
        ]
        if lines:
            charts.append((caption, timeline_chart(lines, caption, top=top, marks=marks)))
    return charts


def _line(name: str, series: Series) -> TimeLine:
    return TimeLine(name, series.seconds, series.values)
