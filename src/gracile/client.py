"""Ask a Gracile server from Python. Needs nothing but the standard library."""

import http.client
import json
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from gracile.errors import DataError, GracileError
from gracile.names import VERSION
from gracile.plain_data import parse_json

_CHUNK = 1 << 20
_LOCAL = ("localhost", "127.0.0.1", "::1")
_OF_A_PROXY = {
    413: "A proxy in front of the server takes no uploads of this size: raise its limit (nginx: client_max_body_size).",
    502: "The proxy in front of the server does not reach it.",
    504: "The proxy in front of the server did not wait for its answer (nginx: proxy_read_timeout).",
}
"""What the answers mean that are not the server's own."""

Progress = Callable[[dict[str, Any]], None]


class ServerError(GracileError):
    """What a server said against a request, or that it could not be reached.

    Args:
        message: The server's own sentence.
        status: HTTP status; 0 when it was not reached.
        retry_seconds: When to try again, if it said so.
    """

    def __init__(self, message: str, status: int = 0, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_seconds = retry_seconds


class _Staying(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would take the token to another host, and turn an upload into a question."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        wanted = newurl.partition("/api/")[0].removesuffix("/health")
        raise ServerError(f"{req.host} sends its clients on to {wanted}: if that is right, give that address.", code)


class Client:
    """A Gracile server.

    Args:
        address: Such as ``http://127.0.0.1:8765``, or ``https://example.org/gracile`` behind a proxy.
        token: What the server asks for, if it does.
        patience: Seconds to wait in all for a server that is full; 0 gives up at once.
        timeout: Seconds to wait for any single answer; that to an upload comes when it was looked at, after others.

    Example:
        >>> client = gracile.Client("http://127.0.0.1:8765")  # doctest: +SKIP
        >>> client.predict("photograph.jpg", out="results")["status"]  # doctest: +SKIP
        'found'
    """

    def __init__(self, address: str, token: str = "", patience: float = 600.0, timeout: float = 1800.0) -> None:
        self.address = address.rstrip("/")
        self._token = token
        self._patience = patience
        self._timeout = timeout
        local = urlsplit(self.address).hostname in _LOCAL  # a proxy cannot reach this machine's own servers
        self._opener = urllib.request.build_opener(_Staying, *[urllib.request.ProxyHandler({})] * local)

    def health(self) -> dict[str, Any]:
        """Whether the server works, and how busy it is."""
        return self._json("GET", "/health")

    def models(self) -> list[dict[str, Any]]:
        """The models on offer."""
        models: list[dict[str, Any]] = self._json("GET", "/api/models")
        return models

    def predict(
        self,
        path: str | Path | Sequence[str | Path],
        model: str = "",
        *,
        out: str | Path | None = None,
        probabilities: bool = False,
        series: str | int = "",
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Upload a file, wait, and return what was found.

        Args:
            path: A picture, a clip, a volume, or the folder of a DICOM series; or the files of a case's channels, in
                the order of the model's.
            model: A name that `models` lists; the server's first when empty.
            out: Folder to write every file of the result to.
            probabilities: Also have probability maps made.
            series: Number or UID of the DICOM series that is meant, where a folder holds several.
            progress: Told of the job after each change.

        Returns:
            Status, measurements, flags, layers and downloads; ``files`` are those written, when ``out`` is given.

        Raises:
            ServerError: The server refused or failed.
        """
        job = self.submit(path, model, probabilities=probabilities, series=series)
        self.wait(job["id"], progress)
        result = self.result(job["id"])
        if out is not None:
            result["files"] = [str(file) for file in self.download(job["id"], out)]
        return result

    def submit(
        self,
        path: str | Path | Sequence[str | Path],
        model: str = "",
        *,
        probabilities: bool = False,
        series: str | int = "",
    ) -> dict[str, Any]:
        """Upload a file and return its job, without waiting for it; see `predict`. Waits while the server is full."""
        paths = [Path(path)] if isinstance(path, str | Path) else [Path(one) for one in path]
        if not paths:
            raise ServerError("No file is named: give the files of the channels, in the order of the model's.")
        path = paths[0]
        name = path.name if len(paths) == 1 else re.sub(r"_\d{4}(?=\.|$)", "", path.name)
        wanted = {"model": model, "name": name, "probabilities": str(probabilities).lower(), "series": series}
        query = urlencode(wanted)
        if len(paths) > 1:
            with tempfile.TemporaryDirectory() as folder:
                return self._submit(_channels_packed(paths, Path(folder) / "channels.zip"), query)
        if path.is_dir():
            with tempfile.TemporaryDirectory() as folder:
                return self._submit(_packed(path, Path(folder) / "series.zip"), query)
        return self._submit(path, query)

    def _submit(self, path: Path, query: str) -> dict[str, Any]:
        until = time.monotonic() + self._patience
        while True:
            try:
                with path.open("rb") as body:
                    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
                    job: dict[str, Any] = self._json("POST", f"/api/jobs?{query}", body, headers)
                    return job
            except ServerError as error:
                if error.retry_seconds is None or time.monotonic() + error.retry_seconds > until:
                    raise
                time.sleep(error.retry_seconds)

    def wait(self, id: str, progress: Progress | None = None) -> dict[str, Any]:
        """Follow a job until it is done; returns its last state. Raises ServerError when it failed."""
        job: dict[str, Any] = {}
        with self._open("GET", f"/api/jobs/{quote(id)}/events") as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    job = self._content(line[6:])
                    if progress is not None:
                        progress(job)
        if job.get("state") != "done":
            raise ServerError(job.get("reason") or "The connection ended before the job did.")
        return job

    def result(self, id: str) -> dict[str, Any]:
        """What was found, as plain data."""
        return self._json("GET", f"/api/jobs/{quote(id)}/scene")

    def download(self, id: str, out: str | Path) -> list[Path]:
        """Write every file that a result offers to a folder; returns them."""
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        scene = self.result(id)
        base = _base(scene["name"])
        written = []
        for download in scene["downloads"]:
            if download["key"] == "all":
                continue
            target = out / (base + _plain(scene["files"][download["key"]]["suffix"]))
            place = f"/api/jobs/{quote(id)}/files/{quote(download['key'])}"
            part = target.with_name(target.name + ".part")
            try:
                with self._open("GET", place) as answer, part.open("wb") as file:
                    shutil.copyfileobj(answer, file, _CHUNK)
                    if answer.length:  # what was announced and did not come
                        raise ServerError(f"The connection ended before {target.name} was whole.")
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            written.append(target)
        return written

    def remove(self, id: str) -> None:
        """Have a finished job's files deleted before their time."""
        with self._open("DELETE", f"/api/jobs/{quote(id)}"):
            pass

    def _json(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        with self._open(method, path, body, headers) as answer:
            return self._content(answer.read())

    def _content(self, answer: bytes) -> Any:
        """What an answer says. Raises ServerError where it is a proxy's, as one that asks to log in."""
        try:
            return parse_json(answer, "The answer", "")
        except DataError:
            raise ServerError(f"What answers at {self.address} is no Gracile server.") from None

    @contextmanager
    def _open(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Iterator[Any]:
        given = {"User-Agent": f"gracile/{VERSION}", **(headers or {})}
        if self._token:
            given["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.address + path, data=body, headers=given, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise _told(error) from None
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise ServerError(f"{self.address} cannot be reached: {reason}.") from None
        except http.client.HTTPException:
            raise ServerError(f"The connection to {self.address} broke off.") from None


def _told(error: urllib.error.HTTPError) -> ServerError:
    try:
        content = json.loads(error.read())
        message = content.get("error") or str(content.get("detail", error.reason))
    except (ValueError, AttributeError, OSError):
        message = _OF_A_PROXY.get(error.code, str(error.reason))
    retry = error.headers.get("Retry-After", "")
    return ServerError(message, error.code, float(retry) if retry.isdecimal() else None)


def _packed(folder: Path, archive: Path) -> Path:
    """The files right in a folder as an archive, under numbers: their names are nobody's business."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as content:
        for number, file in enumerate(sorted(path for path in folder.iterdir() if path.is_file()), start=1):
            content.write(file, f"{number:05d}")
    return archive


def _channels_packed(paths: Sequence[Path], archive: Path) -> Path:
    """The files of a case's channels as an archive, under the channels' numbers, as nnU-Net counts them."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as content:
        for number, file in enumerate(paths):
            content.write(file, f"{number:04d}")
    return archive


def _base(name: str) -> str:
    """A shown name without its suffix; no path, as a server's word is not trusted either."""
    last = _plain(name)
    return last[: -len(".nii.gz")] if last.lower().endswith(".nii.gz") else Path(last).stem


def _plain(name: str) -> str:
    """The last part of what may be a path."""
    return name.replace("\\", "/").rpartition("/")[2]
