"""Ten drawn volumes of 512 x 512 x 300 with two classes: planned, trained for two minutes, predicted.

    python benchmarks/large_volumes.py --out runs/large [--count 10] [--size 512 512 300] [--minutes 2]

Prints how long the plan took, the most anonymous memory that each command held with its workers, and Dice of each class
on a volume that was not trained on, so that a plan that fits memory by learning nothing shows. Linux only.
"""

import argparse
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from any_structure import watched

from gracile.evaluation.metrics import dice
from gracile.io import write_json

SPACING_MM = (0.7, 0.7, 1.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--size", type=int, nargs=3, default=[512, 512, 300])
    parser.add_argument("--minutes", type=float, default=2)
    arguments = parser.parse_args()
    data, held = arguments.out / "data", arguments.out / "held"
    for number in range(arguments.count + 1):
        write_case(data if number < arguments.count else held, number, arguments.size)

    began = time.monotonic()
    planned = watched(["plan", data, "--out", arguments.out / "recipe.yaml", "--minutes", arguments.minutes, "--force"])
    planning = time.monotonic() - began
    began = time.monotonic()
    trained = watched(["train", "auto", data, "--out", arguments.out / "run", "--minutes", arguments.minutes])
    training = time.monotonic() - began
    image = held / "images" / f"case{arguments.count:02d}.nii.gz"
    began = time.monotonic()
    predicted = watched(["predict", arguments.out / "run", image, "--out", arguments.out / "found", "--no-report"])
    predicting = time.monotonic() - began
    truth, found = (np.asarray(nib.load(path).dataobj) for path in (held / "labels" / image.name,
                                                                   arguments.out / "found" / image.name))  # fmt: skip
    scores = {f"dice_{value}": round(float(dice(truth == value, found == value)), 3) for value in (1, 2)}
    rows = {
        "planning": {"seconds": round(planning), "gib": round(planned / 1024, 2)},
        "training": {"seconds": round(training), "gib": round(trained / 1024, 2)},
        "predicting one": {"seconds": round(predicting), "gib": round(predicted / 1024, 2), **scores},
    }
    for name, row in rows.items():
        print(f"{name:16}", ", ".join(f"{key} {value}" for key, value in row.items()))
    write_json(arguments.out / "large_volumes.json", rows)


def write_case(folder: Path, number: int, size: list[int]) -> None:
    """A volume with a winding tube (1) and a ball beside it (2), of noise in 16 bits, and its labels."""
    images, labels = folder / "images", folder / "labels"
    name = f"case{number:02d}.nii.gz"
    if (labels / name).exists():
        return
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(number)
    middle = np.array(size[:2]) / 2 + random.normal(0, size[0] / 16, 2)
    ball = np.array([middle[0] + size[0] / 5, middle[1], size[2] / 2]) + random.normal(0, size[2] / 20, 3)
    rows, columns = np.ogrid[: size[0], : size[1]]
    mask = np.zeros(size, np.uint8)
    for level in range(size[2]):
        wind = size[0] / 12 * np.sin(level / size[2] * 2 * np.pi)
        mask[:, :, level][(rows - middle[0] - wind) ** 2 + (columns - middle[1]) ** 2 < (size[0] / 40) ** 2] = 1
        reach = (size[2] / 8) ** 2 - (level - ball[2]) ** 2
        if reach > 0:
            mask[:, :, level][(rows - ball[0]) ** 2 + (columns - ball[1]) ** 2 < reach] = 2
    image = random.normal(0, 60, size).astype(np.float32) + np.array([0, 150, 250], np.float32)[mask]
    affine = np.diag([*SPACING_MM, 1.0])
    nib.save(nib.Nifti1Image(image.astype(np.int16), affine), images / name)
    nib.save(nib.Nifti1Image(mask, affine), labels / name)


if __name__ == "__main__":
    sys.exit(main())
