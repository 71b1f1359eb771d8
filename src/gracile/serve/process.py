"""The server's side of a worker process: asks, waits within a time, and starts it anew when it ended.

Answers are those of patients' pictures, so none may ever meet another's request. Each request has an id that its answer
bears, and a worker of which anything unexpected was seen is ended: what it may still say is read by nobody.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from gracile.errors import GracileError
from gracile.serve.settings import TOKEN_VARIABLE

_LONGEST_LINE = 64 * 1024 * 1024
_STARTING_SECONDS = 600.0
_SENSELESS, _AGAIN = "The process that worked on it said what makes no sense, and was ended.", "Send it again."

News = Callable[[dict[str, Any]], None]


class WorkerError(GracileError):
    """What a worker said against a request, or that it ended over it."""


class WorkerProcess:
    """One worker. It answers one request at a time.

    Args:
        engine: A name of `gracile.serve.worker.ENGINES`.
        models: What it loads.
        memory_mb: Its limit.
        threads: Threads of its numeric libraries; 0 leaves it to them.
    """

    def __init__(self, engine: str, models: Sequence[str] = (), memory_mb: int = 0, threads: int = 0) -> None:
        self._command = [sys.executable, "-m", "gracile.serve.worker", engine, *models, f"--memory-mb={memory_mb}"]
        kept = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        self._environment = {**kept, "PYTHONUNBUFFERED": "1"}
        if threads:
            self._environment["OMP_NUM_THREADS"] = str(threads)
        self._process: Process | None = None
        self._lock = asyncio.Lock()
        self._ids = count(1)
        self.starts = 0

    @property
    def ready(self) -> bool:
        """Whether it has loaded what it needs and lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def process_id(self) -> int | None:
        """Its number, for those who watch it."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises WorkerError when it cannot be."""
        async with self._lock:
            await self._start()

    async def ask(self, request: dict[str, Any], seconds: float, news: News | None = None) -> dict[str, Any]:
        """Send a request and return its answer.

        Args:
            request: Plain data.
            seconds: How long it may take once the worker is ready; the worker is ended after it.
            news: Told what the worker says on its way.

        Raises:
            WorkerError: It said no, took too long, ended, or said what nobody asked for.
        """
        async with self._lock:
            await self._start()
            try:
                async with asyncio.timeout(seconds):
                    message = await self._exchange(next(self._ids), request, news)
            except BaseException as fault:  # of any kind: its answer may still come, and would be taken for the next
                await self._end()
                if isinstance(fault, TimeoutError):
                    raise WorkerError(f"It took longer than {seconds:g} seconds and was ended.") from None
                raise
        if "error" in message:
            raise WorkerError(message["error"])
        answer: dict[str, Any] = message["answer"]
        return answer

    async def stop(self) -> None:
        """End it."""
        await self._end()

    async def _start(self) -> None:
        if self.ready:
            return
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=self._environment, limit=_LONGEST_LINE
        )
        self.starts += 1
        try:
            async with asyncio.timeout(_STARTING_SECONDS):
                first = await self._read(process)
            if "error" in first:
                raise WorkerError(first["error"])
        except BaseException:
            await _kill(process)
            raise
        self._process = process

    async def _exchange(self, id: int, request: dict[str, Any], news: News | None) -> dict[str, Any]:
        """The message that answers a request; a worker that also spoke of another one is ended behind it."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        with suppress(ConnectionError):  # that it ended is seen when its answer is read
            process.stdin.write(json.dumps({"id": id, "request": request}).encode() + b"\n")
            await process.stdin.drain()
        strays = 0
        while True:
            message = await self._read(process)
            if message.get("id") != id:
                strays += 1
            elif "answer" in message or "error" in message:
                break
            elif "news" not in message:
                raise WorkerError(_SENSELESS, _AGAIN)
            elif news is not None:
                news(message["news"])
        if strays:
            await self._end()
        return message

    async def _read(self, process: Process) -> dict[str, Any]:
        assert process.stdout is not None
        try:
            line = await process.stdout.readline()
            message = json.loads(line) if line else {}
        except ValueError:  # also of a line that is too long
            message = None
        if not isinstance(message, dict):
            raise WorkerError(_SENSELESS, _AGAIN)
        if not line:
            code = await process.wait()
            raise WorkerError(f"The process that worked on it ended by itself (code {code}).", "Others go on.")
        return message

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await _kill(process)


async def _kill(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
