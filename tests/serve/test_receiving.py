"""An upload that stalls gives its place up, long before the time that a whole one may take."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gracile.serve.problems import Problem
from gracile.serve.receiving import receive
from tests.io.full import full_disk_beyond


class Stalling:
    """A request whose body begins and then brings nothing."""

    headers: ClassVar[dict[str, str]] = {}

    async def stream(self) -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()


def test_an_upload_that_brings_nothing_more_is_given_up(tmp_path: Path) -> None:
    request: Any = Stalling()
    with pytest.raises(Problem) as caught:
        asyncio.run(receive(request, tmp_path / "upload", 1000, seconds=3600, stalled_seconds=0.01))
    assert caught.value.status == 408


class Whole:
    """A request that brings its body."""

    headers: ClassVar[dict[str, str]] = {}

    async def stream(self) -> AsyncIterator[bytes]:
        yield bytes(50_000)


def test_a_disk_that_fills_meanwhile_is_told(tmp_path: Path) -> None:
    request: Any = Whole()
    with full_disk_beyond(1000), pytest.raises(Problem) as caught:
        asyncio.run(receive(request, tmp_path / "upload", 100_000, seconds=3600))
    assert caught.value.status == 507
