"""Stands in front of every request: who may come in, and what every answer carries."""

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gracile.serve.problems import drain

COOKIE = "gracile_token"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No inline script or style, nothing from elsewhere, in nobody's frame."""

HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_OPEN = ("/", "/health", "/openapi.json", "/api/session")
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """Checks host, origin and token; adds the security headers.

    A page of another origin cannot post here: its request carries its ``Origin``, and one whose name was made to lead
    here (DNS rebinding) carries that name as ``Host``.

    Args:
        app: What is guarded.
        token: What requests must show, as ``Authorization: Bearer`` or as the page's cookie; empty asks for none.
        names: Names that the server may be called by; None lets every name in.
    """

    def __init__(self, app: ASGIApp, token: str = "", names: tuple[str, ...] | None = _LOCAL_NAMES) -> None:
        self._app = app
        self._token = token
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        status, reason = self._refusal(scope)
        if not status:
            await self._app(scope, receive, send_with_headers)
            return
        if scope["method"] not in ("GET", "HEAD"):
            await drain(Request(scope, receive))
        await JSONResponse({"error": reason}, status, {"Connection": "close"})(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str]:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._names is not None and _without_port(host) not in self._names:
            return 421, "This server does not go by that name."
        origin = headers.get("origin")
        if scope["method"] not in ("GET", "HEAD") and origin and urlsplit(origin).netloc != host:
            return 403, "Pages of other origins cannot use this server."
        path = scope["path"]
        guarded = path not in _OPEN and not path.startswith("/static/")
        if guarded and self._token and not secrets.compare_digest(_shown(headers).encode(), self._token.encode()):
            return 401, "A token is needed: send it as Authorization: Bearer TOKEN."
        return 0, ""


def shows_token(headers: Headers, token: str) -> bool:
    """Whether a request shows the token, or none is asked for."""
    return not token or secrets.compare_digest(_shown(headers).encode(), token.encode())


def _shown(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
