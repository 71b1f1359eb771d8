"""A batch loop as people write it: 500 calls of ``predict``, one input each, by two processes at once, three killed.

    python benchmarks/ordinary_use.py
    python benchmarks/ordinary_use.py --calls 24 --kills 2 --only pictures

In turn a picture, a volume and an input that fails (a picture or volume that was cut off); each tenth picture is a
clip. A folder holds the records of one model, so that pictures, clips and what fails of them lie in one run folder,
volumes and what fails of them in another. Half of the inputs are called the same, ``frame`` or ``scan``, each in a
folder of its own, and every tenth is given to both processes. Each hundredth call is a command of its own, the others
go through a loaded model. At random moments, drawn with a seed, a process is killed (SIGKILL) in the midst of a call;
it begins again with that call, as whoever runs such a loop does.

Counted: inputs that were given, and cases in ``predictions.json``, both tables and the report, and how many stand there
twice. The exit code is 1 when one is missing or stands twice.
"""

import argparse
import csv
import html
import json
import multiprocessing
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

DEMO = Path(__file__).parents[1] / "demo"
MODELS = {"pictures": "nerve-ultrasound", "volumes": "spinal-cord"}
PROCESSES = 2
SHARED = 10
"""Every so manieth input is given to all processes, and every so manieth picture is a clip."""

BY_COMMAND = 100
"""Every so manieth call is a command."""


@dataclass(frozen=True)
class Call:
    """One call: what is given, and the run folder."""

    number: int
    given: str
    run: str


@dataclass
class Loop:
    """One process's part of the calls, and when it is killed."""

    calls: list[Call]
    kills: dict[int, float] = field(default_factory=dict)
    killed: int = 0


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.out or scratch)
        started = time.monotonic()
        calls = write_inputs(folder / "inputs", arguments.calls, arguments.only, arguments.seed)
        loops = shared_out(calls, arguments.kills, random.Random(arguments.seed))
        run(loops, folder)
        made = sum(len(loop.calls) for loop in loops)
        killed = sum(loop.killed for loop in loops)
        print(f"{made} calls by {PROCESSES} processes, {killed} of them killed and made again, seed {arguments.seed}")
        counts = {name: count(folder / name, [c for c in calls if c.run == name]) for name in arguments.only}
        for name, found in counts.items():
            print(f"{name}: {', '.join(f'{what} {number}' for what, number in found.items())}")
        cases = sum(found["in"] for found in counts.values())
        twice = sum(found["twice"] for found in counts.values())
        least = sum(min(n for what, n in found.items() if what not in ("in", "twice")) for found in counts.values())
        print(f"cases in {cases}, cases out {least}, twice {twice} ({time.monotonic() - started:.0f} s)")
    sys.exit(0 if least == cases and not twice else 1)


