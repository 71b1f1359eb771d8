"""Landmarks of real mouse skulls in micro-CT: how many volumes it takes, and how near the points come.

    python benchmarks/skull_landmarks.py DATA --out runs/skull-aligned
    python benchmarks/skull_landmarks.py DATA --frame volumes --shots 12 --out runs/skull-free \\
        --ship models/skull-landmarks
    python benchmarks/skull_landmarks.py DATA --recipe cochlea-landmarks-published --landmarks 1 16 40 \\
        --out runs/smicnet

DATA holds ``landmarks/mouse-skull-ct`` and ``splits.json``: k shots are the first k of its order, the same 8 specimens
are tested each time. The schedule is fixed and nothing is held back. ``aligned`` was posed with the true points and
then jittered by up to 10 degrees and 1 mm; ``volumes`` are in free pose. A killed run goes on where it stopped when the
same command is given again. ``--keep benchmarks/results/skull`` also writes the bundles there, and with
``--out benchmarks/results/skull`` they are scored once more.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

import gracile
from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.geometry.point_list import PointList
from gracile.io.markups import write_points
from gracile.recipe import read_recipe

COLUMNS = {"aligned": ("x_mm", "y_mm", "z_mm"), "volumes": ("ras_x_mm", "ras_y_mm", "ras_z_mm")}
NOTES = {
    "aligned": [
        "The volumes were posed with their true landmarks, then jittered by up to 10 degrees and 1 mm: "
        "a volume in free pose is a harder task",
    ],
    "volumes": [],
}
ON_THE_CARD = ("mean_error_mm", "median_error_mm", "p95_error_mm", "within_0.5_mm", "within_1_mm", "missed")
TABLES = {"aligned": "landmarks_aligned.csv", "volumes": "landmarks_voxel.csv"}


def main() -> None:
    arguments = parse()
    source = arguments.data / "landmarks" / "mouse-skull-ct"
    split = json.loads((arguments.data / "splits.json").read_text())["landmarks/mouse-skull-ct"]
    cases = write_cases(source, arguments.frame, arguments.out)
    settings = list(arguments.settings)
    if arguments.landmarks:
        settings.append(f"landmarks=[{', '.join(f'{{name: {name!r}}}' for name in arguments.landmarks)}]")
    recipe = read_recipe(arguments.recipe, settings)
    for shots in arguments.shots:
        repeats = arguments.repeats if shots in arguments.repeated else 1
        curve = gracile.few_shot(
            recipe, cases, arguments.out / "curve", test=",".join(split["test"]), shots=[shots], repeats=repeats,
            order=",".join(split["train_order"]), notes=NOTES[arguments.frame],
            say=lambda line: print(line, flush=True),
        )  # fmt: skip
    print(f"Report: {curve.report}")
    if arguments.ship:
        ship(arguments.out / "curve" / f"{max(arguments.shots):03}-shots-1", arguments.ship)
    if arguments.keep:
        for folder in sorted((arguments.out / "curve").glob("*-shots-*")):
            write_bundle(in_half(read_bundle(folder / "bundle")), arguments.keep / "curve" / folder.name / "bundle")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frame", choices=sorted(COLUMNS), default="aligned")
    parser.add_argument("--recipe", default="skull-landmarks")
    parser.add_argument("--landmarks", nargs="+", help="a subset of them")
    parser.add_argument("--shots", type=int, nargs="+", default=[5, 1, 12, 3])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--repeated", type=int, nargs="*", default=[1, 5], help="sizes that are trained so often")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--keep", type=Path, help="also write the bundles there, in half precision")
    parser.add_argument("--ship", type=Path, help="write the bundle of most shots to this folder")
    return parser.parse_args()


def write_cases(source: Path, frame: str, out: Path) -> Path:
    """A CSV of the volumes of a frame and a file of points for each."""
    points: dict[str, dict[str, list[float]]] = {}
    with (source / TABLES[frame]).open() as file:
        for row in csv.DictReader(file):
            points.setdefault(row["volume"], {})[row["landmark"]] = [float(row[name]) for name in COLUMNS[frame]]
    folder = out / "points"
    folder.mkdir(parents=True, exist_ok=True)
    with (out / "cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "points", "subject", "id"])
        for name, places in points.items():
            path = folder / f"{name}.mrk.json"
            write_points(path, PointList(np.array(list(places.values())), list(places), name=name))
            image = (source / frame / f"{name}.nii.gz").resolve()
            writer.writerow([image, path.resolve(), name, name])
    return out / "cases.csv"


def ship(run: Path, folder: Path) -> None:
    """Write the bundle of a training of the few-shot curve with what its card must say."""
    bundle = read_bundle(run / "bundle")
    summary = json.loads((run / "scores.json").read_text())["summary"]
    bundle.card["data"] |= {
        "mouse skulls": "12 specimens, micro-CT in free pose, 45 manual landmarks each: A. M. Maga 2017, GPL-3.0"
    }
    bundle.card["limits"] += [
        "Mouse skulls in micro-CT alone; it has seen no other species.",
        "Metrics are those of the 8 specimens that splits.json holds back, 45 landmarks each, from one training.",
    ]
    bundle.card["metrics"] = {"8 test specimens": {name: round(summary[name]["mean"], 3) for name in ON_THE_CARD}}
    bundle.card["licence"] = "GPL-3.0, as the data that it was trained on; the program is Apache-2.0."
    print(f"Written: {write_bundle(in_half(bundle), folder)}")


def in_half(bundle: Bundle) -> Bundle:
    """With its networks' weights in half precision, as prediction rounds them further; shapes stay as they are."""
    weights = {
        stage: {name: part.half() if name.startswith("network.") and part.is_floating_point() else part
                for name, part in parts.items()}
        for stage, parts in bundle.weights.items()
    }  # fmt: skip
    return bundle.model_copy(update={"weights": weights})


if __name__ == "__main__":
    main()
