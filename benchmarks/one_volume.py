"""One volume with one model in a process of its own: seconds from the file to the written answer, and peak memory.

    python benchmarks/one_volume.py VOLUME --model BUNDLE --threads 2

Prints JSON: the median of ``--rounds`` after a first one that is told apart, what importing and loading took before,
the process' largest memory, the seconds of each step in the last round, and how many landmarks were found. No report is
written. The other benchmarks of whole volumes run this.
"""

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def in_its_own_process(volume: Path, model: Path, threads: int, rounds: int, *options: str) -> dict[str, Any]:
    """The figures of a run of this script."""
    command = [sys.executable, __file__, str(volume), "--model", str(model), *options]
    command += ["--threads", str(threads), "--rounds", str(rounds)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return json.loads(lines[-1])


def main() -> None:
    print(json.dumps(timed(parse())))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="a bundle for volumes")
    parser.add_argument("--threads", type=int, default=0, help="0 takes all")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--from-stage", type=int, default=0, help="leave out the stages before this one")
    return parser.parse_args()


def timed(arguments: argparse.Namespace) -> dict[str, Any]:
    begun = time.perf_counter()
    import gracile
    from gracile.inference import Options

    model = gracile.load(
        arguments.model, settings=arguments.settings, engine=arguments.engine, threads=arguments.threads
    )
    model.pipeline.stages = model.pipeline.stages[arguments.from_stage :]
    loaded = time.perf_counter() - begun
    seconds = []
    with tempfile.TemporaryDirectory() as out:
        for _ in range(arguments.rounds + 1):
            begun = time.perf_counter()
            summary = gracile.predict(model, arguments.volume, out, options=Options(overwrite=True), report=False)
            seconds.append(time.perf_counter() - begun)
            if summary.failed:
                raise SystemExit(f"failed: {summary.failed}")
        record = json.loads(summary.predictions.read_text())["inputs"][0]
    return {
        "seconds": statistics.median(seconds[1:]), "first": seconds[0], "load": loaded, "peak_gib": peak_gib(),
        "steps": record["seconds"], "found": sum(part["point_mm"] is not None for part in record["landmarks"]),
        "landmarks": len(record["landmarks"]),
    }  # fmt: skip


def peak_gib() -> float:
    """The largest memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says counts the process that started this one
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
