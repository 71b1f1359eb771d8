"""How long the service goes on reading what it has refused."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import Request

from gracile.serve import problems

PAUSE = 0.2


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "_PAUSE_SECONDS", PAUSE)


def drained(come: Callable[[int], Awaitable[None]], parts: int) -> int:
    """Parts that were read of a body of so many, when each comes after `come`."""
    count = 0

    async def receive() -> dict[str, Any]:
        nonlocal count
        await come(count)
        count += 1
        return {"type": "http.request", "body": b"x", "more_body": count < parts}

    asyncio.run(problems.drain(Request({"type": "http", "headers": []}, receive)))
    return count


def test_a_machine_that_stands_still_for_a_while_does_not_end_the_reading() -> None:
    async def come(part: int) -> None:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.call_later(PAUSE / 2, came.set)
        if part == 2:
            loop.call_soon(time.sleep, 3 * PAUSE)  # when it goes on, the part has come and the pause is over
        await came.wait()

    assert drained(come, 5) == 5


def test_a_client_that_says_nothing_any_more_is_not_waited_for() -> None:
    async def come(part: int) -> None:
        await asyncio.sleep(0 if part < 3 else 60)

    begin = time.monotonic()
    assert drained(come, 5) == 3
    assert time.monotonic() - begin < 30


def test_a_client_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def come(part: int) -> None:
        await asyncio.sleep(PAUSE / 4)

    monkeypatch.setattr(problems, "_DRAIN_SECONDS", PAUSE)
    assert 0 < drained(come, 10_000) < 10_000
