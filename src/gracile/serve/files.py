"""Sends the files of a scene by their keys."""

import hashlib
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from gracile.serve.naming import download_header
from gracile.serve.problems import Problem
from gracile.serve.scene import Scene

_FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def send_scene(scene: Scene, name: str) -> dict[str, Any]:
    """A scene as the page gets it: without paths, with the type of each file."""
    files = {key: {"type": entry["type"], "suffix": entry["suffix"]} for key, entry in scene.files.items()}
    return {**scene.content, "name": name, "files": files}


def send_file(request: Request, scene: Scene, key: str, name: str, download: bool) -> Response:
    """One file of a scene, as itself or as a download under the upload's name. Raises Problem.

    A browser may keep it and asks each time whether it is still the same: at this address another server, or one that
    was started anew, has another case's.
    """
    entry = scene.files.get(key)
    path = Path(entry["path"]) if entry is not None else None
    if entry is None or path is None or not path.is_file():
        raise Problem(404, "There is no such file.")
    stat = path.stat()
    said = f"{path}\0{stat.st_mtime_ns}\0{stat.st_size}"
    tag = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    headers = {"Content-Security-Policy": _FILE_POLICY, "Cache-Control": "private, no-cache", "ETag": f'"{tag}"'}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if download:
        headers["Content-Disposition"] = download_header(name, entry["suffix"])
    return FileResponse(path, media_type=entry["type"] or "application/octet-stream", headers=headers)
