"""How the service says no: JSON with one sentence, ``{"error": "..."}``."""

from starlette.requests import Request
from starlette.responses import JSONResponse


class Problem(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        message: One sentence.
        retry_seconds: When to try again.
        close: Whether the connection is closed, because the rest of a body is not wanted.
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
    del request
    assert isinstance(problem, Problem)
    return JSONResponse({"error": problem.message}, problem.status, problem.headers)
