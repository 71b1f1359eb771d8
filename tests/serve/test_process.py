"""The process that works for the server: whatever goes wrong, an answer never meets another's request."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from gracile.serve import worker
from gracile.serve.process import WorkerError, WorkerProcess
from gracile.serve.worker import News

SAYING = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    id, request = message.get("id"), message.get("request", message)
    for said in request["say"]:
        said = said if isinstance(said, str) else json.dumps({"id": id, **said})
        print(said, flush=True)
"""
"""A worker that says what it is asked to say: whole lines, or messages that get the request's id."""


class EchoEngine:
    """Answers with what it was asked, and sends word of it first."""

    def __init__(self, models: list[str]) -> None:
        del models

    def __call__(self, request: dict[str, Any], news: News) -> dict[str, Any]:
        for _ in range(request.get("news", 1)):
            news({"of": request["text"]})
        while request.get("endless"):
            pass
        return {"echo": request["text"] * request.get("times", 1), "token": os.environ.get("GRACILE_TOKEN", "")}


def echoing() -> WorkerProcess:
    return WorkerProcess("tests.serve.test_process:EchoEngine")


def saying() -> WorkerProcess:
    worker = WorkerProcess("nothing")
    worker._command = [sys.executable, "-c", SAYING]
    return worker


async def echo(worker: WorkerProcess, text: str, **more: Any) -> str:
    """What the echoing worker answers."""
    return (await worker.ask({"text": text, **more}, 60))["echo"]


def in_time(work: Any) -> Any:
    """Run a coroutine; a hang is a failure."""
    return asyncio.run(asyncio.wait_for(work, 120))


def test_a_listener_that_fails_leaves_the_answer_to_nobody() -> None:
    async def run() -> None:
        worker = echoing()

        def fail(news: dict[str, Any]) -> None:
            raise KeyError(news["of"])

        with pytest.raises(KeyError):
            await worker.ask({"text": "mine"}, 60, fail)
        assert await echo(worker, "yours") == "yours"
        assert worker.starts == 2
        await worker.stop()

    in_time(run())


def test_a_job_that_is_cancelled_or_takes_too_long_leaves_the_answer_to_nobody() -> None:
    async def run() -> None:
        worker = echoing()
        heard = asyncio.Event()
        asking = asyncio.create_task(worker.ask({"text": "a", "endless": True}, 60, lambda _: heard.set()))
        await heard.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await echo(worker, "b") == "b"
        with pytest.raises(WorkerError, match=r"longer than 0\.01 seconds"):
            await worker.ask({"text": "c", "endless": True}, 0.01)
        assert await echo(worker, "d") == "d"
        await worker.stop()

    in_time(run())


def test_an_answer_that_is_too_long_to_read_is_not_read_as_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gracile.serve.process._LONGEST_LINE", 1000)

    async def run() -> None:
        worker = echoing()
        with pytest.raises(WorkerError, match="makes no sense"):
            await echo(worker, "long", times=1000)
        assert await echo(worker, "short") == "short"
        await worker.stop()

    in_time(run())


def test_a_worker_that_answers_twice_is_ended_and_its_second_answer_is_nobodys() -> None:
    async def run() -> None:
        worker = saying()
        answers = [await worker.ask({"say": [{"answer": {"of": 1}}, {"answer": {"of": 1}}]}, 60)]
        answers += [await worker.ask({"say": [{"answer": {"of": number}}]}, 60) for number in (2, 3)]
        assert [answer["of"] for answer in answers] == [1, 2, 3]
        assert worker.starts == 2
        await worker.stop()

    in_time(run())


@pytest.mark.parametrize("garbage", ["no JSON", "null", "[1]", {"hello": 1}], ids=["words", "null", "list", "unknown"])
def test_a_worker_that_says_what_makes_no_sense_is_ended(garbage: Any) -> None:
    async def run() -> None:
        worker = saying()
        with pytest.raises(WorkerError, match="makes no sense"):
            await worker.ask({"say": [garbage, {"answer": {"of": 1}}]}, 60)
        assert not worker.ready
        assert (await worker.ask({"say": [{"answer": {"of": 2}}]}, 60))["of"] == 2
        await worker.stop()

    in_time(run())


def test_a_refusal_is_no_fault() -> None:
    async def run() -> None:
        worker = saying()
        with pytest.raises(WorkerError, match="too dark"):
            await worker.ask({"say": [{"error": "It is too dark."}]}, 60)
        assert worker.ready
        assert worker.starts == 1
        await worker.stop()

    in_time(run())


def test_a_worker_whose_input_is_closed_is_started_anew() -> None:
    async def run() -> None:
        worker = echoing()
        await worker.start()
        assert worker._process is not None
        worker._process.kill()
        await worker._process.wait()
        assert await echo(worker, "after") == "after"
        await worker.stop()

    in_time(run())


def test_the_process_that_reads_strangers_files_does_not_know_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRACILE_TOKEN", "secret")

    async def run() -> None:
        worker = echoing()
        assert (await worker.ask({"text": ""}, 60))["token"] == ""
        await worker.stop()

    in_time(run())


def test_every_line_of_a_worker_bears_the_id_of_its_request() -> None:
    requests = "".join(json.dumps({"id": id, "request": {"text": f"t{id}"}}) + "\n" for id in (7, 9))
    command = [sys.executable, "-m", "gracile.serve.worker", "tests.serve.test_process:EchoEngine"]
    said = subprocess.run(command, input=requests, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [json.loads(line).get("id") for line in said] == [None, 7, 7, 9, 9]


def test_where_the_system_knows_no_limits_a_worker_works_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "resource", None)
    worker._limit_memory(1, whole=True)
    bytearray(64 * 1024 * 1024)
