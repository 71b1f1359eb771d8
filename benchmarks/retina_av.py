"""Train and score arteries and veins by the published protocol, in one resumable command.

    python benchmarks/retina_av.py DATA --sets drive-av --seeds 2 --out runs/drive
    python benchmarks/retina_av.py DATA --sets les-av hrf-av --out runs/les-hrf

DATA holds ``retina-av/SET/training/{images,labels,fov}`` (DRIVE also ``test/``) and ``splits.json``. DRIVE is trained
on its training folder and scored on its test folder; the other sets hold back the cases that ``splits.json`` names.
With ``--ship models/retina-av`` the first seed's bundle is written there with a card that says what it was trained on
and how it scored. A killed run goes on where it stopped when the same command is given again.
"""

import argparse
import json
import shutil
import statistics
import time
from pathlib import Path

import gracile
from gracile.bundle import read_bundle, write_bundle
from gracile.inference import Options

PUBLISHED = {
    "drive-av": {"published, softmax": (71.99, 70.8, 2.85), "published, sigmoid": (71.26, 69.83, 2.92)},
    "les-av": {"published, softmax": (67.22, 64.41, 2.22), "published, sigmoid": (68.22, 67.08, 2.19)},
    "hrf-av": {"published, softmax": (71.92, 71.85, 2.0), "published, sigmoid": (71.92, 69.19, 1.94)},
}
"""Weighted F1, sensitivity and MSE, times 100 (Zhou et al., MICCAI 2021); LES and HRF on other test images."""

SOURCES = {
    "drive-av": "DRIVE (Staal 2004), labels by Hu 2013: the 20 training photographs, 565 x 584, research use",
    "les-av": "LES-AV (Orlando 2018): the photographs that splits.json does not hold back, research use",
    "hrf-av": "HRF (Budai 2013), CC BY 4.0, labels by Hemelings 2019 (no licence stated): those that splits.json does "
    "not hold back",
}
SHOWN = ("f1", "sensitivity", "mse", "auc_roc", "av_accuracy", "av_found", "dice_artery_tree", "dice_vein_tree")
LIMITS = [
    "Learned from a few dozen photographs of three cameras, centered on the macula or between it and the disc; other "
    "cameras, wide fields and children's eyes were not tried.",
    "The class uncertain (crossings) is rare and found unreliably; small vessels may change between artery and vein.",
    "Metrics are those of the held-back cases by the protocol av-multiclass, times 100, from one training.",
]

PEER = {"drive-av": {"peer: W-Net, 0.28 M, 4 flips": (74.32, 72.686, 2.533)}}
"""The peer's masks of the same 20 test images, scored by the same protocol."""


def main() -> None:
    arguments = parse()
    splits = json.loads((arguments.data / "splits.json").read_text())
    root = arguments.data / "retina-av"
    held_back = {name: splits[f"retina-av/{name}"]["test"] for name in arguments.sets if name != "drive-av"}
    exclude = ",".join(case for cases in held_back.values() for case in cases)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.test_sets or arguments.sets}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        run = arguments.out / f"seed{seed}"
        bundle = train(arguments, [root / name for name in arguments.sets], exclude, seed, run)
        for name, found in rows.items():
            for flips in (False, True):
                scores = score(root / name, splits[f"retina-av/{name}"]["test"], bundle, run, name, flips)
                print(f"seed {seed}, {name}, {'4 flips' if flips else 'no flips'}: {shown(scores)}", flush=True)
                found.append({"seed": seed, "flips": flips, **scores})
    report(rows, arguments.out)
    if arguments.ship:
        ship(arguments.out / f"seed{arguments.first_seed}" / "bundle", rows, arguments.ship)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["drive-av"], choices=sorted(PUBLISHED))
    parser.add_argument("--test-sets", nargs="+", choices=sorted(PUBLISHED), help="score on these; the same by default")
    parser.add_argument("--recipe", default="retina-av")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--start", type=Path, help="bundle whose weights to start from")
    parser.add_argument("--ship", type=Path, help="write the first seed's bundle and card to this folder")
    return parser.parse_args()


