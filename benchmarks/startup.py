"""One picture from the shell: the whole process, from its start to mask, measures and report, by each engine.

    python benchmarks/startup.py DATA/retina-av/drive-av/test/images/01_test.tif --json startup.json

Ways take turns, each run a process of its own: what is chosen by itself, and PyTorch, which was the only way before.
Printed are the median and the best of ``--rounds`` after one that does not count, the largest memory, and the ratio of
the medians. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""With what is compiled once, as an installed package has it."""

WAYS = {"by itself": (), "PyTorch": ("--engine", "torch")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--model", default="retina-av")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    memory = dict.fromkeys(WAYS, 0.0)
    for number in range(arguments.rounds + 1):
        for way, options in WAYS.items():
            took, peak = run(arguments.picture, arguments.model, options)
            memory[way] = max(memory[way], peak)
            if number:
                seconds[way].append(took)
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    for way, values in seconds.items():
        print(f"{way:10} median {medians[way]:.2f} s, best {min(values):.2f} s, at most {memory[way]:.0f} MB")
    print(f"ratio {medians['PyTorch'] / medians['by itself']:.1f}")
    if arguments.json_file:
        figures = {way: {"seconds": seconds[way], "median": medians[way], "mb": memory[way]} for way in WAYS}
        arguments.json_file.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def run(picture: Path, model: str, options: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and the largest memory in MB of one prediction from the command line."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "gracile", "predict", model, str(picture), "--out", out, *options]
        took, peak = timed_process(command, ENVIRONMENT)
        if not (Path(out) / "report" / "index.html").is_file():
            raise SystemExit(f"failed: {' '.join(command)}")
        return took, peak


def timed_process(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and the largest memory in MB of a command, which may refuse some of its inputs."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"failed: {' '.join(command)}")
    return took, usage.ru_maxrss / 1e3 * 1.024


if __name__ == "__main__":
    main()
