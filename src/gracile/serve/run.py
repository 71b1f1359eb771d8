"""Runs the service and the viewer on a port of this machine."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from gracile.errors import UsageError
from gracile.io.atomic import require_writable
from gracile.serve.app import create_app
from gracile.serve.jobs import JobStore
from gracile.serve.models import served_models
from gracile.serve.settings import ListenSettings, ServeSettings
from gracile.serve.viewing import create_viewer

_KEEP_ALIVE_SECONDS = 15
_STOP_SECONDS = 3

Announce = Callable[[str], None]


def serve(settings: ServeSettings, announce: Announce) -> None:
    """Run the service until it is interrupted; ``announce`` is told the page's address."""
    served_models(settings.models)
    threads = max(1, (os.cpu_count() or 1) // settings.workers)
    with _folder(settings.folder) as folder:
        store = JobStore(folder, settings.keep_hours * 3600)
        app = create_app(settings, store, threads=threads)
        _run(app, settings, announce)


def view(results: Path, truth: Path | None, listen: ListenSettings, announce: Announce) -> None:
    """Show a results folder until interrupted; ``announce`` is told the page's address."""
    with tempfile.TemporaryDirectory(prefix="gracile-view-") as cache:
        _run(create_viewer(results, Path(cache), truth, listen), listen, announce)


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        require_writable(folder, depth=1)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="gracile-serve-") as temporary:
        yield Path(temporary)


def _run(app: FastAPI, listen: ListenSettings, announce: Announce) -> None:
    listener = _listener(listen.host, listen.port)
    shown = f"[{listen.host}]" if ":" in listen.host else listen.host
    announce(f"http://{shown}:{listener.getsockname()[1]}/")
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS, ws="none", proxy_headers=False,
    )  # fmt: skip
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    if not 0 <= port < 65536:
        raise UsageError(f"There is no port {port}.", "Choose one from 0 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror}.", "Choose another --port.") from None
    return listener
