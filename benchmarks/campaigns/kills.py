"""Runs of predict and train that are killed (SIGKILL) at random moments, and given again.

    python benchmarks/campaigns/kills.py
    python benchmarks/campaigns/kills.py --predict 10 --train 3
    python benchmarks/campaigns/kills.py --predict 3 --train 2 --by writes

Each run is a process of its own, forked from one that has loaded everything, and writes into a folder of its own. It is
killed after a share of the time that an unkilled run takes, drawn with the seed; with ``--by writes`` as it is about to
bring one of its files to the disk, so that the moments are the same on every machine. Some are killed again. Then the
same command is given once more (training: with ``resume`` where a run was recorded) and left to its end.

Compared with an unkilled run: of predict the masks byte for byte, the records without their times, and both tables; of
train the bundle's weights byte for byte and the metrics. Nothing may be left of the killed runs: no part of a file, no
journal. The exit code is 1 when anything differs or is left.
"""

import argparse
import csv
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from photographs import write_photographs
from PIL import Image

AGAIN = 0.3
"""Share of the killed runs that are killed once more."""

TINY = [
    "prepare.diameter=48", "stages.vessels.network.options.widths=[4,4,4]", "stages.vessels.sampler.patch=[32,32]",
    "stages.vessels.sampler.per_case=2", "train.batch_size=2", "train.validation=0.5", "train.epochs=4",
    "train.validate_every=1", "train.average_weights=0.8", "trainer.precision=32-true", "trainer.threads=1",
    "trainer.graphs=false",
    "trainer.workers=0", "measure=[]",
]  # fmt: skip


def main() -> None:
    arguments = parse()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    import gracile

    torch.set_num_threads(1)
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures, photographs = write_pictures(folder / "pictures"), write_photographs(folder / "photographs")
        model = gracile.load("nerve-ultrasound", device="cpu") if arguments.predict else None

        def predict(out: Path) -> None:
            gracile.predict(model, str(pictures), out)

        def train(out: Path) -> None:
            resume = (out / "recipe.yaml").is_file()
            gracile.train("retina-av", photographs, out, settings=() if resume else TINY, resume=resume)

        wrong = campaign("predict", predict, answers, arguments.predict, folder, draw, arguments.by == "writes")
        wrong += campaign("train", train, lessons, arguments.train, folder, draw, arguments.by == "writes")
    sys.exit(1 if wrong else 0)


def campaign(
    name: str,
    run: Callable[[Path], None],
    outcome: Callable[[Path], Any],
    kills: int,
    folder: Path,
    draw: random.Random,
    by_writes: bool,
) -> int:
    """Kill runs until there were so many kills; gives the number of those that did not end as an unkilled run."""
    if not kills:
        return 0
    whole = folder / f"{name}-whole"
    begun = time.monotonic()
    writes = counted(run, whole)
    seconds = time.monotonic() - begun
    wanted = outcome(whole)
    done = wrong = number = 0
    while done < kills:
        out = folder / f"{name}-{number}"
        number += 1
        again = True
        while again and done < kills:
            moment = draw.random()
            killed = killed_at(run, out, None if by_writes else moment * seconds, int(moment * writes))
            done += killed
            again = killed and draw.random() < AGAIN
        attempt(run, out)
        found, left = outcome(out), leftovers(out)
        if found != wanted or left:
            wrong += 1
            print(
                f"{name}, run {number}: {'other' if found != wanted else 'the same'} outcome; left: {left or 'nothing'}"
            )
    print(f"{name}: {done} kills of {number} runs, {number - wrong} ended as an unkilled run and left nothing")
    return wrong


def counted(run: Callable[[Path], None], out: Path) -> int:
    """Run to the end in a process of its own; gives how often it brought a file to the disk."""
    ours, theirs = os.pipe()
    process = os.fork()
    if not process:
        count = [0]
        on_write(lambda: count.__setitem__(0, count[0] + 1))
        _quietly(run, out, lambda: os.write(theirs, str(count[0]).encode()))
    os.close(theirs)
    with os.fdopen(ours) as channel:
        told = channel.read()
    _require_end(process)
    return int(told)


def attempt(run: Callable[[Path], None], out: Path) -> None:
    """Run to the end in a process of its own."""
    process = os.fork()
    if not process:
        _quietly(run, out)
    _require_end(process)


def killed_at(run: Callable[[Path], None], out: Path, seconds: float | None, write: int) -> bool:
    """Run in a process of its own until it is killed; False where it ended before."""
    process = os.fork()
    if not process:
        left = [write]

        def end() -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        if seconds is None:
            on_write(end)
        _quietly(run, out)
    timer = threading.Timer(seconds, os.kill, (process, signal.SIGKILL)) if seconds is not None else None
    if timer:
        timer.start()
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)  # not yet gone, so that its number is no other's
    if timer:
        timer.cancel()
        timer.join()
    _, status = os.waitpid(process, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"A run ended with {os.WEXITSTATUS(status)}.")
    return os.WIFSIGNALED(status)


def on_write(tell: Callable[[], None]) -> None:
    """Have something done before each time that a file is brought to the disk."""
    whole = os.fsync

    def told(descriptor: Any) -> None:
        tell()
        whole(descriptor)

    os.fsync = told


def _quietly(run: Callable[[Path], None], out: Path, last: Callable[[], object] = lambda: None) -> None:
    """Run in this process, a forked one, without a word; never returns."""
    error = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        run(out)
        last()
        os._exit(0)
    except BaseException:
        import traceback

        os.write(error, traceback.format_exc().encode())
        os._exit(3)


def _require_end(process: int) -> None:
    _, status = os.waitpid(process, 0)
    if status:
        raise SystemExit(f"A run that nobody killed ended with status {status}.")


def answers(out: Path) -> Any:
    """What a run of predict found, without times."""
    records = json.loads((out / "predictions.json").read_text())["inputs"]
    plain = [{k: v for k, v in record.items() if k not in ("seconds", "finished")} for record in records]
    tables = [(out / name).read_text() for name in ("measurements.csv", "cases.csv")]
    shown = sorted(path.name for path in (out / "report").rglob("*") if path.is_file())
    return plain, tables, {path.name: path.read_bytes() for path in sorted(out.glob("*.png"))}, shown


def lessons(out: Path) -> Any:
    """What a training learned: its weights' bytes, and its metrics by epoch without speeds and times."""
    weights = {path.name: path.read_bytes() for path in sorted((out / "bundle").glob("*.safetensors"))}
    with (out / "vessels" / "logs" / "metrics.csv").open(newline="") as file:
        rows = [
            (row["epoch"], row.get("validation_dice")) for row in csv.DictReader(file) if row.get("validation_dice")
        ]
    return weights, rows


def leftovers(out: Path) -> list[str]:
    """Files that only a killed run can have left."""
    patterns = (".part-*", "*.jsonl", "*.part")
    return sorted(str(path.relative_to(out)) for pattern in patterns for path in out.rglob(pattern))


def write_pictures(folder: Path) -> Path:
    """Six small pictures of noise."""
    folder.mkdir(parents=True)
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (60, 70)).astype(np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predict", type=int, default=100, help="kills of predict")
    parser.add_argument("--train", type=int, default=30, help="kills of train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--by", choices=("time", "writes"), default="time", help="what the moments are counted in")
    return parser.parse_args()


if __name__ == "__main__":
    main()
