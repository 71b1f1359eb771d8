"""Time the search for landmarks with windows, each way in turn, and a whole volume by heat maps, in one run.

    python benchmarks/landmarks.py --model models/skull-landmarks --json landmarks.json

13,824 windows of 81 x 81 around a point of a drawn volume, those of every voxel of a box of 24 x 24 x 24:

- one network call per window in eager PyTorch, as published;
- exact mode: batches through ``--engine``, both for the published network and for the one without padding;
- dense mode, for the one without padding: features shared between windows;
- both with a coarse search first, and over the whole volume without a point.

Points are those of the network without padding, taught for ``--teach`` epochs on other drawn volumes, so that there is
something to find; how fast a scan is does not depend on it. Modes take turns for several rounds, each with every one of
the ``--threads``; ratios are those of the medians, each side at its best thread count. Nothing else should run
meanwhile; on a busy machine ``--processor-time`` compares what one thread needs.

With ``--model``, a bundle of the recipe skull-landmarks, the whole volume that ships with Gracile (``--volume`` names
another) is predicted from the file to the written points of all landmarks, in a process of its own for each of the
``--threads``: the median of ``--rounds`` after a first one, and its peak memory, beside the bars they should keep.

For a quick look: ``--calls 50 --rounds 1 --teach 1``.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from one_volume import in_its_own_process

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.case import Case
from gracile.geometry import Grid
from gracile.learning.fit import fit_stage
from gracile.learning.graphs import write_graphs
from gracile.learning.learners import Learner, build_learner
from gracile.recipe import Recipe, TrainSpec, read_recipe
from gracile.runners import ENGINES, Computing
from gracile.stages import open_stage
from gracile.stages.landmark_windows import LandmarkWindowsStage, shown_range
from gracile.stages.scanning import VolumeWindows, search
from gracile.transforms import Prepared, prepare
from gracile.transforms.column import Box

SIZE, SIDE = 81, 24
SHAPE = (96, 128, 112)
NAMES = ("ball", "ring", "cross")
SKULL = Path(__file__).parents[1] / "demo" / "skull" / "C57BL_6NJ.nii.gz"
BARS = {"seconds": 3.0, "peak_gib": 3.0}
"""What a whole volume may take."""


def main() -> None:
    arguments = parse()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    if arguments.processor_time:
        arguments.threads = [1]
    torch.set_num_threads(max(arguments.threads))
    recipe = drawn_recipe("smicnet-unpadded", max(arguments.threads))
    learners = {"published": untaught(drawn_recipe("smicnet", 1)), "without padding": taught(recipe, arguments.teach)}
    case = prepare(drawn(1000), recipe)[0]
    volume = shown_range(case, recipe.stages[0]).apply(case.image[0])
    start = np.round(np.mean(list(case.points.values()), axis=0)).astype(int)
    low = np.clip(start - SIDE // 2, 0, np.array(SHAPE) - SIDE)
    box: Box = tuple(slice(int(n), int(n) + SIDE) for n in low)  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        ways = opened(learners, arguments, Path(folder))
        networks = {name: learner.network for name, learner in learners.items()}
        figures = timed(arguments, networks, ways, volume, box, clock)
        figures |= points({name: stages[max(arguments.threads)] for name, stages in ways.items()}, volume, box, case)
    if arguments.model is not None:
        figures["whole volume, heat maps"] = whole_volume(arguments)
    for name, value in figures.items():
        print(f"{name}: {value}")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(figures, indent=1))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}), help="thread counts to try"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=SIDE**3, help="single calls that are timed; fewer are scaled up")
    parser.add_argument("--teach", type=int, default=15, help="epochs of training before, of 16 steps")
    parser.add_argument(
        "--processor-time", action="store_true", help="time spent computing instead of passed; one thread"
    )
    parser.add_argument("--engine", choices=["auto", *ENGINES], default="auto", help="what computes the windows")
    parser.add_argument("--model", type=Path, help="a bundle of the recipe skull-landmarks")
    parser.add_argument("--volume", type=Path, default=SKULL, help="what it looks at")
    parser.add_argument("--json", type=Path, dest="json_file")
    return parser.parse_args()


def drawn_recipe(network: str, threads: int) -> Recipe:
    """For the drawn volumes."""
    return read_recipe("cochlea-landmarks-published", [
        f"landmarks=[{', '.join(f'{{name: {name}}}' for name in NAMES)}]",
        f"stages.windows.network.name={network}",
        "stages.windows.spacing_mm=[0, 0, 0]",
        "trainer.workers=0",
        "stages.windows.sampler={per_case: 64, rotation: [5, 5, 30], shift: 2, gap: 3, reach: 20}",
        f"trainer.threads={threads}",
    ])  # fmt: skip


def opened(
    learners: dict[str, Learner], arguments: argparse.Namespace, folder: Path
) -> dict[str, dict[int, LandmarkWindowsStage]]:
    """The stage of each way by the number of threads, from bundles that are written for it."""
    ways: dict[str, dict[int, LandmarkWindowsStage]] = {}
    for name, learner in learners.items():
        own = folder / name
        write_bundle(Bundle(recipe=learner.recipe, weights={learner.name: learner.bundle_state()}, card={}), own)
        write_graphs([learner], own)
        for mode in ("exact",) if learner.network.padded else ("exact", "dense"):
            bundle = read_bundle(own, [f"stages.windows.scan.mode={mode}"])
            ways["dense" if mode == "dense" else f"exact, {name}"] = {
                threads: open_stage(bundle, bundle.recipe.stages[0], Computing(arguments.engine, "float32", threads))
                for threads in arguments.threads
            }
    return ways


def whole_volume(arguments: argparse.Namespace) -> dict[str, Any]:
    """A volume from file to points by heat maps, at the best thread count; memory is the largest of all of them.

    The bars are kept only where all landmarks were found.
    """
    rows = {n: in_its_own_process(arguments.volume, arguments.model, n, arguments.rounds) for n in arguments.threads}
    best = min(rows, key=lambda n: rows[n]["seconds"])
    figures = {"seconds": rows[best]["seconds"], "peak_gib": max(row["peak_gib"] for row in rows.values())}
    return {
        "volume": arguments.volume.name,
        "landmarks": rows[best]["landmarks"],
        "found": rows[best]["found"],
        "best threads": best,
        **{name: round(value, 3) for name, value in figures.items()},
        **{f"{name}, at most": bar for name, bar in BARS.items()},
        # A volume without landmarks is quick: nothing is looked at closely.
        "kept": rows[best]["found"] == rows[best]["landmarks"] and all(figures[name] <= BARS[name] for name in BARS),
        "by threads": {n: {name: row[name] for name in ("seconds", "first", "load", "peak_gib", "steps")}
                       for n, row in rows.items()},
    }  # fmt: skip


def drawn(seed: int) -> Case:
    """A noisy volume of 0.3 mm with a ball, a ring and a cross within a few millimeters of each other."""
    random = np.random.default_rng(seed)
    middle = np.array(SHAPE) / 2 + random.uniform(-12, 12, 3)
    at = {name: middle + step + random.uniform(-3, 3, 3)
          for name, step in zip(NAMES, ((-7, -7, 0), (7, -6, 0), (0, 7, 0)), strict=True)}  # fmt: skip
    places = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1).astype(np.float32)
    image = random.normal(100, 15, SHAPE)
    image += 150 * (np.linalg.norm(places - at["ball"], axis=-1) < 3.5)
    around = np.linalg.norm((places - at["ring"])[..., :2], axis=-1)
    image += 150 * ((np.abs(around - 4) < 1.3) & (np.abs(places[..., 2] - at["ring"][2]) < 3.5))
    away = np.abs(places - at["cross"])
    image += 150 * ((away[..., :2].min(axis=-1) < 1.2) & (away.max(axis=-1) < 4.5))
    affine = np.diag([0.3, 0.3, 0.3, 1.0])
    points_mm = {name: point * 0.3 for name, point in at.items()}
    return Case(f"drawn{seed}", image[None].astype(np.float32), Grid(SHAPE, affine=affine), points=points_mm)


def untaught(recipe: Recipe) -> Learner:
    """A learner with random weights."""
    torch.manual_seed(0)
    return build_learner(recipe.stages[0], recipe).eval()


def taught(recipe: Recipe, epochs: int) -> Learner:
    """A learner trained for a moment on four drawn volumes."""
    torch.manual_seed(0)
    stage = build_learner(recipe.stages[0], recipe)
    train = TrainSpec(epochs=epochs, batch_size=16, learning_rate=0.003, average_weights=0.9, weight_decay=0)
    cases = [prepare(drawn(seed), recipe)[0] for seed in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        fit_stage(stage, cases, [], train, recipe.trainer, Path(folder))
    return stage.eval()


def timed(
    arguments: argparse.Namespace,
    networks: dict[str, Any],
    ways: dict[str, dict[int, LandmarkWindowsStage]],
    volume: np.ndarray,
    box: Box,
    clock: Callable[[], float],
) -> dict[str, Any]:
    """Seconds of each way for the same windows."""
    calls = min(arguments.calls, SIDE**3)
    half = SIZE // 2
    padded = np.pad(volume, [(half, half), (half, half), (0, 0)])
    windows = [torch.from_numpy(padded[x : x + SIZE, y : y + SIZE, z].copy())[None, None]
               for z in range(box[2].start, box[2].stop) for x in range(box[0].start, box[0].stop)
               for y in range(box[1].start, box[1].stop)][:calls]  # fmt: skip
    scale = SIDE**3 / calls
    steps = steps_of(ways, box)
    seconds: dict[str, dict[int, list[float]]] = {name: {n: [] for n in arguments.threads} for name in steps}
    for name in networks:
        seconds[f"one call per window, {name}"] = {n: [] for n in arguments.threads}
    for number in range(arguments.rounds + 1):
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            for name, (way, step) in steps.items():
                scan = VolumeWindows(ways[way][threads].windows, volume, [2])
                begun = clock()
                step(scan)
                if number:  # the first round warms up
                    seconds[name][threads].append(clock() - begun)
            if number in {1, (arguments.rounds + 1) // 2, arguments.rounds}:
                for name, network in networks.items():
                    passed = one_by_one(network, windows, clock) * scale
                    seconds[f"one call per window, {name}"][threads].append(passed)
    medians = {name: {n: statistics.median(v) for n, v in by_threads.items()} for name, by_threads in seconds.items()}
    best = {name: min(by_threads, key=lambda n, of=by_threads: of[n]) for name, by_threads in medians.items()}
    fast = {name: by_threads[best[name]] for name, by_threads in medians.items()}
    single = fast["one call per window, published"]
    return {
        "clock": "processor time" if arguments.processor_time else "time passed",
        "windows": SIDE**3,
        "windows of the whole volume": int(np.prod(SHAPE)),
        "engine": next(iter(ways["dense"].values())).run.computed.engine,
        "best threads": best,
        "seconds": {name: round(value, 3) for name, value in fast.items()},
        "seconds by threads": {name: {n: round(v, 3) for n, v in some.items()} for name, some in medians.items()},
        "exact, times as fast": round(single / fast["exact, published"], 1),
        "dense, times as fast as the published network": round(single / fast["dense"], 1),
        "dense, times as fast as its own network": round(
            fast["one call per window, without padding"] / fast["dense"], 1
        ),
        "dense, times as fast as exact": {
            where: round(fast[f"exact, without padding, {where}"] / fast[f"dense, {where}"], 2)
            for where in ("coarse first", "coarse first, whole volume")
        },
    }


def steps_of(
    ways: dict[str, dict[int, LandmarkWindowsStage]], box: Box
) -> dict[str, tuple[str, Callable[[VolumeWindows], object]]]:  # fmt: skip
    """What is timed: the way, and what is done with its windows."""
    whole: Box = (slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2]))
    steps: dict[str, tuple[str, Callable[[VolumeWindows], object]]] = {}
    for way in ways:
        steps[way] = way, lambda scan: scan.grid(box, 1)
        if way != "exact, published":  # nobody taught it what is warm
            steps[f"{way}, coarse first"] = way, lambda scan: search(scan, box, 4, 0.1)
            steps[f"{way}, coarse first, whole volume"] = way, lambda scan: search(scan, whole, 4, 0.1)
    return steps


def one_by_one(network: torch.nn.Module, windows: list[torch.Tensor], clock: Callable[[], float]) -> float:
    """Seconds of one call for each window."""
    with torch.inference_mode():
        for window in windows[:20]:
            network(window)
        begun = clock()
        for window in windows:
            network(window).softmax(dim=1)
        return clock() - begun


def points(stages: dict[str, LandmarkWindowsStage], volume: np.ndarray, box: Box, case: Prepared) -> dict[str, Any]:
    """How far the points of dense mode and of the pruned searches lie from those of exact mode, in voxels."""
    exact, dense = (VolumeWindows(stages[way].windows, volume, [2]) for way in ("exact, without padding", "dense"))
    scans = {"exact": search(exact, box, 1, 0.1), "dense": search(dense, box, 1, 0.1)}
    scans["dense, coarse first"] = search(dense, box, 4, 0.1)
    found = {name: stages["dense"].landmarks(scan, np.eye(4)) for name, scan in scans.items()}
    truth = [case.points[name] for name in NAMES]

    def apart(name: str) -> float | None:
        pairs = [(a.point_mm, b.point_mm) for a, b in zip(found["exact"], found[name], strict=True)]
        distances = [float(np.linalg.norm(a - b)) for a, b in pairs if a is not None and b is not None]
        same = all((a is None) == (b is None) for a, b in pairs)
        return round(max(distances), 5) if same and distances else None

    errors = [None if part.point_mm is None else round(float(np.linalg.norm(part.point_mm - true)), 2)
              for part, true in zip(found["exact"], truth, strict=True)]  # fmt: skip
    return {
        "largest difference of probabilities, dense and exact": float(
            np.abs(scans["exact"].probabilities - scans["dense"].probabilities).max()
        ),
        "voxels from exact mode's points": {name: apart(name) for name in scans if name != "exact"},
        "voxels from the drawn points": errors,
    }


if __name__ == "__main__":
    main()
