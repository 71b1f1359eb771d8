"""How a server is run: where it listens, who may come in, and what it offers."""

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from gracile.errors import UsageError

MEGABYTE = 1024 * 1024
TOKEN_VARIABLE = "GRACILE_TOKEN"
WORKER_MB = 2000
"""Memory that a worker may come to need: its models, and a large volume."""

_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_NAME = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_OWN_PATHS = ("api", "static", "health", "openapi.json")


@dataclass(frozen=True, kw_only=True)
class ListenSettings:
    """Where a server listens, by which names it is asked, and what it asks for.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        token: What requests must show; empty asks for none.
        names: Names of hosts, with their port where it is not the usual one, that the server is asked by besides the
            machine's own: those that a proxy has.
        root_path: Path that a proxy has put the server under, such as ``/gracile``; empty for none. Requests may come
            with it or without it.
        trusted_proxies: Addresses or networks whose ``X-Forwarded-Host``, ``-Proto`` and ``-Prefix`` are believed.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str = ""
    names: tuple[str, ...] = ()
    root_path: str = ""
    trusted_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "root_path", require_path(self.root_path))
        object.__setattr__(self, "names", tuple(_require_name(name) for name in self.names))
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise UsageError(
                    f"{proxy!r} is no address of a proxy.", "Give an address, or a network such as 172.16.0.0/12."
                ) from None
        if not all("!" <= character <= "~" for character in self.token):
            raise UsageError("The token holds more than a header can carry.", "Take ASCII characters without blanks.")
        if not self.token and not is_local(self.host):
            raise UsageError(
                f"At {self.host} other machines can reach the server, and no token guards it.",
                f"Give --token-file or {TOKEN_VARIABLE}, or stay at 127.0.0.1.",
            )

    @property
    def known_names(self) -> frozenset[str] | None:
        """Hosts, without ports, that it may be asked by; None when any will do."""
        if not is_local(self.host) and not self.names:
            return None
        return frozenset((*_LOCAL_NAMES, self.host, *map(without_port, self.names)))


@dataclass(frozen=True)
class ServeSettings(ListenSettings):
    """What ``gracile serve`` was asked for.

    Args:
        models: Shipped names or bundle folders; the first is the one that is used where none is named.
        keep_hours: How long a finished job's files are kept.
        workers: Processes that predict.
        waiting: Jobs that may wait or be on their way in; further ones are refused with 429.
        max_upload_mb: Largest upload.
        upload_seconds: How long an upload may take.
        check_seconds: How long an upload may take to decode.
        check_memory_mb: Memory of the process that decodes it.
        job_minutes: How long a job may take.
        job_memory_mb: Memory of a process that predicts.
        folder: Where jobs lie, and still lie after the server; None takes a temporary one.
    """

    models: tuple[str, ...]
    keep_hours: float = 24.0
    workers: int = 1
    waiting: int = 16
    max_upload_mb: int = 512
    upload_seconds: float = 600.0
    check_seconds: float = 60.0
    check_memory_mb: int = 3072
    job_minutes: float = 60.0
    job_memory_mb: int = 8192
    folder: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.models:
            raise UsageError("There is no model to serve.", "Name a shipped model or a bundle folder.")
        for name, least in (("workers", 1), ("waiting", 1), ("max_upload_mb", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}.", f"Give {least} or more.")
        if self.keep_hours <= 0:
            raise UsageError(f"Results cannot be kept for {self.keep_hours} hours.", "Give a number above zero.")

    @property
    def max_bytes(self) -> int:
        """Largest upload in bytes."""
        return self.max_upload_mb * MEGABYTE


def read_token(token: str, file: Path | None) -> str:
    """The token that was given, that of a file, or that of ``GRACILE_TOKEN``; empty for none.

    Raises:
        UsageError: It is given twice, or the file is empty or unreadable.
    """
    if file is None:
        return token or os.environ.get(TOKEN_VARIABLE, "")
    if token:
        raise UsageError("The token is given twice.", "Give --token or --token-file.")
    try:
        found = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"The token in {file} cannot be read: {reason}.", "Check the file.") from None
    if not found:
        raise UsageError(f"{file} holds no token.", "Write one into it, such as openssl rand -hex 24 makes.")
    return found


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def without_port(host: str) -> str:
    """The name or address alone of what a ``Host`` header holds."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def require_path(path: str) -> str:
    """A path that a server may lie under, without a slash at its end. Raises UsageError."""
    plain = path.rstrip("/")
    if not _PATH.fullmatch(plain) or plain.split("/")[1:2] in [[own] for own in _OWN_PATHS]:
        raise UsageError(
            f"A server cannot lie under {path!r}.",
            f"Give a path such as /gracile; it begins with none of the server's own: {', '.join(_OWN_PATHS)}.",
        )
    return plain


def _require_name(name: str) -> str:
    plain = name.lower()
    if not _NAME.fullmatch(plain):
        raise UsageError(
            f"{name!r} is no name of a host.", "Give it alone, such as gracile.example.org or ::1 as [::1]."
        )
    return plain


def fitting_workers() -> int:
    """How many predicting processes the machine has cores and free memory for; 1 where it does not tell."""
    try:
        free_mb = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (AttributeError, OSError, ValueError):
        return 1
    return max(1, min(os.cpu_count() or 1, int(free_mb // WORKER_MB)))
