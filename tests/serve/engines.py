"""Engines that stand for a model in tests of the service: quick, and their answers tell which file they saw."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from gracile.io.images import read_image
from gracile.io.masks import write_labels
from gracile.recipe import ClassSpec
from gracile.serve.drawing import build_scene
from gracile.serve.scene import CaseFiles
from gracile.serve.worker import News

CLASSES = [
    {"name": "background", "color": [0, 0, 0]},
    {"name": "artery", "color": [255, 0, 0]},
    {"name": "vein", "color": [0, 0, 255]},
]
CRASHING = (255, 0, 255)
ENDLESS = (0, 255, 255)
"""Colors of a picture's first pixel that make an engine end, or go on for ever."""


class BrightEngine:
    """Finds what is brighter than half: an artery in the left half, a vein in the right one."""

    def __init__(self, models: list[str]) -> None:
        self.models = models

    def __call__(self, request: dict[str, Any], news: News) -> dict[str, Any]:
        image, _ = read_image(Path(request["source"]))
        first = tuple(int(v) for v in image[:, 0, 0])
        if first == CRASHING:
            os._exit(9)
        while first == ENDLESS:
            pass
        for number, step in enumerate(("prepare", "find", "measure")):
            news({"step": step, "done": number, "total": 3})
        folder = Path(request["folder"])
        out, cache = folder / "out", folder / "scene"
        cache.mkdir()
        bright = image.mean(axis=0) > 127
        mask = bright.astype(np.uint8) * np.where(np.arange(image.shape[2]) < image.shape[2] // 2, 1, 2).astype(
            np.uint8
        )
        write_labels(out / "result.png", mask)
        record = {
            "name": "result",
            "status": "found",
            "measurements": [{"name": "mean", "value": float(image.mean()), "unit": "1", "structure": "", "note": ""}],
            "marks": {"center": {"row": 5, "column": 5, "diameter": 4}},
            "files": {"mask": "result.png"},
        }
        if request["probabilities"]:
            share = image.mean(axis=0) / 255
            (out / "probabilities").mkdir()
            np.savez(out / "probabilities/result.npz", probabilities=np.stack([1 - share, share, 0 * share]))
            record["files"]["probabilities"] = "probabilities/result.npz"
        case = CaseFiles(record, [ClassSpec(**c) for c in CLASSES], out, Path(request["source"]), None, cache)
        build_scene(case).write(folder / "scene.json")
        return {}
