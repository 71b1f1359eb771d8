"""Sends the files of a scene by their keys."""

from pathlib import Path
from typing import Any

from starlette.responses import FileResponse

from gracile.serve.naming import download_header
from gracile.serve.problems import Problem
from gracile.serve.scene import Scene

_FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def send_scene(scene: Scene, name: str) -> dict[str, Any]:
    """A scene as the page gets it: without paths, with the type of each file."""
    files = {key: {"type": entry["type"], "suffix": entry["suffix"]} for key, entry in scene.files.items()}
    return {**scene.content, "name": name, "files": files}


def send_file(scene: Scene, key: str, name: str, download: bool) -> FileResponse:
    """One file of a scene, as itself or as a download under the upload's name. Raises Problem."""
    entry = scene.files.get(key)
    if entry is None or not Path(entry["path"]).is_file():
        raise Problem(404, "There is no such file.")
    headers = {"Content-Security-Policy": _FILE_POLICY, "Cache-Control": "private, max-age=3600"}
    if download:
        headers["Content-Disposition"] = download_header(name, entry["suffix"])
    return FileResponse(entry["path"], media_type=entry["type"] or "application/octet-stream", headers=headers)
