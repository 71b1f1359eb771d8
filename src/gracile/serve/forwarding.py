"""How a request was asked before proxies passed it on: by which host, over TLS or not, and under which path."""

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from gracile.errors import UsageError
from gracile.serve.settings import ListenSettings, require_path

_USUAL_PORTS = (":80", ":443")


@dataclass(frozen=True)
class Asked:
    """A request as its sender asked it.

    Args:
        scope: What the application gets: ``scheme`` is the sender's, ``path`` the server's own, ``root_path`` what the
            sender sees in front of it.
        hosts: By which hosts it was asked, with ports where they are not the usual ones: the header's, and the one
            that a trusted proxy tells of.
        bare: Whether it asked for the path that the server lies under, without the slash at its end.
    """

    scope: Scope
    hosts: tuple[str, ...]
    bare: bool = False


def as_asked(scope: Scope, listen: ListenSettings) -> Asked:
    """What was asked, with the word of proxies that are trusted; that of others is not heard."""
    headers = Headers(scope=scope)
    host, scheme, root_path = plain_host(headers.get("host", "")), scope["scheme"], listen.root_path
    hosts = [host]
    if _is_trusted(scope, listen.trusted_proxies):
        forwarded = plain_host(_first(headers, "host"))
        hosts += [forwarded] * bool(forwarded)
        told = _first(headers, "proto").lower()
        scheme = told if told in ("http", "https") else scheme
        root_path = _path(_first(headers, "prefix")) or root_path
    path = scope["path"]
    for front in (root_path, listen.root_path):
        if front and (path == front or path.startswith(front + "/")):
            path = path[len(front) :]
            break
    changed = {**scope, "scheme": scheme, "path": path or "/", "root_path": root_path}
    return Asked(changed, tuple(hosts), bare=not path)


def plain_host(host: str) -> str:
    """A host in small letters, without the port when it is a usual one."""
    host = host.strip().lower()
    return next((host.removesuffix(port) for port in _USUAL_PORTS if host.endswith(port)), host)


def _first(headers: Headers, name: str) -> str:
    return headers.get(f"x-forwarded-{name}", "").partition(",")[0].strip()


def _path(path: str) -> str:
    try:
        return require_path(path)
    except UsageError:
        return ""


def _is_trusted(scope: Scope, proxies: tuple[str, ...]) -> bool:
    if not proxies or not scope.get("client"):
        return False
    try:
        address = ipaddress.ip_address(scope["client"][0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ipaddress.ip_network(proxy, strict=False) for proxy in proxies)
