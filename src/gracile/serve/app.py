"""The service: uploads become jobs, jobs become results, and a page shows them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from gracile.names import VERSION
from gracile.serve.files import send_file, send_scene
from gracile.serve.guard import Guard
from gracile.serve.jobs import FINISHED, Job, JobStore
from gracile.serve.line import Full, JobLine
from gracile.serve.models import ServedModel, served_models
from gracile.serve.naming import shown_name
from gracile.serve.page import add_page
from gracile.serve.problems import Problem, answer_problem
from gracile.serve.process import WorkerError, WorkerProcess
from gracile.serve.receiving import CONTENT_TYPE, receive
from gracile.serve.scene import Scene
from gracile.serve.session import add_session
from gracile.serve.settings import ServeSettings

_SWEEP_SECONDS = 60.0


class JobAnswer(BaseModel):
    """A job as clients see it."""

    id: str
    name: str
    model: str
    state: str
    kind: str
    reason: str
    progress: dict[str, Any]
    created: float
    finished: float
    expires: float | None


class ModelAnswer(BaseModel):
    """A model on offer."""

    name: str
    title: str
    summary: str
    takes: str
    channels: list[str] = []


class Service:
    """What a running server holds."""

    def __init__(self, settings: ServeSettings, store: JobStore, checker: WorkerProcess, line: JobLine) -> None:
        self.settings = settings
        self.models = {model.name: model for model in served_models(settings.models)}
        self.store = store
        self.line = line
        self.checker = checker

    def model(self, name: str) -> ServedModel:
        """The model of a name; the first where none is named. Raises Problem."""
        found = self.models.get(name) if name else next(iter(self.models.values()))
        if found is None:
            raise Problem(404, f"There is no model {name!r}. There are: {', '.join(self.models)}.", close=True)
        return found

    def job(self, id: str) -> Job:
        """A job by its id. Raises Problem."""
        job = self.store.find(id)
        if job is None:
            raise Problem(404, "There is no such job; its time may be over.")
        return job

    def answer(self, job: Job) -> JobAnswer:
        """A job as clients see it."""
        return JobAnswer(
            id=job.id, name=job.name, model=job.model, state=job.state, kind=job.kind, reason=job.reason,
            progress=job.progress, created=job.created, finished=job.finished, expires=self.store.expires(job),
        )  # fmt: skip

    async def take(self, request: Request, model: ServedModel, name: str, probabilities: bool, series: str) -> Job:
        """Take an upload in: to disk, looked at, into the line. Raises Problem and Full."""
        with self.line.place() as place:
            job = self.store.new(shown_name(name), model.name, {"probabilities": probabilities, "series": series})
            try:
                settings = self.settings
                await receive(request, job.folder / "upload", settings.max_bytes, settings.upload_seconds)
                seen = await self.line.check(job, model.wanted)
                _require_fitting(seen, model)
            except WorkerError as error:
                self.store.remove(job)
                raise Problem(422, error.message) from None
            except BaseException:
                self.store.remove(job)
                raise
            job.kind = seen["kind"]
            told = ("path", "channels", "group", "frames")
            job.options |= {key: seen[key] for key in told if key in seen}
            self.line.put(job, place)
        return job


def _require_fitting(seen: dict[str, Any], model: ServedModel) -> None:
    """Refuse a volume for a model of pictures and the reverse. Raises Problem."""
    if (seen["group"] == "volume") == (model.takes == "volume"):
        return
    if seen["kind"] == "DICOM":
        raise Problem(422, f"This is one DICOM image; {model.name} takes volumes: send the series' folder or its ZIP.")
    raise Problem(422, f"This is a {seen['group']}; the model {model.name} takes {model.takes}s.")


def create_app(
    settings: ServeSettings,
    store: JobStore,
    *,
    checker: WorkerProcess | None = None,
    predictors: list[WorkerProcess] | None = None,
    threads: int = 0,
) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: How it is run.
        store: Where its jobs lie.
        checker: Looks at uploads; made from the settings when None.
        predictors: Predict; likewise.
        threads: Threads of each predictor.
    """
    checker = checker or WorkerProcess("checking", memory_mb=settings.check_memory_mb, threads=1)
    predictors = predictors or [
        WorkerProcess("predicting", settings.models, settings.job_memory_mb, threads) for _ in range(settings.workers)
    ]
    line = JobLine(settings, checker, predictors)
    service = Service(settings, store, checker, line)
    app = FastAPI(
        title="Gracile", version=VERSION, summary="Finds slender anatomy and delineates it.",
        docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=_lifespan(service),
    )  # fmt: skip
    app.state.service = service
    app.add_exception_handler(Problem, answer_problem)
    limits = {"max_upload_mb": settings.max_upload_mb, "keep_hours": settings.keep_hours}
    add_session(app, settings.token, {"mode": "serve", "limits": limits})
    _add_server(app, service)
    _add_jobs(app, service)
    _add_results(app, service)
    add_page(app)
    app.add_middleware(Guard, listen=settings)
    return app


