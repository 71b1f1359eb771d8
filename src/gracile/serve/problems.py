"""How the service says no: JSON with one sentence, ``{"error": "..."}``."""

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

_DRAINED = 64 * 1024 * 1024
_DRAIN_SECONDS = 20.0
_PAUSE_SECONDS = 2.0


class Problem(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        message: One sentence.
        retry_seconds: When to try again.
        close: Whether the rest of a body is not wanted: it is drained, then the connection is closed.
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
    """The response to a `Problem`; ``app.state.max_bytes`` is the largest upload, where uploads are taken."""
    assert isinstance(problem, Problem)
    if "Connection" in problem.headers:
        await drain(request, max(_DRAINED, 2 * getattr(request.app.state, "max_bytes", 0)))
    return JSONResponse({"error": problem.message}, problem.status, problem.headers)


async def drain(request: Request, most: int = _DRAINED) -> None:
    """Read what a client is still sending, so that it hears the answer that it is refused with.

    A connection that is closed over unread bytes is reset, and the answer is lost on its way.

    Args:
        request: Whose body is thrown away.
        most: Bytes after which the client is no longer listened to; neither is one that sends nothing for a while.
    """
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_DRAIN_SECONDS):
            stream = request.stream()
            while size <= most:
                async with asyncio.timeout(_PAUSE_SECONDS):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                size += len(chunk)
