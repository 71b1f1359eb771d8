"""Stands in front of every request: who may come in, and what every answer carries."""

import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gracile.serve.forwarding import Asked, as_asked, plain_host
from gracile.serve.problems import drain
from gracile.serve.settings import ListenSettings, without_port

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


class Guard:
    """Checks host, origin and token; adds the security headers.

    A page of another origin cannot post here: its request carries its ``Origin``, and one whose name was made to lead
    here (DNS rebinding) carries that name as ``Host``, whatever else it says. The origin may be any of the hosts that
    the request was asked by, or a name that the server was given: a proxy need not pass the host on.

    Args:
        app: What is guarded.
        listen: By which names it may be asked, what requests must show (as ``Authorization: Bearer`` or as the page's
            cookie), and whose word on them is believed.
    """

    def __init__(self, app: ASGIApp, listen: ListenSettings) -> None:
        self._app = app
        self._listen = listen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = as_asked(scope, self._listen)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if asked.scope["path"].startswith("/api"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        status, reason = self._refusal(asked)
        if status:
            if scope["method"] not in ("GET", "HEAD"):
                await drain(Request(scope, receive))
            answer = JSONResponse({"error": reason}, status, {"Connection": "close"})
            await answer(scope, receive, send_with_headers)
        elif asked.bare:  # the page's addresses are relative to the slash
            await RedirectResponse(f"{asked.scope['root_path']}/")(scope, receive, send_with_headers)
        else:
            await self._app(asked.scope, receive, send_with_headers)

    def _refusal(self, asked: Asked) -> tuple[int, str]:
        headers, listen = Headers(scope=asked.scope), self._listen
        known = listen.known_names
        for host in asked.hosts:
            if known is not None and without_port(host) not in known:
                return 421, (
                    f"This server does not go by the name {_shown_host(host)}. If it is the name of a proxy, or one "
                    f"that a proxy passes on, start the server with --name {_shown_host(without_port(host))}."
                )
        origin = headers.get("origin")
        if asked.scope["method"] not in ("GET", "HEAD") and origin and not self._is_own(origin, asked):
            host = _shown_host(plain_host(origin.partition("://")[2])) or "HOST"
            return 403, (
                "Pages of other origins cannot use this server. If this is its own page behind a proxy, start the "
                f"server with --name {host}, or have the proxy pass on the Host as it came."
            )
        path = asked.scope["path"]
        guarded = path not in _OPEN and not path.startswith("/static/")
        if guarded and not shows_token(headers, listen.token):
            return 401, "A token is needed. Open the page to enter it, or send Authorization: Bearer TOKEN."
        return 0, ""

    def _is_own(self, origin: str, asked: Asked) -> bool:
        """Whether an origin is that of the page that this server sends."""
        scheme, _, host = origin.partition("://")
        if not host or (asked.scope["scheme"] == "https" and scheme != "https"):
            return False
        return plain_host(host) in {*asked.hosts, *map(plain_host, self._listen.names)}


def _shown_host(host: str) -> str:
    """A host as it is told of; what is none is cut short."""
    return host[:100] if host.isprintable() else ""


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