def write_inputs(folder: Path, number: int, kinds: list[str], seed: int) -> list[Call]:
    """Inputs of their own content each, as the calls that give them in turn."""
    draw = np.random.default_rng(seed)
    turns = [*kinds, "failing"]
    calls = []
    for index in range(number):
        turn = turns[index % len(turns)]
        run = kinds[index // len(turns) % len(kinds)] if turn == "failing" else turn
        name = ("frame" if run == "pictures" else "scan") if index // len(turns) % 2 else f"{turn}-{index}"
        place = folder / f"subject-{index}" / name
        place.parent.mkdir(parents=True)
        clip = run == "pictures" and turn != "failing" and index // len(turns) % SHARED == SHARED - 1
        path = write_volume(place, draw) if run == "volumes" else write_picture(place, draw)
        if clip:
            path = write_clip(place, draw)
        elif turn == "failing":
            path.write_bytes(path.read_bytes()[:400])
        calls.append(Call(index, f"frames:{path}" if clip else str(path), run))
    return calls


def write_picture(place: Path, draw: np.random.Generator) -> Path:
    """A demo picture of ultrasound with a little noise."""
    pictures = sorted((DEMO / "ultrasound").glob("*.png"))
    with Image.open(pictures[int(draw.integers(len(pictures)))]) as picture:
        values = np.asarray(picture.convert("L"), dtype=float)
    path = place.with_name(f"{place.name}.png")
    Image.fromarray((values + draw.normal(0, 2, values.shape)).clip(0, 255).astype(np.uint8)).save(path)
    return path


def write_clip(place: Path, draw: np.random.Generator) -> Path:
    """A folder of three frames."""
    place.mkdir()
    for frame in range(3):
        write_picture(place / f"{frame}", draw)
    place.with_name(f"{place.name}.png").unlink()
    return place


def write_volume(place: Path, draw: np.random.Generator) -> Path:
    """The middle of the demo volume of the spinal cord with a little noise."""
    image = nibabel.load(DEMO / "spinal-cord" / "t2.nii.gz")
    middle = tuple(slice(size // 4, size - size // 4) for size in image.shape)
    part = image.slicer[middle]
    values = np.asarray(part.dataobj, dtype=np.float32)
    path = place.with_name(f"{place.name}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(values + draw.normal(0, 1, values.shape).astype(np.float32), part.affine), path)
    return path


def shared_out(calls: list[Call], kills: int, draw: random.Random) -> list[Loop]:
    """The calls of each process, some given to all; and of some the share of their time after which it is killed."""
    loops = [Loop([]) for _ in range(PROCESSES)]
    for call in calls:
        for number, loop in enumerate(loops):
            if call.number % PROCESSES == number or call.number % SHARED == 0:
                loop.calls.append(call)
    for number in range(kills):
        loop = loops[number % PROCESSES]
        loop.kills[draw.choice([call.number for call in loop.calls if call.number not in loop.kills])] = draw.random()
    return loops


def run(loops: list[Loop], folder: Path) -> None:
    """Run all loops at once to their ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gracile.api"])
    threads = [threading.Thread(target=_watch, args=(context, loop, folder)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _watch(context: Any, loop: Loop, folder: Path) -> None:
    """Run one loop, kill its process where that is due, and begin again with the call that did not end."""
    left = list(loop.calls)
    seconds = 1.0
    while left:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(theirs, left, str(folder)))
        process.start()
        theirs.close()
        begun = time.monotonic()
        for event, number in _events(ours):
            if event == "done":
                left = [call for call in left if call.number != number]
                seconds = time.monotonic() - begun
            begun = time.monotonic()
            if event == "begin" and number in loop.kills:
                time.sleep(loop.kills.pop(number) * seconds)
                process.kill()
                loop.killed += 1
        process.join()
        if process.exitcode not in (0, -signal.SIGKILL):
            raise SystemExit(f"A call ended with {process.exitcode}.")


def _events(connection: Connection) -> Iterator[tuple[str, int]]:
    while True:
        try:
            yield connection.recv()
        except EOFError:
            return


def work(connection: Connection, calls: list[Call], folder: str) -> None:
    """What one process does: call after call, telling when each begins and ends."""
    import torch

    import gracile

    torch.set_num_threads(1)
    models = {name: gracile.load(MODELS[name], device="cpu") for name in sorted({call.run for call in calls})}
    for call in calls:
        connection.send(("begin", call.number))
        out = Path(folder) / call.run
        if call.number % BY_COMMAND == BY_COMMAND - 1:
            command = [sys.executable, "-m", "gracile", "predict", MODELS[call.run], call.given, "--out", str(out)]
            subprocess.run(command, check=False, capture_output=True)
        else:
            gracile.predict(models[call.run], call.given, out)
        connection.send(("done", call.number))


def count(out: Path, calls: list[Call]) -> dict[str, int]:
    """How many cases were given, and how many of them each file of a run folder holds."""
    records = json.loads((out / "predictions.json").read_text())["inputs"]
    given = {call.given.removeprefix("frames:") for call in calls}
    names = {record["input"]: record["name"] for record in records if record["input"] in given}
    known = set(names.values())
    measured = {record["name"] for record in records if record["measurements"]}
    rows = [row["case"] for row in read_csv(out / "cases.csv")]
    measures = {row["case"] for row in read_csv(out / "measurements.csv")}
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    shown = [html.unescape(name) for name in re.findall(r'data-case="([^"]*)"', page)]
    places = ([record["path"] for record in records], [record["name"] for record in records], rows, shown)
    return {
        "in": len(given),
        "predictions.json": len(known),
        "cases.csv": len(known & set(rows)),
        "measurements.csv": len(known & measures) + len(known - measured),
        "report": len(known & set(shown)),
        "twice": sum(number - 1 for place in places for number in Counter(place).values()),
    }


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500, help="inputs that are given")
    parser.add_argument("--kills", type=int, default=3, help="calls that are killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), help="run folders")
    parser.add_argument("--out", type=Path, default=None, help="folder to keep inputs and run folders in")
    return parser.parse_args()


if __name__ == "__main__":
    main()
