"""Whole clips of `brachial_plexus.py`: what is painted where no nerve is, and how fast, in six ways."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gracile.inference import VideoOptions
from gracile.inference.video import predict_video
from gracile.io.video import open_video
from gracile.pipeline import Pipeline

SMOOTH_S = 0.2
"""Half-life of the smoothing."""


def clip_figures(ways: dict[str, Pipeline], clips: Path, name: str, out: Path) -> dict[str, dict[str, Any]]:
    """Figures of one clip by way, each of them smoothed and not.

    Args:
        ways: Pipelines of the model that was trained without the clip's person.
        clips: Folder of ``NAME.mp4`` and ``NAME.csv``.
        name: The clip's.
        out: Where truths and answers are written.
    """
    with (clips / f"{name}.csv").open(encoding="utf-8") as file:
        labels = list(csv.DictReader(file))
    truth = write_truth(clips / f"{name}.mp4", labels, out / "truth" / name)
    found = {}
    for way, pipeline in ways.items():
        for smooth in (0.0, SMOOTH_S):
            folder = out / f"{way}{', smoothed' if smooth else ''}".replace(", ", "-").replace(" ", "-")
            # The truth costs time of its own, so that speed is taken without it.
            timed = predict_video(pipeline, clips / f"{name}.mp4", name, folder, VideoOptions(smooth=smooth))
            told = VideoOptions(smooth=smooth, truth=truth)
            predict_video(pipeline, clips / f"{name}.mp4", f"{name}-scored", folder, told)
            with (folder / f"{name}-scored.csv").open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            found[f"{way}{', smoothed' if smooth else ''}"] = scored(labels, rows, timed["seconds"]["whole"])
    return found


def write_truth(clip: Path, labels: list[dict[str, str]], out: Path) -> Path:
    """The union of each frame's boxes as a mask, by its number."""
    with open_video(clip) as video:
        height, width = video.size
    out.mkdir(parents=True, exist_ok=True)
    for label in labels:
        mask = np.zeros((height, width), np.uint8)
        for x, y, w, h in json.loads(label["boxes"]):
            mask[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)] = 1
        Image.fromarray(mask).save(out / f"{int(label['frame']):05d}.png")
    return out


def scored(labels: list[dict[str, str]], rows: list[dict[str, str]], seconds: float) -> dict[str, Any]:
    """False paint, lost frames, Dice where the nerve is, and frames per second."""
    if len(labels) != len(rows):
        raise SystemExit(f"{len(rows)} frames were answered, {len(labels)} are labeled.")
    present = np.array([label["present"] == "1" for label in labels])
    painted = np.array([float(row["area_px_plexus"] or 0) > 0 for row in rows])
    dices = np.array([float(row["dice_plexus"] or 0) for row in rows])
    minutes = (float(labels[-1]["time_s"]) - float(labels[0]["time_s"]) + 0.05) / 60
    switches = int(np.count_nonzero(np.diff(painted.astype(int))))
    found: dict[str, Any] = {
        "frames": len(rows), "frames_without_nerve": int((~present).sum()),
        "false_paint_frames": int((painted & ~present).sum()),
        "false_paint_per_minute": round(float((painted & ~present).sum() / minutes), 1),
        "frames_per_second": round(len(rows) / seconds, 1), "switches": switches,
    }  # fmt: skip
    if present.any():
        found["lost_frames"] = int((~painted & present).sum())
        found["dice_where_nerve"] = round(float(dices[present].mean()), 4)
    return found
