"""Small drawn clips, a pipeline that needs no training, and what came out."""

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np

from gracile.geometry import Grid
from gracile.io.frames import Frame
from gracile.io.video import open_video
from gracile.io.video_writing import write_video
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe
from gracile.result import Result

RATE = Fraction(10)
SETTINGS = [
    "prepare.diameter=64",
    "prepare.intensity=unit",
    "stages.segment.network.name=light-unet",
    "stages.segment.network.options={width: 16}",
]


class Bright(Pipeline):
    """Finds what is brighter than half; a frame that is dark all over is absent. The network is not asked."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, [build_learner(spec, recipe).applied() for spec in recipe.stages])

    def __call__(self, case, *, keep_probabilities=False, signed=None):
        bright = case.image.mean(axis=0) / 255
        maps = np.stack([1 - bright, bright]).astype(np.float32)
        mask = self.stages[-1].decide(maps)
        status = "found" if mask.any() else "absent"
        return Result(
            case.id, status, Grid(mask.shape), self.recipe.class_names, mask=mask,
            probabilities=maps if keep_probabilities else None,
            gates={"presence": float(bright.max())}, seconds={"prepare": 0.001, "segment": 0.002, "restore": 0.001},
        )  # fmt: skip


def frame(bright: bool = True, height: int = 48, width: int = 64) -> np.ndarray:
    """A dark frame with a bright block of 16 by 20 pixels, or without."""
    image = np.full((height, width, 3), 30, np.uint8)
    if bright:
        image[16:32, 20:40] = 220
    return image


def write_clip(path: Path, frames: list[np.ndarray], times: list[int] | None = None) -> Path:
    base = Fraction(1, 1000) if times else 1 / RATE
    with write_video(path, frames[0].shape[:2], RATE, base) as writer:
        for index, image in enumerate(frames):
            writer.write(image, times[index] if times else index)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return list(video)


def measured(record, name, note=""):
    (value,) = [m["value"] for m in record["measurements"] if m["name"] == name and note in m["note"]]
    return value
