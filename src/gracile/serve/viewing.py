"""A results folder of ``gracile predict`` as a page, read only: what is drawn lies in a folder of its own."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from gracile.errors import DataError
from gracile.evaluation.point_sources import read_true_points
from gracile.io.naming import image_files, pair_files
from gracile.names import VERSION
from gracile.report.wording import run_notes
from gracile.serve.case_table import case_table
from gracile.serve.drawn import DrawnCases
from gracile.serve.files import send_file, send_scene
from gracile.serve.guard import Guard
from gracile.serve.naming import sendable
from gracile.serve.page import add_page
from gracile.serve.problems import Problem, answer_problem
from gracile.serve.process import WorkerError, WorkerProcess
from gracile.serve.results_folder import ResultsFolder, read_results
from gracile.serve.scene import Scene
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
        drawn: Where scenes and thumbnails are drawn.
        drawer: Draws what somebody waits for.
        ahead: Draws thumbnails, and what somebody may want next.
    """

    results: ResultsFolder
    truth: dict[str, Path]
    true_points: dict[str, dict[str, list[float]]]
    drawn: DrawnCases
    drawer: WorkerProcess
    ahead: WorkerProcess

    def __post_init__(self) -> None:
        self._locks: dict[Path, asyncio.Lock] = {}

    async def start(self) -> None:
        """Have the drawing processes ready; what keeps them from starting is told to who asks for a case."""
        for worker in (self.drawer, self.ahead):
            with suppress(WorkerError):
                await worker.start()

    async def stop(self) -> None:
        """End them."""
        for worker in (self.drawer, self.ahead):
            await worker.stop()

    async def scene(self, index: int, ahead: bool = False) -> tuple[str, Scene]:
        """The name and the scene of a case, drawn when it is first asked for. Raises Problem."""
        name, place = await self._draw(index, "scene", ahead)
        return name, Scene.read(place / "scene.json")

    async def thumbnail(self, index: int) -> bytes:
        """A small picture of a case as JPEG, likewise; empty where none can be drawn. Raises Problem."""
        _, place = await self._draw(index, "thumbnail", ahead=True)
        return (place / "thumbnail.jpg").read_bytes()

    async def _draw(self, index: int, kind: str, ahead: bool) -> tuple[str, Path]:
        if not 0 <= index < len(self.results.records):
            raise Problem(404, "There is no such case.")
        record = self.results.records[index]
        place = self.drawn.place(kind, index)
        made = place / ("thumbnail.jpg" if kind == "thumbnail" else "scene.json")
        async with self._locks.setdefault(place, asyncio.Lock()):
            if not made.is_file():
                source = self.results.source(record)
                truth = self.truth.get(record["name"])
                request = {
                    "record": record, "classes": self.results.classes, "out": str(self.results.folder),
                    "input": str(source) if source else "", "truth": str(truth) if truth else "", "cache": str(place),
                    "wanted": self.results.wanted, "source": str(made), "thumbnail": kind == "thumbnail",
                    "true_points": self.true_points.get(record["name"], {}),
                }  # fmt: skip
                try:
                    await (self.ahead if ahead else self.drawer).ask(request, _DRAW_SECONDS)
                except WorkerError as error:
                    raise Problem(422, sendable(error.message)) from None
                self.drawn.keep(place)
        return record["name"], place


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
    drawer, ahead = (WorkerProcess("drawing", threads=1) for _ in range(2))
    viewer = Viewer(folder, labels, points, DrawnCases(cache), drawer, ahead)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(viewer.start())  # so that the first case need not wait for it
        yield
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await viewer.stop()

    listen = listen or ListenSettings()
    app = FastAPI(
        title="Gracile viewer", version=VERSION, docs_url=None, redoc_url=None, redirect_slashes=False,
        lifespan=lifespan,
    )  # fmt: skip
    app.add_exception_handler(Problem, answer_problem)
    told = {"mode": "view", "title": folder.title, "model": folder.model, "notes": run_notes(folder.records)}
    add_session(app, listen.token, told)
    _add_routes(app, viewer)
    add_page(app)
    app.add_middleware(Guard, listen=listen)
    return app


def _add_routes(app: FastAPI, viewer: Viewer) -> None:
    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the viewer works."""
        return {"status": "ok", "version": VERSION}

    content = json.dumps(case_table(viewer.results.records), separators=(",", ":"), ensure_ascii=False).encode()
    packed = gzip.compress(content, 6, mtime=0)

    @app.get("/api/cases")
    async def cases(request: Request) -> Response:
        """The table of all cases, those that most need a look first, see `gracile.serve.case_table`."""
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(content, media_type="application/json")
        return Response(packed, media_type="application/json", headers={"Content-Encoding": "gzip"})

    @app.get("/api/cases/{index}/scene")
    async def scene(index: int, ahead: bool = False) -> dict[str, Any]:
        """What was found in a case; asked for ahead, it keeps nobody waiting who wants to see another now."""
        name, made = await viewer.scene(index, ahead)
        return send_scene(made, name)

    @app.get("/api/cases/{index}/thumbnail")
    async def thumbnail(index: int) -> Response:
        """A small picture of a case; nothing where none can be drawn: why is told to who asks for the case."""
        headers = {"Cache-Control": "no-store"}  # at this address another viewer has another case
        content = await viewer.thumbnail(index)
        return Response(content, media_type="image/jpeg", headers=headers) if content else Response(status_code=204)

    @app.get("/api/cases/{index}/files/{key}")
    async def file(request: Request, index: int, key: str, download: bool = False) -> Any:
        """One of the files that the scene names."""
        name, made = await viewer.scene(index)
        return send_file(request, made, key, name, download)


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
    pairs = pair_files(names, labels)
    return {names[path]: label for path, label in pairs.items() if label is not None}, points


def _true_points(folder: ResultsFolder, truth: Path) -> dict[str, dict[str, list[float]]]:
    """The places of the landmarks that were looked for; none where no landmark was. Raises DataError."""
    wanted = {part["name"]: None for record in folder.records for part in record.get("landmarks", [])}
    if not wanted:
        return {}
    cases = {record["name"] for record in folder.records}
    return {
        case: {name: place.tolist() for name, place in places.items()}
        for case, places in read_true_points(truth, list(wanted)).items()
        if case in cases and places
    }
