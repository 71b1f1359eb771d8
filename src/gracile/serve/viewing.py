"""A results folder of ``gracile predict`` as a page, read only: what is drawn lies in a folder of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from gracile.errors import DataError, GracileError
from gracile.evaluation.point_sources import read_true_points
from gracile.io.naming import image_files, pair_files
from gracile.names import VERSION
from gracile.report import ReportCase, worst_first
from gracile.serve.files import send_file, send_scene
from gracile.serve.guard import Guard
from gracile.serve.page import add_page
from gracile.serve.problems import Problem, answer_problem
from gracile.serve.process import WorkerError, WorkerProcess
from gracile.serve.results_folder import ResultsFolder, read_results
from gracile.serve.scene import Scene, measurement_rows
from gracile.serve.session import add_session
from gracile.serve.settings import ListenSettings

_DRAW_SECONDS = 900.0
_TRUTH_SUFFIXES = (".png", ".tif", ".tiff", ".gif", ".bmp", ".nii", ".gz")


@dataclass
class Viewer:
    """What a running viewer holds.

    Args:
        results: The folder.
        truth: Label of each input, by the input's name in the folder.
        true_points: ``(3,)`` RAS+ mm of each landmark, likewise.
        cache: Where scenes are drawn.
        drawer: Draws them.
    """

    results: ResultsFolder
    truth: dict[str, Path]
    true_points: dict[str, dict[str, list[float]]]
    cache: Path
    drawer: WorkerProcess

    def __post_init__(self) -> None:
        self._locks: dict[int, asyncio.Lock] = {}

    async def start(self) -> None:
        """Have the drawing process ready; what keeps it from starting is told to who asks for a case."""
        with suppress(WorkerError):
            await self.drawer.start()

    async def scene(self, index: int) -> tuple[str, Scene]:
        """The name and the scene of a case, drawn when it is first asked for. Raises Problem."""
        if not 0 <= index < len(self.results.records):
            raise Problem(404, "There is no such case.")
        record = self.results.records[index]
        cache = self.cache / str(index)
        async with self._locks.setdefault(index, asyncio.Lock()):
            if not (cache / "scene.json").is_file():
                source = self.results.source(record)
                truth = self.truth.get(record["name"])
                request = {
                    "record": record, "classes": self.results.classes, "out": str(self.results.folder),
                    "input": str(source) if source else "", "truth": str(truth) if truth else "", "cache": str(cache),
                    "wanted": self.results.wanted, "source": str(cache / "scene.json"),
                    "true_points": self.true_points.get(record["name"], {}),
                }  # fmt: skip
                try:
                    await self.drawer.ask(request, _DRAW_SECONDS)
                except WorkerError as error:
                    raise Problem(422, error.message) from None
        return record["name"], Scene.read(cache / "scene.json")


def create_viewer(
    results: Path, cache: Path, truth: Path | None = None, listen: ListenSettings | None = None
) -> FastAPI:
    """A results folder as an ASGI application.

    Args:
        results: A folder that ``gracile predict`` wrote.
        cache: Folder for what is drawn.
        truth: Folder of labels or of points, to be set beside what was found.
        listen: By which names it may be asked, and what it asks for; None stands for this machine's own.

    Raises:
        DataError: The folder holds no predictions.
    """
    folder = read_results(results)
    labels, points = _truths(folder, truth)
    viewer = Viewer(folder, labels, points, cache, WorkerProcess("drawing", threads=1))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(viewer.start())  # so that the first case need not wait for it
        yield
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await viewer.drawer.stop()

    listen = listen or ListenSettings()
    app = FastAPI(
        title="Gracile viewer", version=VERSION, docs_url=None, redoc_url=None, redirect_slashes=False,
        lifespan=lifespan,
    )  # fmt: skip
    app.add_exception_handler(Problem, answer_problem)
    add_session(app, listen.token, {"mode": "view", "title": folder.title, "model": folder.model})
    _add_routes(app, viewer)
    add_page(app)
    app.add_middleware(Guard, listen=listen)
    return app


def _add_routes(app: FastAPI, viewer: Viewer) -> None:
    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the viewer works."""
        return {"status": "ok", "version": VERSION}

    @app.get("/api/cases")
    async def cases() -> list[dict[str, Any]]:
        """The cases, those that most need a look first."""
        return case_rows(viewer.results.records)

    @app.get("/api/cases/{index}/scene")
    async def scene(index: int) -> dict[str, Any]:
        """What was found in a case."""
        name, made = await viewer.scene(index)
        return send_scene(made, name)

    @app.get("/api/cases/{index}/files/{key}")
    async def file(request: Request, index: int, key: str, download: bool = False) -> Any:
        """One of the files that the scene names."""
        name, made = await viewer.scene(index)
        return send_file(request, made, key, name, download)


def case_rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the table of cases, worst first, each with its place in the records."""
    cases = [ReportCase(str(i), r["status"], flags=r.get("flags", [])) for i, r in enumerate(records)]
    rows = []
    for case in worst_first(cases):
        record = records[int(case.id)]
        shown = measurement_rows(record.get("measurements", [])[:4])
        row = {
            "index": int(case.id),
            "name": record["name"],
            "status": record["status"],
            "reason": record.get("reason", ""),
            "flags": len(record.get("flags", [])),
            "measurements": shown,
        }
        rows.append(row)
    return rows


def _truths(
    folder: ResultsFolder, truth: Path | None
) -> tuple[dict[str, Path], dict[str, dict[str, list[float]]]]:  # fmt: skip
    """The labels and the true points of inputs by their names. Raises DataError."""
    if truth is None:
        return {}, {}
    if not truth.exists():
        raise DataError(f"There is no {truth}.", "Check the name.")
    names = {Path(record["name"]): record["name"] for record in folder.records}
    has_masks = len(folder.classes) > 1  # else volumes that lie beside points are scans
    labels = image_files(truth, _TRUTH_SUFFIXES) if has_masks and truth.is_dir() else []
    points = {} if labels else _true_points(folder, truth)
    if not labels and not points:
        raise DataError(f"{truth} holds no labels and no points of these cases.", "Name the folder of the truth.")
    try:
        pairs = pair_files(names, labels)
    except GracileError as error:
        raise DataError(error.message, error.remedy) from None
    return {names[path]: label for path, label in pairs.items() if label is not None}, points


def _true_points(folder: ResultsFolder, truth: Path) -> dict[str, dict[str, list[float]]]:
    """The places of the landmarks that were looked for; none where no landmark was. Raises DataError."""
    wanted = {part["name"]: None for record in folder.records for part in record.get("landmarks", [])}
    if not wanted:
        return {}
    found = read_true_points(truth, list(wanted))
    return {
        case: {name: place.tolist() for name, place in places.items()}
        for case, places in found.items()
        if any(record["name"] == case for record in folder.records) and places
    }
