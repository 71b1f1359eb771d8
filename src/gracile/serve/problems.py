"""How the service says no: JSON with one sentence, ``{"error": "..."}``."""

import asyncio
import time
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

_DRAIN_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_PAUSES = 2
"""Silence of one pause alone may be the machine's: what came meanwhile has not been read yet."""


class Problem(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        message: One sentence.
        retry_seconds: When to try again.
        close: Whether the rest of a body is not wanted: it is read for a while, then the connection is closed.
    """

    def __init__(self, status: int, message: str, retry_seconds: int | None = None, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers: dict[str, str] = {}
        if retry_seconds is not None:
            self.headers["Retry-After"] = str(retry_seconds)
        if close:
            self.headers["Connection"] = "close"


async def answer_problem(request: Request, problem: Exception) -> JSONResponse:
    """The response to a `Problem`."""
    assert isinstance(problem, Problem)
    if "Connection" in problem.headers:
        await drain(request)
    return JSONResponse({"error": problem.message}, problem.status, problem.headers)


async def drain(request: Request) -> None:
    """Read what a client is still sending, for a while, so that it hears the answer that it is refused with.

    A connection that is closed over unread bytes is reset, and the answer is lost on its way.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # the client asked before it sends; reading would tell it to
    parts = 0

    async def read() -> None:
        nonlocal parts
        with suppress(ClientDisconnect, RuntimeError):  # RuntimeError: all of it has come
            async for _ in request.stream():
                parts += 1

    reading = asyncio.create_task(read())
    end, silences = time.monotonic() + _DRAIN_SECONDS, 0
    try:
        while silences < _PAUSES and not reading.done() and time.monotonic() < end:
            before = parts
            await asyncio.wait({reading}, timeout=_PAUSE_SECONDS)
            silences = silences + 1 if parts == before else 0
    finally:
        reading.cancel()
