"""Takes an upload's body to disk, within a size and a time."""

import asyncio
import shutil
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from gracile.serve.problems import Problem

CONTENT_TYPE = "application/octet-stream"


async def receive(request: Request, target: Path, max_bytes: int, seconds: float) -> int:
    """Write the body of a request to a file; returns its size.

    Raises:
        Problem: It is too large, too slow, empty, or there is no room on the disk.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    if shutil.disk_usage(target.parent).free < 3 * max_bytes:
        raise Problem(507, "There is too little room on the server's disk.", close=True)
    size = 0
    try:
        async with asyncio.timeout(seconds):
            with target.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > max_bytes:
                        raise _too_large(max_bytes)
                    file.write(chunk)
    except TimeoutError:
        raise Problem(408, f"The upload took longer than {seconds:g} seconds.", close=True) from None
    except ClientDisconnect:
        raise Problem(400, "The upload was broken off.", close=True) from None
    if not size:
        raise Problem(400, "The upload is empty.")
    return size


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, f"The upload is larger than {max_bytes // 2**20} MB.", close=True)
