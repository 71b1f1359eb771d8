"""The line of waiting jobs, and the workers that take from it."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gracile.errors import GracileError
from gracile.recipe import InputSpec
from gracile.serve.jobs import Job
from gracile.serve.process import WorkerProcess
from gracile.serve.settings import ServeSettings

_FIRST_GUESS_SECONDS = 10.0
_LONGEST_RETRY = 300


class Full(Exception):
    """There is no room for another job; ``retry_seconds`` says when there may be."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"full, again in {retry_seconds} s")
        self.retry_seconds = retry_seconds


class JobLine:
    """Takes jobs in, has them looked at and predicted, a bounded number at a time.

    Args:
        settings: How many workers there are and how many jobs may wait.
        checker: Looks at uploads.
        predictors: Predict.
    """

    def __init__(self, settings: ServeSettings, checker: WorkerProcess, predictors: list[WorkerProcess]) -> None:
        self._settings = settings
        self._checker = checker
        self._predictors = predictors
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._order: list[Job] = []
        self._inside = 0
        self._spent: deque[float] = deque(maxlen=20)
        self._tasks: list[asyncio.Task[None]] = []
        self.running = 0

    @property
    def waiting(self) -> int:
        """Jobs that are inside and not running."""
        return self._inside - self.running

    @property
    def retry_seconds(self) -> int:
        """When there may be room again: what a job took of late, for those that are waiting."""
        mean = sum(self._spent) / len(self._spent) if self._spent else _FIRST_GUESS_SECONDS
        ahead = max(1, self._inside - self._capacity + 1)
        return max(1, min(_LONGEST_RETRY, math.ceil(mean * ahead / len(self._predictors))))

    @property
    def _capacity(self) -> int:
        return self._settings.waiting + len(self._predictors)

    def health(self) -> dict[str, Any]:
        """How busy the line is."""
        ready = sum(worker.ready for worker in self._predictors)
        return {
            "workers": len(self._predictors), "ready": ready, "running": self.running, "waiting": self.waiting,
            "room": self._capacity - self._inside,
        }  # fmt: skip

    def start(self) -> None:
        """Start the tasks that feed the workers; the workers themselves start on their own time."""
        self._tasks = [asyncio.create_task(self._serve(worker)) for worker in self._predictors]

    async def stop(self) -> None:
        """End the workers."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        for worker in (self._checker, *self._predictors):
            await worker.stop()

    @contextmanager
    def place(self) -> Iterator["_Place"]:
        """Room for a job from before its upload until it is done. Raises Full."""
        if self._inside >= self._capacity:
            raise Full(self.retry_seconds)
        self._inside += 1
        place = _Place()
        try:
            yield place
        finally:
            if not place.handed_over:
                self._inside -= 1

    def put(self, job: Job, place: "_Place") -> None:
        """Queue a job; its place is free again when it is finished."""
        place.handed_over = True
        job.tell(state="queued")
        self._queue.put_nowait(job)
        self._order.append(job)
        self._tell_positions()

    async def check(self, job: Job, wanted: InputSpec) -> dict[str, Any]:
        """Have an upload looked at that is for a model of such inputs. Raises WorkerError."""
        request = {
            "source": str(job.folder / "upload"), "series": job.options.get("series", ""),
            "wanted": wanted.model_dump(mode="json"),
        }  # fmt: skip
        return await self._checker.ask(request, self._settings.check_seconds)

    async def _serve(self, worker: WorkerProcess) -> None:
        with suppress(Exception):  # is told to the jobs that it then cannot do
            await worker.start()
        while True:
            job = await self._queue.get()
            self._order.remove(job)
            self.running += 1
            began = time.monotonic()
            try:
                self._tell_positions()
                await self._run(worker, job)
            finally:
                self.running -= 1
                self._inside -= 1
                self._spent.append(time.monotonic() - began)

    async def _run(self, worker: WorkerProcess, job: Job) -> None:
        job.tell(state="running", progress={"step": "starting"})
        request = {
            "source": job.options["path"],
            "channels": job.options.get("channels", []),
            "group": job.options["group"],
            "frames": job.options["frames"],
            "probabilities": job.options.get("probabilities", False),
            "folder": str(job.folder),
            "name": job.name,
            "model": job.model,
        }
        try:
            await worker.ask(request, self._settings.job_minutes * 60, lambda news: job.tell(progress=news))
            job.tell(state="done", progress={})
        except GracileError as error:
            job.tell(state="failed", reason=str(error), progress={})
        except asyncio.CancelledError:
            job.tell(state="failed", reason="The server was stopped.", progress={})
            raise
        except Exception:  # one job's trouble must not end the line
            job.tell(state="failed", reason="It failed by a fault of Gracile.", progress={})

    def _tell_positions(self) -> None:
        for ahead, job in enumerate(self._order):
            job.tell(progress={"step": "waiting", "ahead": ahead})


class _Place:
    """Room in the line."""

    handed_over = False
