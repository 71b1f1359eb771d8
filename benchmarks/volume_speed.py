"""A volume from reading to writing: behind the locator, and the whole volume without cropping, in one run.

    python benchmarks/volume_speed.py DATA/spinal-cord/errsm-t2/errsm_23/t2.nii.gz --model models/spinal-cord

Prints seconds and peak memory of each, and their ratio: what cropping buys. Both use the same weights at the same
spacing; each runs in a process of its own whose imports and loading of the model are counted apart. The thread count
is PyTorch's own unless ``--threads`` says otherwise.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = ("cropped", "whole")


def main() -> None:
    arguments = parse()
    if arguments.way:
        print(json.dumps(timed(arguments)))
        return
    found: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        rounds = arguments.rounds if way == "cropped" else 1
        command = [sys.executable, __file__, str(arguments.volume), "--model", str(arguments.model), "--way", way]
        command += ["--threads", str(arguments.threads), "--rounds", str(rounds)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        found[way] = row = json.loads(lines[-1])
        print(
            f"{way}: {row['seconds']:.2f} s ({row['first']:.2f} s the first time, {row['load']:.1f} s to import and "
            f"load), peak {row['peak_gib']:.2f} GiB; {row['steps']}"
        )
    print(f"what cropping buys: {found['whole']['seconds'] / found['cropped']['seconds']:.1f} times the speed")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="a bundle of recipe spinal-cord")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


def timed(arguments: argparse.Namespace) -> dict[str, Any]:
    """The median round from the file to the written mask, after a first one that is told apart."""
    begun = time.perf_counter()
    import torch

    import gracile
    from gracile.inference import Options

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model = gracile.load(arguments.model, settings=[] if arguments.way == "cropped" else ["stages.cord.along=''"])
    if arguments.way == "whole":
        model.pipeline.stages = model.pipeline.stages[1:]
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": sorted(seconds[1:])[(len(seconds) - 1) // 2], "first": seconds[0], "load": loaded, "peak_gib": peak,
        "steps": record["seconds"],
    }  # fmt: skip


if __name__ == "__main__":
    main()
