"""How a page begins: it asks what kind of server this is, and shows the token once where one is asked for."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from gracile.names import VERSION
from gracile.serve.guard import COOKIE, shows_token
from gracile.serve.problems import Problem


def add_session(app: FastAPI, token: str, about: dict[str, Any]) -> None:
    """Answer ``/api/session``.

    Args:
        app: The server.
        token: What its requests must show; empty asks for none.
        about: What its page needs to begin: ``mode`` and more.
    """

    @app.get("/api/session", tags=["server"])
    async def session(request: Request) -> dict[str, Any]:
        """What the page needs to begin: the kind of server, its limits, and whether the token was shown."""
        known = shows_token(request.headers, token)
        return {"version": VERSION, "token": bool(token), "known": known, **(about if known else {})}

    @app.post("/api/session", tags=["server"])
    async def open_session(request: Request) -> JSONResponse:
        """Show the token once as ``Authorization: Bearer``; a cookie shows it from then on."""
        if not shows_token(request.headers, token):
            raise Problem(401, "The token is wrong.")
        answer = JSONResponse({"known": True})
        if token:
            # No path: the browser takes that of this request's own folder, which is right under any proxy.
            secure = request.scope["scheme"] == "https"
            answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", path=None, secure=secure)
        return answer
