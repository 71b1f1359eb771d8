"""Jobs and the folder that they lie in."""

import asyncio
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from gracile.errors import DataError, GracileError
from gracile.io.atomic import write_json
from gracile.plain_data import Text, read_json

State = Literal["receiving", "queued", "running", "done", "failed"]

FINISHED = ("done", "failed")
_HEARTBEAT = 15.0
_RECORD = "job.json"
_ID_BYTES = 16
_ID = re.compile(r"[\w-]{22}")


INTERRUPTED = "The server was stopped before it was done. Send the file again."


class JobShape(TypedDict):
    """A ``job.json``."""

    name: Text
    model: Text
    state: State
    created: float
    finished: float
    reason: Text
    kind: Text
    progress: dict[Text, Any]
    options: dict[Text, Any]


@dataclass
class Job:
    """One upload on its way to a result.

    Args:
        id: Unguessable; who knows it may see the job.
        name: The upload's name as it is shown.
        model: The model's name.
        folder: Where its files lie.
        state: How far it is.
        created: Seconds since 1970.
        finished: Likewise; 0 until then.
        reason: Why it failed.
        kind: What kind of file it is, e.g. ``PNG``.
        progress: What is being done: ``step``, and where they are known ``done`` and ``total``.
        options: What was asked for.
    """

    id: str
    name: str
    model: str
    folder: Path
    state: State = "receiving"
    created: float = field(default_factory=time.time)
    finished: float = 0.0
    reason: str = ""
    kind: str = ""
    progress: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self, **changes: Any) -> None:
        """Change it, and wake those who follow it."""
        for name, value in changes.items():
            setattr(self, name, value)
        if self.state in FINISHED and not self.finished:
            self.finished = time.time()
            self.keep()
        before, self._changed = self._changed, asyncio.Event()
        before.set()

    async def changes(self) -> AsyncIterator[bool]:
        """True now and after every change, False when nothing has changed for a while; ends with the job."""
        while True:
            changed = self._changed
            yield True
            if self.state in FINISHED:
                return
            while True:
                try:
                    await asyncio.wait_for(changed.wait(), _HEARTBEAT)
                    break
                except TimeoutError:
                    yield False

    def keep(self) -> None:
        """Write it down, so that a server that is started anew knows of it."""
        with suppress(OSError, GracileError):  # a full disk must not keep the end from those who wait for it
            write_json(self.folder / _RECORD, self.record())

    def record(self) -> dict[str, Any]:
        """It as plain data, without its place on disk."""
        record = asdict(self)
        del record["folder"]
        return record


class JobStore:
    """The jobs of a server by their ids.

    Args:
        folder: Holds a folder per job. Finished jobs that it holds already are taken over.
        keep_seconds: How long a finished job is kept.
        clock: Tells the time.
    """

    def __init__(self, folder: Path, keep_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._keep = keep_seconds
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in folder.iterdir():
            self._take_over(place)

    def new(self, name: str, model: str, options: dict[str, Any]) -> Job:
        """A new job with a folder of its own."""
        id = secrets.token_urlsafe(_ID_BYTES)
        job = Job(id, name, model, self.folder / id, options=options, created=self._clock())
        job.folder.mkdir(mode=0o700)
        self._jobs[id] = job
        job.keep()
        return job

    def find(self, id: str) -> Job | None:
        """The job of an id; None when there is none. Ids are looked up, never joined to a path."""
        return self._jobs.get(id)

    def remove(self, job: Job) -> None:
        """Forget a job and delete its files."""
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def sweep(self) -> int:
        """Remove the finished jobs whose time is over; returns their number."""
        over = [job for job in self._jobs.values() if job.finished and self._clock() - job.finished > self._keep]
        for job in over:
            self.remove(job)
        return len(over)

    def expires(self, job: Job) -> float | None:
        """When a finished job will be removed, in seconds since 1970."""
        return job.finished + self._keep if job.finished else None

    def _take_over(self, place: Path) -> None:
        try:
            record = read_json(place / _RECORD, "", shape=JobShape)
        except DataError:
            unfinished = _ID.fullmatch(place.name) and (any(place.glob("upload")) or any(place.glob("input.*")))
            if unfinished and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=True)  # what a server that was killed left half done
            return
        fields = {name: record[name] for name in JobShape.__annotations__}
        job = self._jobs[place.name] = Job(id=place.name, folder=place, **fields)
        if job.state not in FINISHED:
            for file in place.iterdir():
                if file.name != _RECORD:
                    shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
            job.tell(state="failed", reason=INTERRUPTED, progress={})