def train(arguments: argparse.Namespace, sources: list[Path], exclude: str, seed: int, run: Path) -> Path:
    """Train one seed on all training cases (fixed schedule), or reuse its finished bundle; completes its card."""
    if (run / "bundle" / "bundle.json").exists():
        return complete_card(run / "bundle", arguments.sets)
    start = time.monotonic()
    resume = (run / "recipe.yaml").exists()
    schedule = [f"train.seed={seed}", "train.validation=0", "train.minutes=55"]
    settings = [] if resume else [*schedule, *arguments.settings]
    bundle = gracile.train(
        arguments.recipe,
        sources,
        run,
        settings=settings,
        exclude=exclude,
        start=arguments.start,
        resume=resume,
    )
    print(f"seed {seed}: trained in {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    return complete_card(bundle, arguments.sets)


def complete_card(folder: Path, sets: list[str]) -> Path:
    """Say in a bundle's card which data it was trained on and under which licence it may be used."""
    bundle = read_bundle(folder)
    bundle.card["data"] |= {name: SOURCES[name] for name in sets}
    bundle.card["licence"] = "Weights for research, as the data that they were trained on; the program is Apache-2.0."
    return write_bundle(bundle, folder)


def score(folder: Path, test: list[str] | str, bundle: Path, run: Path, name: str, flips: bool) -> dict[str, float]:
    """Predict the test cases with their given fields of view and score them."""
    part = folder / "test" if (folder / "test").is_dir() else folder / "training"
    truth = run / f"truth-{name}"
    images = [p for p in sorted((part / "images").iterdir()) if part.name == "test" or p.stem in test]
    shutil.rmtree(truth, ignore_errors=True)
    truth.mkdir(parents=True)
    for label in (part / "labels").iterdir():
        if any(label.stem in (image.stem, f"{image.stem}_AVmanual") for image in images):
            shutil.copy(label, truth / label.name)
    out = run / f"{name}-{'flips' if flips else 'plain'}"
    options = Options(regions=part / "fov", probabilities=True, overwrite=True)
    stage = "stages.0.flips=" + ("true" if flips else "false")
    gracile.predict(bundle, images, out, settings=[stage], options=options, report=False)
    evaluation = gracile.evaluate(
        out, truth, "av-multiclass", fov=part / "fov", probabilities=out / "probabilities"
    )  # fmt: skip
    evaluation.to_json(out / "scores.json")
    return {key: 100 * row["mean"] for key, row in evaluation.summary.items() if row["mean"] is not None}


def shown(scores: dict[str, float]) -> str:
    names = {"f1": "F1", "sensitivity": "sensitivity", "mse": "MSE", "auc_roc": "AUC-ROC"}
    return ", ".join(f"{label} {scores[key]:.2f}" for key, label in names.items() if key in scores)


def report(rows: dict[str, list[dict[str, float]]], out: Path) -> None:
    """Print mean and deviation over seeds beside the published rows."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(rows, indent=1))
    for name, found in rows.items():
        print(f"\n{name}: weighted F1, sensitivity, MSE (times 100)")
        for flips in (False, True):
            runs = [row for row in found if row["flips"] is flips]
            cells = []
            for key in ("f1", "sensitivity", "mse"):
                values = [row[key] for row in runs]
                spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.2f}{spread}")
            print(f"  Gracile, {'4 flips' if flips else 'no flips'}, {len(runs)} seed(s): {'  '.join(cells)}")
        for row, values in {**PUBLISHED[name], **PEER.get(name, {})}.items():
            print(f"  {row}: {'  '.join(f'{value:.2f}' for value in values)}")


def ship(folder: Path, rows: dict[str, list[dict[str, float]]], target: Path) -> None:
    """Write a bundle whose card says where it comes from, how it scored on cases it never saw, and its limits."""
    bundle = read_bundle(folder)
    first = {name: {row["flips"]: row for row in reversed(found)} for name, found in rows.items()}
    bundle.card["metrics"] = {
        f"{name}, {'4 flips' if flips else 'no flips'}": {key: round(row[key], 2) for key in SHOWN}
        for name, by_flips in first.items()
        for flips, row in by_flips.items()
    }
    bundle.card["limits"] += LIMITS
    write_bundle(bundle, target)
    print(f"\nWritten: {target}")


if __name__ == "__main__":
    main()
