"""Takes an upload's body to disk, within a size and a time."""

import asyncio
import shutil
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from gracile.serve.problems import Problem

CONTENT_TYPE = "application/octet-stream"


STALLED_SECONDS = 20.0
"""How long an upload may bring nothing, or less than its least pace: a sender that stalls must not keep its place."""

LEAST_PACE = 16 * 1024
"""Bytes per second, over the whole of an upload, that every line has."""


async def receive(
    request: Request, target: Path, max_bytes: int, seconds: float, stalled_seconds: float = STALLED_SECONDS
) -> int:
    """Write the body of a request to a file; returns its size.

    It may take ``seconds`` in all, and at each moment ``stalled_seconds`` more than its bytes take at `LEAST_PACE`.

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
        clock = asyncio.get_running_loop().time
        begun = clock()
        async with asyncio.timeout_at(begun + min(seconds, stalled_seconds)) as limit:
            with target.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > max_bytes:
                        raise _too_large(max_bytes)
                    file.write(chunk)
                    late = begun + min(seconds, stalled_seconds + size / LEAST_PACE)
                    limit.reschedule(min(late, clock() + stalled_seconds))
    except TimeoutError:
        raise Problem(408, "The upload stalled, or took too long.", close=True) from None
    except OSError:
        raise Problem(507, "There is too little room on the server's disk.", close=True) from None
    except ClientDisconnect:
        raise Problem(400, "The upload was broken off.", close=True) from None
    if not size:
        raise Problem(400, "The upload is empty.")
    return size


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, f"The upload is larger than {max_bytes // 2**20} MB.", close=True)
