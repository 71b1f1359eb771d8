"""Predicts uploads, in a worker process that loads its models once."""

import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gracile import api
from gracile.case import Case
from gracile.errors import DataError, GracileError, UsageError
from gracile.inference import Input, Options, predict
from gracile.inference.result_files import POINT_FORMATS
from gracile.inference.segmentation_objects import is_dicom_input
from gracile.io.atomic import write_json, write_text
from gracile.io.dicom.segmentations import has_segmentations
from gracile.io.masks import read_labels
from gracile.io.naming import stem
from gracile.io.predictions_file import PREDICTIONS, read_predictions
from gracile.io.run_length import encode, write_csv
from gracile.io.run_tables import measurements_csv
from gracile.result import Result
from gracile.serve.drawing import build_scene
from gracile.serve.models import served_models
from gracile.serve.scene import CaseFiles, Scene
from gracile.serve.worker import News, without_paths

_NAME = "result"
_BETWEEN_NEWS = 0.25


class PredictingEngine:
    """Models that wait for uploads."""

    def __init__(self, models: list[str]) -> None:
        self._models = {model.name: api.load(model.source) for model in served_models(models)}
        self._followers = {name: _Follower(model) for name, model in self._models.items()}

    def __call__(self, request: dict[str, Any], news: News) -> dict[str, Any]:
        """Predict ``source`` with ``model`` into ``folder/out`` and describe it in ``folder/scene.json``."""
        model = self._models.get(request["model"])
        if model is None:
            raise UsageError(f"There is no model {request['model']!r}.")
        folder, source = Path(request["folder"]), Path(request["source"])
        out = folder / "out"
        with self._followers[request["model"]].telling(news, request["frames"]):
            identity = {"name": request["model"], "weights": model.checksums}
            channels = tuple(Path(path) for path in request.get("channels", ()))
            found = Input(source, _NAME, request["group"], channels=channels)
            options = Options(
                probabilities=request["probabilities"], overwrite=True, points=POINT_FORMATS,
                dicom_seg=has_segmentations() and is_dicom_input(found) and bool(model.recipe.structures),
            )  # fmt: skip
            predict(model.pipeline, identity, [found], out, options, _observe)
        (record,) = read_predictions(out / PREDICTIONS)["inputs"]
        if record["status"] == "failed":
            raise DataError(record["reason"])
        news({"step": "drawing"})
        if model.recipe.gates and found.kind == "picture":
            _explain(model, source, out / "explain")
        case = CaseFiles(record, model.recipe.classes, out, source, None, folder / "scene", model.recipe.input)
        case.cache.mkdir(exist_ok=True)
        scene = build_scene(case)
        scene.content["flags"] = [without_paths(flag, folder) for flag in scene.content["flags"]]
        scene.content["name"] = request["name"]
        scene.content["model"] = {"name": request["model"], "title": model.recipe.title}
        _add_tables(scene, case, record, request["name"], model.recipe.structures)
        scene.write(folder / "scene.json")
        return {}


class _Follower:
    """Notices which stage of a model is at work, and on which frame."""

    def __init__(self, model: api.Model) -> None:
        self._news: News | None = None
        self._frame = 0
        self._frames = 1
        self._told = 0.0
        self._stages = [stage.name for stage in model.pipeline.stages]
        model.pipeline.progress = self._tell

    def telling(self, news: News, frames: int) -> "_Follower":
        """Send word while a block runs."""
        self._news, self._frame, self._frames = news, 0, frames
        news({"step": "reading"})
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._news = None

    def _tell(self, stage: str) -> None:
        number = self._stages.index(stage)
        self._frame += number == 0
        now = time.monotonic()
        if self._news is not None and (self._frames < 2 or now - self._told > _BETWEEN_NEWS):
            self._told = now
            done, total = (self._frame - 1, self._frames) if self._frames > 1 else (number, len(self._stages))
            self._news({"step": stage, "done": done, "total": total})


def _explain(model: api.Model, source: Path, folder: Path) -> None:
    """Write what the gate looked at, under the result's name. A gate that cannot be explained leaves it out."""
    with suppress(GracileError):
        api.explain(model, source, folder)
    for drawn in folder.glob(f"{source.stem}-*.png"):
        drawn.rename(drawn.with_name(_NAME + drawn.name.removeprefix(source.stem)))


def _observe(case: Case | None, result: Result | None, record: dict[str, Any]) -> None:
    del case, result, record


def _add_tables(
    scene: Scene, case: CaseFiles, record: dict[str, Any], name: str, structures: dict[str, tuple[int, ...]]
) -> None:
    """Measurements and run lengths as CSV, the record as JSON, and all in one file."""
    folder = case.cache
    shown = {
        **record,
        "flags": scene.content["flags"],
        "name": stem(name),
        "input": name,
        "path": name,
        "given": {key: value for key, value in record["given"].items() if key != "channels"},
        "files": sorted(record["files"]),
    }
    write_json(folder / "record.json", shown)
    write_text(folder / "measurements.csv", measurements_csv(stem(name), record["measurements"]))
    scene.offer("measurements", "Measurements", folder / "measurements.csv", "-measurements.csv")
    mask = case.path("mask")
    if mask is not None and mask.suffix == ".png":
        labels = read_labels(mask, case.classes, recoded=False)
        for number, (structure, indices) in enumerate(structures.items()):
            file = folder / f"structure-{number}.rle.csv"
            write_csv(file, {stem(name): encode(np.isin(labels, indices))})
            scene.offer(f"rle-{number}", structure, file, f"-{number}.rle.csv")
    scene.offer("record", "Everything that is known", folder / "record.json", "-record.json")
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_STORED) as archive:
        for download in scene.content["downloads"]:
            entry = scene.files[download["key"]]
            archive.write(entry["path"], f"{_plain(stem(name))}{entry['suffix']}")
    scene.offer("all", "All of these", folder / "all.zip", "-all.zip")


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name) or _NAME
