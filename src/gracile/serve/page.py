"""The page's own files: one document, its styles and scripts, and the viewer of volumes."""

import gzip
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from gracile import report
from gracile.report.page import viewer_page
from gracile.serve.problems import Problem

STATIC = Path(__file__).parent / "static"
NIIVUE = "niivue/niivue-0.69.0.umd.js"

_REPORT_STYLE = Path(report.__file__).parent / "page.css"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
_PACKED_FROM = 100_000


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files under ``/static``: only those that exist now, each by its full name."""
    files = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.suffix in _TYPES}
    files["report.css"] = _REPORT_STYLE  # the page and the reports have one look
    document = viewer_page("Gracile", "Finds slender anatomy and delineates it.")

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(document, headers={"Cache-Control": "no-cache"})

    @app.get("/static/{name:path}", include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        path = files.get(name)
        if path is None:
            raise Problem(404, "There is no such file.")
        headers = {"Cache-Control": "no-cache"}
        media_type = _TYPES[path.suffix]
        if path.stat().st_size > _PACKED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding", "Cache-Control": "max-age=86400"}
            return Response(_packed(path), media_type=media_type, headers=headers)
        return FileResponse(path, media_type=media_type, headers=headers)


@lru_cache(maxsize=4)
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9, mtime=0)
