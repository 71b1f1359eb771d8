"""Nerve and vessel in real ultrasound: five-fold cross-validation, and networks beside the default on one fold.

    python benchmarks/nerve_ultrasound.py DATA --out runs/usgra
    python benchmarks/nerve_ultrasound.py DATA --out runs/usgra-minutes --folds 0 --compare minutes
    python benchmarks/nerve_ultrasound.py DATA --out runs/usgra-epochs --folds 0 --compare epochs
    python benchmarks/nerve_ultrasound.py DATA --out runs/usgra-ship --ship models/nerve-ultrasound \\
        --scores runs/usgra/scores.json

DATA holds ``nerve-ultrasound/usgra-seg/{images,masks}`` and ``splits.json`` with its folds (alike images share one).
Each fold is trained on the others with a fixed schedule, nothing held back, and scored as it stands. A killed run goes
on where it stopped when the same command is given again. ``--development`` trains on folds 2 to 4 and scores fold 1:
choices were made on that alone.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import gracile
from gracile.bundle import read_bundle, write_bundle

STRUCTURES = {"nerve": 1, "vessel": 2}
SEGMENT = "stages.structures"
WIDTHS = {
    "light-unet": 32,
    "unet": 32,
    "attention-unet": 32,
    "r2u-net": 24,
    "double-unet": 16,
    "smp:Unet:resnet18": None,
}
"""Width of each network at equal minutes, half of it at equal epochs; the library's has its own."""


def main() -> None:
    arguments = parse()
    folds = json.loads((arguments.data / "splits.json").read_text())["nerve-ultrasound/usgra-seg"]["folds"]
    source = arguments.data / "nerve-ultrasound" / "usgra-seg"
    if arguments.ship:
        everything = [case for fold in folds for case in fold]
        bundle = train(source, everything, variants(arguments)["default"], arguments.out / "all")
        ship(bundle, arguments.ship, arguments.scores)
        return
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, settings in variants(arguments).items():
        for fold in [1] if arguments.development else arguments.folds:
            training = [2, 3, 4] if arguments.development else [i for i in range(len(folds)) if i != fold]
            run = arguments.out / name.replace(":", "-") / f"fold{fold}"
            bundle = train(source, [case for i in training for case in folds[i]], settings, run)
            scores = score(source, folds[fold], bundle, run / "predictions")
            epochs = read_bundle(bundle).card["validation"]["structures"]
            rows.setdefault(name, []).extend({"fold": fold, **row} for row in scores)
            print(
                f"{name}, fold {fold}: {shown(scores)}; {epochs['epochs']} epochs, {epochs['minutes']} min", flush=True
            )
    report(rows, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--minutes", type=float, default=18)
    parser.add_argument("--compare", choices=["minutes", "epochs"], help="other networks beside the default")
    parser.add_argument("--networks", nargs="+", default=["default", *list(WIDTHS)[1:]])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--ship", type=Path, help="train on all cases and write the bundle and its card to this folder")
    parser.add_argument("--scores", type=Path, help="with --ship: the cross-validation's scores.json, for the card")
    parser.add_argument("--development", action="store_true", help="train on folds 2 to 4, score fold 1")
    return parser.parse_args()


def variants(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Settings of each network that is trained, by name."""
    base = ["train.validation=0", f"train.minutes={arguments.minutes}", *arguments.settings]
    if not arguments.compare:
        return {"default": base}
    limit = ["train.minutes=10"] if arguments.compare == "minutes" else ["train.minutes=0", "train.epochs=6"]
    found = {}
    for name in arguments.networks:
        network = "light-unet" if name == "default" else name
        found[name] = [*base, *limit, f"{SEGMENT}.network={network_of(network, arguments.compare)}"]
    return found


def network_of(name: str, compare: str) -> str:
    width = WIDTHS[name]
    if width is None:
        return f"{{name: '{name}', options: {{}}}}"
    return f"{{name: '{name}', options: {{width: {width if compare == 'minutes' else width // 2}}}}}"


def train(source: Path, cases: list[str], settings: list[str], run: Path) -> Path:
    """Train on the cases, or go on with a run, or take its finished bundle."""
    if (run / "bundle" / "bundle.json").exists():
        return run / "bundle"
    resume = (run / "recipe.yaml").exists()
    start = time.monotonic()
    bundle = gracile.train(
        "nerve-ultrasound", source, run, settings=[] if resume else settings, cases=",".join(cases), resume=resume
    )
    print(f"{run}: trained in {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    return bundle


def score(source: Path, cases: list[str], bundle: Path, out: Path) -> list[dict[str, Any]]:
    """Dice of each structure in each case; a structure that is in neither mask counts 1 and is said."""
    images = [source / "images" / f"{case}.png" for case in cases]
    gracile.predict(bundle, images, out, report=False)
    rows = []
    for case in cases:
        found, true = (np.array(Image.open(folder / f"{case}.png")) for folder in (out, source / "masks"))
        row: dict[str, Any] = {"case": case}
        for name, index in STRUCTURES.items():
            a, b = found == index, true == index
            both = int(a.sum() + b.sum())
            row[name] = 2.0 * float((a & b).sum()) / both if both else 1.0
            row[f"{name}_there"] = bool(b.any())
        rows.append(row)
    return rows


def shown(rows: list[dict[str, Any]]) -> str:
    """Mean Dice where the structure is there, and over all cases."""
    parts = []
    for name in STRUCTURES:
        there = [row[name] for row in rows if row[f"{name}_there"]]
        parts.append(f"{name} {statistics.mean(there):.3f} ({statistics.mean(row[name] for row in rows):.3f} of all)")
    return ", ".join(parts)


def report(rows: dict[str, list[dict[str, Any]]], out: Path) -> None:
    """Print and write each network's mean, deviation over cases and bootstrap interval of the mean."""
    (out / "scores.json").write_text(json.dumps(rows, indent=1))
    random = np.random.default_rng(0)
    for name, found in rows.items():
        for structure in STRUCTURES:
            values = np.array([row[structure] for row in found if row[f"{structure}_there"]])
            draws = values[random.integers(0, len(values), (5000, len(values)))].mean(axis=1)
            low, high = np.percentile(draws, (2.5, 97.5))
            print(
                f"{name}, {structure}: Dice {values.mean():.3f} ± {values.std(ddof=1):.3f} over {len(values)} cases "
                f"that show it, 95 % interval of the mean {low:.3f} to {high:.3f}"
            )


def ship(folder: Path, target: Path, scores: Path | None) -> None:
    """Write the bundle with what its card must say."""
    bundle = read_bundle(folder)
    if scores:
        rows = json.loads(scores.read_text())["default"]
        bundle.card["metrics"] = {
            "usgra-seg, five-fold cross-validation of the same training": {
                f"dice_{name}": round(statistics.mean(row[name] for row in rows if row[f"{name}_there"]), 3)
                for name in STRUCTURES
            }
        }
    bundle.card["data"] |= {
        "usgra-seg": "T. M. K. 2025, CC BY 4.0: all 204 frames of regional anesthesia, nerve in each"
    }
    bundle.card["licence"] = "CC BY 4.0, as the data that it was trained on; the program is Apache-2.0."
    bundle.card["limits"] += [
        "It always expects a nerve: it is not gated, because its data have no frame without one.",
        "Nothing was held back: how good it is stands in docs/benchmarks.md, by cross-validation over the same frames.",
        "The frames have no subject ids; alike frames stand on one side of the cross-validation, others of one "
        "person may not.",
    ]
    print(f"Written: {write_bundle(bundle, target)}")


if __name__ == "__main__":
    main()
