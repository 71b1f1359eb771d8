"""Frames per second of videos, from decoding to encoding, and each step's share.

    python benchmarks/video.py --recipe nerve-video nerve-video-published --size 512 1080 --json video.json
    python benchmarks/video.py --model runs/mine/bundle --clip clip.mp4

Without ``--model`` the networks are untrained and the gate is always open, the slowest case: speed does not depend on
weights, but for the painting, which costs more the more is found. Without ``--clip`` a drawn clip is used: a textured
picture that moves. Nothing else should run meanwhile. Where something does, the processor time of a frame still tells:
two cores manage at most two seconds of it a second. Steps run side by side, so that their times add up to more than
the whole.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.devices import has_fast_bf16
from gracile.inference import VideoOptions
from gracile.inference.video import predict_video
from gracile.io.video_writing import write_video
from gracile.learning.graphs import write_graphs
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe
from gracile.runners import Computing

RECIPES = ("nerve-video", "nerve-video-published")
"""The light recipe, and the published pair of DenseNet201 and DoubleU-Net."""


def main() -> None:
    arguments = parse()
    shown = {"smooth": arguments.smooth, "contour": arguments.contour, "format": arguments.format}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = {"clip": arguments.clip} if arguments.clip else {}
        if not clips:
            clips = {f"{side} x {side}": draw_clip(folder / f"{side}.mp4", side, arguments.frames)
                     for side in arguments.size}  # fmt: skip
        for model, ways in pipelines(arguments).items():
            for label, clip in clips.items():
                tried = [
                    {"threads": threads, **timed(pipeline, clip, folder, VideoOptions(**shown), arguments.rounds)}
                    for threads, pipeline in ways.items()
                ]
                best = max(tried, key=lambda row: row["frames_per_second"])
                rows.append({"model": model, "clip": label, **best})
                print_row(rows[-1])
    if arguments.json_file:
        machine = {"cores": os.cpu_count(), "bf16": has_fast_bf16(torch.device("cpu"))}
        arguments.json_file.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", nargs="+", default=list(RECIPES))
    parser.add_argument("--model", nargs="*", default=[], help="bundles to time instead of recipes")
    parser.add_argument("--size", nargs="+", type=int, default=[512, 1080])
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="the fastest counts")
    parser.add_argument("--engine", nargs="+", default=["auto", "torch"])
    parser.add_argument("--precision", default="auto", help="auto is float32 for untrained recipes")
    parser.add_argument("--smooth", type=float, default=0.0)
    parser.add_argument("--contour", action="store_true")
    parser.add_argument("--format", choices=("mp4", "avi"), default="mp4")
    parser.add_argument("--json", type=Path, dest="json_file")
    return parser.parse_args()


def pipelines(arguments: argparse.Namespace) -> dict[str, dict[int, Pipeline]]:
    """Of each model or recipe by each engine: its pipeline for each number of threads."""
    found = {}
    for name in [*arguments.model, *([] if arguments.model else arguments.recipe)]:
        bundle = read_bundle(name) if arguments.model else untrained(name)
        for engine in arguments.engine:
            found[f"{Path(name).name}, {engine}"] = {
                threads: Pipeline.from_bundle(bundle, Computing(engine, arguments.precision, threads))
                for threads in arguments.threads
            }
    return found


def untrained(name: str) -> Bundle:
    """A recipe's bundle with first weights, graphs and a gate that is always open: the slowest case."""
    torch.manual_seed(0)
    recipe = read_recipe(name)
    learners = [build_learner(spec, recipe).eval() for spec in recipe.stages]
    for learner in learners:
        if hasattr(learner, "threshold"):
            learner.threshold.fill_(0.0)
        if hasattr(learner, "memory"):
            learner.memory.fill_(1.0)
            learner.memory_threshold.fill_(0.0)
    folder = Path(tempfile.mkdtemp(prefix="video-"))
    weights = {learner.name: learner.bundle_state() for learner in learners}
    write_bundle(Bundle(recipe=recipe, weights=weights, card={}), folder)
    write_graphs(learners, folder)
    return read_bundle(folder)


def draw_clip(path: Path, side: int, frames: int) -> Path:
    """A picture of random spots that moves by two pixels a frame, at 25 frames a second."""
    spots = np.random.default_rng(0).integers(0, 256, (side // 16, side // 16, 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(spots).resize((side, side), Image.Resampling.BICUBIC))
    with write_video(path, (side, side), Fraction(25), Fraction(1, 25)) as writer:
        for index in range(frames):
            writer.write(np.roll(picture, 2 * index, axis=1), index)
    return path


def timed(pipeline: Pipeline, clip: Path, out: Path, options: VideoOptions, rounds: int) -> dict[str, Any]:
    """The median round by frames per second, after one that does not count."""
    runs = []
    for _ in range(rounds + 1):
        begun, processor = time.perf_counter(), time.process_time()
        record = predict_video(pipeline, clip, "timed", out, options)
        wall, processor = time.perf_counter() - begun, time.process_time() - processor
        frames = next(m["value"] for m in record["measurements"] if m["name"] == "frames")
        steps = {step: seconds / frames * 1000 for step, seconds in record["seconds"].items() if step != "whole"}
        runs.append({
            "frames_per_second": frames / wall,
            "processor_ms_per_frame": processor / frames * 1000,
            "ms_per_frame": steps,
            "share": {step: value / sum(steps.values()) for step, value in steps.items()},
        })  # fmt: skip
    middle = statistics.median_low(run["frames_per_second"] for run in runs[1:])
    return next(run for run in runs[1:] if run["frames_per_second"] == middle)


def print_row(row: dict[str, Any]) -> None:
    print(f"{row['model']}, {row['clip']}: {row['frames_per_second']:.1f} frames/s, "
          f"{row['processor_ms_per_frame']:.1f} ms of processor time a frame, {row['threads']} threads")  # fmt: skip
    for step, value in row["ms_per_frame"].items():
        print(f"    {step:10} {value:8.2f} ms  {row['share'][step]:6.1%}")


if __name__ == "__main__":
    main()
