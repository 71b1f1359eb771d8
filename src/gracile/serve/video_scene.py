"""The scene of a clip: as it was, as it was painted, and the table of its frames as a timeline."""

import csv
import math
from pathlib import Path
from typing import Any

from gracile.errors import DataError, GracileError
from gracile.io.kinds import kind_of
from gracile.io.video import open_video
from gracile.io.video_writing import write_video
from gracile.serve.scene import CaseFiles, Scene, begin_scene

_SHOWN_BY_BROWSERS = (".mp4",)
_LONGEST_TABLE = 100_000


def video_scene(case: CaseFiles) -> Scene:
    """Make a clip's scene; what browsers cannot play is coded anew into the cache. Raises DataError."""
    scene = begin_scene(case, "video")
    painted, table = case.path("video"), case.path("frames")
    content: dict[str, Any] = {"painted": None, "base": None, "frames": None}
    scene.content["video"] = content
    if painted is not None:
        content["painted"] = scene.add("painted", _playable(painted, case.cache / "painted.mp4"))
    if case.source is not None and case.source.is_file():
        try:
            content["base"] = scene.add("base", _playable(case.source, case.cache / "base.mp4"))
        except GracileError as error:
            scene.content["flags"].append(f"the clip itself is not shown: {error.message}")
    if table is not None:
        content["frames"] = read_frames(table)
    return scene


def read_frames(table: Path) -> dict[str, Any]:
    """The columns of a clip's table that a timeline shows: times, classes, probabilities by gate, areas, scores."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for _, row in zip(range(_LONGEST_TABLE), reader, strict=False)]
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{table} is no table of frames.", "Predict the video again.") from None
    gates = {name[2:]: _numbers(rows, name) for name in columns if name.startswith("p_")}
    if not gates and "probability" in columns:
        gates = {"probability": _numbers(rows, "probability")}
    return {
        "time": _numbers(rows, "time_s"),
        "class": [row.get("class") or "" for row in rows],
        "gates": gates,
        "areas": {name[8:]: _numbers(rows, name) for name in columns if name.startswith("area_px_")},
        "dice": {name[5:]: _numbers(rows, name) for name in columns if name.startswith("dice_")},
    }


def _numbers(rows: list[dict[str, str]], column: str) -> list[float | None]:
    return [_number(row.get(column)) for row in rows]


def _number(cell: str | None) -> float | None:
    """A cell's number; None where it is empty, or damaged."""
    try:
        value = float(cell or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _playable(path: Path, coded: Path) -> Path:
    """A clip that browsers play: itself where it is H.264, else a copy."""
    if kind_of(path).suffix in _SHOWN_BY_BROWSERS and _codec(path) == "h264":
        return path
    if not coded.is_file():
        with open_video(path) as video, write_video(coded, video.size, video.rate, video.time_base) as writer:
            for frame in video:
                writer.write(frame.image, frame.pts)
    return coded


def _codec(path: Path) -> str:
    import av

    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.name) if container.streams.video else ""
