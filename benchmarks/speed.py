"""Time the networks of the shipped models by each engine, and one whole prediction, in one run.

    python benchmarks/speed.py --json speed.json
    python benchmarks/speed.py --model retina-av --picture PICTURE

Each stage's network answers an input of the size that it has in use (`SIZES`). Engines and number formats take turns
for several rounds; those that are not installed, or that the processor is not made for, are left out. Ratios are those
of the medians to PyTorch in the numbers that it would take, bfloat16 where the processor computes in it. With
``--picture`` a whole prediction with the loaded model is timed too (read, prepare, stages, restore). Nothing else
should run meanwhile.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import gracile
from gracile.bundle import read_bundle
from gracile.errors import GracileError
from gracile.io import read_case_file
from gracile.names import MODELS
from gracile.runners import Computing, Runner, open_runner
from gracile.runners.processor import computes_bfloat16

SIZES: dict[tuple[str, str], tuple[int, ...]] = {
    ("retina-av", "vessels"): (1, 3, 608, 608),
    ("nerve-ultrasound", "structures"): (1, 1, 192, 192),
    ("surgical-tool", "presence"): (1, 3, 224, 224),
    ("surgical-tool", "structures"): (1, 3, 256, 256),
    ("spinal-cord", "centerline"): (1, 1, 96, 160, 52),
    ("spinal-cord", "cord"): (2, 1, 64, 64, 48),
    ("skull-landmarks", "locate"): (1, 1, 64, 96, 64),
    ("skull-landmarks", "refine"): (16, 1, 32, 32, 32),
}
"""Of each stage's input; a gate's and a refining stage's sides are those of the recipe."""

WAYS = [("torch", "float32"), ("torch", "bfloat16"), ("openvino", "float32"), ("openvino", "bfloat16"),
        ("onnxruntime", "float32")]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=list(MODELS))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.model:
        bundle = read_bundle(name)
        for spec in bundle.recipe.stages:
            shape = list(SIZES[name, spec.name])
            if hasattr(spec, "size") and not getattr(spec, "along", ""):
                sides = spec.size if isinstance(spec.size, tuple) else (spec.size,) * 3
                shape[2:] = sides
            inputs: list[np.ndarray] = [np.random.default_rng(0).normal(size=shape).astype(np.float32)]
            if spec.kind == "landmark-refine":
                inputs.append(np.arange(shape[0]))
            steps = {way: partial(run, *inputs) for way, run in opened(bundle, spec.name, arguments.threads).items()}
            seconds = timed(steps, arguments.rounds)
            rows.append(row_of(name, spec.name, shape, seconds))
            print(" ".join(f"{key} {value}" for key, value in rows[-1].items()))
    figures: dict[str, Any] = {"threads": arguments.threads, "bf16": computes_bfloat16(), "networks": rows}
    if arguments.picture:
        models = {engine: gracile.load(arguments.model[0], engine=engine, threads=arguments.threads)
                  for engine in ("auto", "torch")}  # fmt: skip
        steps = {engine: lambda model=model: model.pipeline(read_case_file(arguments.picture, "picture"))
                 for engine, model in models.items()}  # fmt: skip
        whole = {engine: statistics.median(values) for engine, values in timed(steps, arguments.rounds).items()}
        figures["prediction"] = whole
        print(
            f"prediction {whole['auto']:.3f} s, by torch {whole['torch']:.3f} s: {whole['torch'] / whole['auto']:.2f}"
        )
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def opened(bundle: Any, stage: str, threads: int) -> dict[str, Runner]:
    """The runners that can be had."""
    runners = {}
    for engine, precision in WAYS:
        if precision == "bfloat16" and not computes_bfloat16():
            continue
        try:
            runners[f"{engine} {precision}"] = open_runner(bundle, stage, Computing(engine, precision, threads, "cpu"))
        except GracileError as error:
            print(f"{stage}: {engine} in {precision} is left out: {error}")
    return runners


def timed(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in each round, after two rounds that don't count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def row_of(model: str, stage: str, shape: list[int], seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians in ms, and how many times as fast as PyTorch each is."""
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    before = medians.get("torch bfloat16", medians["torch float32"])
    row: dict[str, Any] = {"model": model, "stage": stage, "input": "x".join(map(str, shape))}
    row |= {f"{way} ms": round(1000 * value, 2) for way, value in medians.items()}
    return row | {f"{way} ratio": round(before / value, 2) for way, value in medians.items() if "torch" not in way}


if __name__ == "__main__":
    main()
