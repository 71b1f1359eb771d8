"""Any structure, no settings: a planned training against a recipe made by hand and against nnU-Net, same minutes.

    python benchmarks/any_structure.py DATA --out runs/any                        (10 minutes each)
    python benchmarks/any_structure.py DATA --out runs/any --minutes 60 --sets hippocampus
    python benchmarks/any_structure.py DATA --out runs/any --peer nnunet          (builds the peer's environment once)
    python benchmarks/any_structure.py DATA --out runs/any --few 5 10 20 --peer nnunet

DATA holds the data sets and ``splits.json``. Every way to train gets the same cases and is scored on the same others,
through files: masks on the native grid against the labels. A killed run goes on where it stopped when the same command
is given again; what has scores is not trained again. Nothing else should run meanwhile: minutes are the machine's.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from any_structure_peer import run_nnunet
from any_structure_sets import SETS, DataSet
from training_memory import anonymous_mib

from gracile.evaluation.metrics import dice


def main() -> None:
    arguments = parse()
    rows = []
    for name in arguments.sets:
        whole = SETS[name](arguments.data, arguments.out / "sets")
        for data in [whole.first(count) for count in arguments.few] or [whole]:
            for way in ways_of(data, arguments):
                rows.append(figures_of(data, way, arguments))
                print(shown(rows[-1]), flush=True)
    print("\n" + "\n".join(shown(row) for row in rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--ways", nargs="+", default=["auto", "by hand"], choices=["auto", "by hand"])
    parser.add_argument("--peer", choices=["nnunet"], help="another program, in an environment of its own")
    parser.add_argument("--few", nargs="*", type=int, default=[], help="train on the first so many cases alone")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def ways_of(data: DataSet, arguments: argparse.Namespace) -> list[str]:
    chosen = [way for way in arguments.ways if way == "auto" or (data.recipe and not arguments.few)]
    return chosen + ([arguments.peer] if arguments.peer else [])


def figures_of(data: DataSet, way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Scores of one way to train on one set; read back where they are there."""
    run = arguments.out / f"{data.name}-{way.replace(' ', '-')}-{arguments.minutes:g}min-seed{arguments.seed}"
    path = run / "scores.json"
    if path.exists():
        return json.loads(path.read_text())
    run.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    if way == "nnunet":
        masks, spent = run_nnunet(data, run, arguments.minutes, arguments.out / "nnunet-environment"), {}
    else:
        masks, spent = run_gracile(data, way, run, arguments)
    row = {"set": data.name, "way": way, "minutes": arguments.minutes, "seed": arguments.seed, "cases": len(data.train)}
    row |= {"wall_minutes": round((time.monotonic() - begun) / 60, 1), **spent, **scores_of(data, masks)}
    path.write_text(json.dumps(row, indent=1))
    return row


def run_gracile(
    data: DataSet, way: str, run: Path, arguments: argparse.Namespace
) -> tuple[dict[str, Path], dict[str, float]]:
    """Train and predict by the command line; gives masks by case, and minutes and memory of the training."""
    recipe = "auto" if way == "auto" else data.recipe
    command = ["train", recipe, data.table("train"), "--out", run / "run", "--minutes", arguments.minutes]
    command += ["--resume"] if (run / "run" / "recipe.yaml").exists() else ["--set", f"train.seed={arguments.seed}"]
    begun, peak = time.monotonic(), watched(command)
    spent = {"training_minutes": round((time.monotonic() - begun) / 60, 2), "training_gib": round(peak / 1024, 2)}
    inputs = [data.table("test")] if data.joined else [case.image for case in data.test]
    watched(["predict", run / "run", *inputs, "--out", run / "predictions", "--no-report"])
    records = json.loads((run / "predictions" / "predictions.json").read_text())["inputs"]
    of_input = {Path(record["input"]).resolve(): record for record in records}
    masks = {case.id: run / "predictions" / of_input[case.image.resolve()]["files"]["mask"] for case in data.test}
    return masks, spent


def watched(command: list[Any]) -> float:
    """Run a command of Gracile; gives the most anonymous memory in MiB that it held."""
    process = subprocess.Popen([sys.executable, "-m", "gracile", *map(str, command)])
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, anonymous_mib(process.pid))
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"gracile {command[0]} ended with {process.returncode}")
    return peak


def scores_of(data: DataSet, masks: dict[str, Path]) -> dict[str, Any]:
    """Dice of each class, mean and deviation over the test cases; where both are empty it is 1, a false alarm is 0."""
    table = []
    for case in data.test:
        truth, found = data.read_truth(case), data.read_mask(masks[case.id])
        table.append([dice(truth == value, found == index) for index, value in enumerate(data.values, start=1)])
    values = np.array(table)
    return {
        "dice": {name: round(float(v), 4) for name, v in zip(data.classes, values.mean(axis=0), strict=True)},
        "deviation": {name: round(float(v), 4) for name, v in zip(data.classes, values.std(axis=0), strict=True)},
        "mean": round(float(values.mean()), 4),
        "each": {case.id: [round(float(v), 4) for v in row] for case, row in zip(data.test, values, strict=True)},
    }


def shown(row: dict[str, Any]) -> str:
    each = ", ".join(f"{name} {value:.3f} ± {row['deviation'][name]:.3f}" for name, value in row["dice"].items())
    memory = f", {row['training_gib']:.1f} GiB" if "training_gib" in row else ""
    return (
        f"{row['set']:24} {row['way']:8} {row['minutes']:g} min ({row['wall_minutes']:.1f} in all{memory}), "
        f"{row['cases']} cases: mean {row['mean']:.4f}; {each}"
    )


if __name__ == "__main__":
    main()
