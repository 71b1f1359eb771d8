"""How the service says no: JSON with one sentence, ``{"error": "..."}``."""

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

_DRAIN_SECONDS = 10.0
_PAUSE_SECONDS = 2.0


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
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: all of it has come
        async with asyncio.timeout(_DRAIN_SECONDS):
            stream = request.stream()
            while True:
                async with asyncio.timeout(_PAUSE_SECONDS):
                    if await anext(stream, None) is None:
                        return
