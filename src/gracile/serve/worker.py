"""A worker process: takes one request after another as lines of JSON, and answers with such.

A request is ``{"id", "request"}``; every line about it bears its id: ``{"id", "news"}`` any number of times, then
``{"id", "answer"}`` or ``{"id", "error"}``. It never prints: its standard output is the channel. It ends when its
standard input does, so that no worker outlives its server.
"""

import argparse
import importlib
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

from gracile.errors import DataError, GracileError
from gracile.io.kinds import KINDS

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

News = Callable[[dict[str, Any]], None]

ENGINES = {
    "checking": "gracile.serve.checking:CheckingEngine",
    "drawing": "gracile.serve.drawing:DrawingEngine",
    "predicting": "gracile.serve.predicting:PredictingEngine",
}
"""What a worker can do, by name; others are named as ``module:Class``."""

_WIDE = {"checking"}
_KEPT_NAMES = "|".join(re.escape(kind.suffix) for kind in sorted(KINDS, key=lambda kind: -len(kind.suffix)))
_SENTENCE_ENDS = re.compile(r"(?<=[.!?]) ")


class Engine(Protocol):
    """What a worker does with a request; made once, which is when models are loaded."""

    def __call__(self, request: dict[str, Any], news: News) -> dict[str, Any]:
        """Answer a request; ``news`` sends word of how far it is. GracileError is told to who asked."""
        ...


def main(arguments: list[str] | None = None) -> None:
    """Run a worker: ``python -m gracile.serve.worker ENGINE [--memory-mb N] [MODEL...]``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--memory-mb", type=int, default=0)
    options = parser.parse_args(arguments)
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    if options.memory_mb:
        _limit_memory(options.memory_mb, whole=options.engine in _WIDE)
    try:
        engine = _engine(options.engine, options.models)
    except GracileError as error:
        _send(channel, {"error": str(error)})
        return
    _send(channel, {"ready": True})
    for line in sys.stdin:
        _serve(engine, channel, **json.loads(line))


def _serve(engine: Engine, channel: TextIO, id: int, request: dict[str, Any]) -> None:
    def send(message: dict[str, Any]) -> None:
        _send(channel, {"id": id, **message})

    send(_answer(engine, request, lambda news: send({"news": news})))


def _answer(engine: Engine, request: dict[str, Any], news: News) -> dict[str, Any]:
    try:
        return {"answer": engine(request, news)}
    except GracileError as error:
        return {"error": without_paths(_told(str(error)), Path(request["source"]).parent)}
    except MemoryError:
        return {"error": str(DataError("It needs more memory than there is for one job.", "Make it smaller."))}
    except Exception:  # its text may quote what a file holds
        return {"error": "It cannot be used: reading or answering it met a fault of Gracile."}


def _told(refusal: str) -> str:
    """A refusal without the sentences that whoever sent the file cannot act on: options of a command line."""
    first, *others = _SENTENCE_ENDS.split(refusal)
    return " ".join([first, *(sentence for sentence in others if "--" not in sentence)])


def without_paths(text: str, folder: Path) -> str:
    """A message without the server's own paths and its names for uploads, which are nobody's business."""
    return re.sub(rf"{re.escape(str(folder))}[/\\][^\s:,]+|\binput({_KEPT_NAMES})(?!\w|\.\w|=)", "The file", text)


def _send(channel: TextIO, message: dict[str, Any]) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def _limit_memory(megabytes: int, whole: bool) -> None:
    """Limit the address space, or only the data: a GPU's driver claims far more addresses than memory.

    Where the system has no such limits, on Windows, or refuses them, as macOS may, it works without.
    """
    if resource is None:
        return
    kind = resource.RLIMIT_AS if whole else resource.RLIMIT_DATA
    with suppress(OSError, ValueError) if sys.platform == "darwin" else nullcontext():
        resource.setrlimit(kind, (megabytes * 1024 * 1024,) * 2)


def _engine(name: str, models: list[str]) -> Engine:
    module, _, kind = ENGINES.get(name, name).partition(":")
    engine: Engine = getattr(importlib.import_module(module), kind)(models)
    return engine


if __name__ == "__main__":
    main()