def _lifespan(service: Service) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.line.start()
        sweeping = asyncio.create_task(_sweep(service.store))
        yield
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        await service.line.stop()

    return lifespan


async def _sweep(store: JobStore) -> None:
    while True:
        store.sweep()
        await asyncio.sleep(_SWEEP_SECONDS)


def _add_server(app: FastAPI, service: Service) -> None:
    @app.get("/health", tags=["server"])
    async def health() -> dict[str, Any]:
        """Whether the server works, and how busy it is."""
        return {"status": "ok", "version": VERSION, **service.line.health()}

    @app.get("/api/models", tags=["server"])
    async def models() -> list[ModelAnswer]:
        """The models on offer."""
        return [
            ModelAnswer(name=m.name, title=m.title, summary=m.summary, takes=m.takes, channels=m.channels)
            for m in service.models.values()
        ]


def _add_jobs(app: FastAPI, service: Service) -> None:
    body = {"requestBody": {"required": True, "content": {CONTENT_TYPE: {"schema": {"type": "string",
            "format": "binary"}}}}}  # fmt: skip
    refusals: dict[int | str, dict[str, Any]] = {
        413: {"description": "Larger than the server takes."},
        415: {"description": f"Not sent as {CONTENT_TYPE}."},
        422: {"description": "Not a file that the model takes; the reason stands in `error`."},
        429: {"description": "Full; `Retry-After` says when to try again."},
    }

    @app.post("/api/jobs", status_code=202, openapi_extra=body, responses=refusals, tags=["jobs"])
    async def submit(
        request: Request,
        model: Annotated[str, Query(description="Name of a model; the first when empty.", max_length=200)] = "",
        name: Annotated[str, Query(description="What the file is called; only shown.", max_length=1000)] = "",
        probabilities: Annotated[bool, Query(description="Also give probability maps.")] = False,
        series: Annotated[str, Query(description="Number or UID of the series, of several.", max_length=64)] = "",
        content_type: Annotated[str, Header()] = "",
    ) -> JobAnswer:
        """Upload a picture, a clip or a volume as the request's body, told by its content alone."""
        if content_type.partition(";")[0].strip() != CONTENT_TYPE:
            raise Problem(415, f"Send the file as the body, with Content-Type: {CONTENT_TYPE}.", close=True)
        try:
            return service.answer(await service.take(request, service.model(model), name, probabilities, series))
        except Full as full:
            raise Problem(429, "The server is busy.", full.retry_seconds, close=True) from None

    @app.get("/api/jobs/{id}", tags=["jobs"])
    async def job(id: str) -> JobAnswer:
        """How far a job is."""
        return service.answer(service.job(id))

    @app.delete("/api/jobs/{id}", status_code=204, tags=["jobs"])
    async def remove(id: str) -> None:
        """Delete a finished job's files before their time."""
        found = service.job(id)
        if found.state not in FINISHED:
            raise Problem(409, "The job is not finished.")
        service.store.remove(found)

    @app.get("/api/jobs/{id}/events", tags=["jobs"], response_class=StreamingResponse)
    async def events(id: str) -> StreamingResponse:
        """The job after each change, as server-sent events; ends with the job."""
        found = service.job(id)

        async def lines() -> AsyncIterator[str]:
            async for changed in found.changes():
                yield f"data: {service.answer(found).model_dump_json()}\n\n" if changed else ": still here\n\n"

        unheld = {"X-Accel-Buffering": "no"}  # nginx would keep events until they fill its buffer
        return StreamingResponse(lines(), media_type="text/event-stream", headers=unheld)


def _add_results(app: FastAPI, service: Service) -> None:
    def scene(id: str) -> tuple[Job, Scene]:
        found = service.job(id)
        if found.state != "done":
            raise Problem(409, "The job has no result." if found.state == "failed" else "The job is not finished.")
        return found, Scene.read(found.folder / "scene.json")

    @app.get("/api/jobs/{id}/scene", tags=["results"])
    async def job_scene(id: str) -> dict[str, Any]:
        """What was found: measurements, flags, layers and downloads, whose files are named by keys."""
        found, made = scene(id)
        return send_scene(made, found.name)

    @app.get("/api/jobs/{id}/files/{key}", tags=["results"])
    async def job_file(request: Request, id: str, key: str, download: bool = False) -> Any:
        """One of the files that the scene names."""
        found, made = scene(id)
        return send_file(request, made, key, found.name, download)
