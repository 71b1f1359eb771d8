"""How a server is run."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from gracile.errors import UsageError

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class ServeSettings:
    """What ``gracile serve`` was asked for.

    Args:
        models: Shipped names or bundle folders; the first is the one that is used where none is named.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        token: What requests must show; empty asks for none.
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
        names: Further names that the page may be called by (``Host``).
    """

    models: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8765
    token: str = ""
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
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("There is no model to serve.", "Name a shipped model or a bundle folder.")
        for name, least in (("workers", 1), ("waiting", 1), ("max_upload_mb", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}.", f"Give {least} or more.")
        if self.keep_hours <= 0:
            raise UsageError(f"Results cannot be kept for {self.keep_hours} hours.", "Give a number above zero.")
        require_token_unless_local(self.host, self.token)

    @property
    def max_bytes(self) -> int:
        """Largest upload in bytes."""
        return self.max_upload_mb * MEGABYTE


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_token_unless_local(host: str, token: str) -> None:
    """Raise UsageError when others could reach a server that asks for no token."""
    if not token and not is_local(host):
        raise UsageError(
            f"At {host} other machines can reach the server, and no token guards it.",
            "Give --token, or stay at 127.0.0.1.",
        )
