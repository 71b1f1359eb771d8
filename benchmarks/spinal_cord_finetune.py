"""From the T2 model to other contrasts with a handful of slices: before and after fine-tuning.

    python benchmarks/spinal_cord_finetune.py DATA --model models/spinal-cord --out runs/cord-finetune

DATA holds ``spinal-cord/sct-testing``: small crops in T1, T2* and MT of one person, who is also among those that the
T2 model learned from. Each crop is cut across in two; the model is fine-tuned on one half's slices and scored on the
other's, and the reverse. One person can say whether a few slices teach a new contrast; nothing of other people. Where
a network's output is beside the manual mask (T2*), only the manual one is used.
"""

import argparse
import csv
import json
import statistics
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

import gracile
from gracile.evaluation.metrics import dice
from gracile.inference import Options

CONTRASTS = {
    "t1": ("t1/t1w.nii.gz", "t1/t1w_seg-manual.nii.gz"),
    "t2s": ("t2s/t2s.nii.gz", "t2s/t2s_seg.nii.gz"),
    "mt": ("mt/mt1.nii.gz", "mt/mt1_seg.nii.gz"),
}
FEW_SHOT = [
    "train.validation=0",
    "train.minutes=2",
    "train.epochs=1000",
    "train.learning_rate=0.001",
    "train.transfer={freeze: 0.5, unfreeze_at: 0.5, unfreeze_rate: 0.3}",
]
"""Half of the layers learn first, then all at a lower rate; fixed, and the same for every contrast."""


def main() -> None:
    arguments = parse()
    source = arguments.data / "spinal-cord" / "sct-testing"
    rows = []
    for name, (image, label) in CONTRASTS.items():
        halves = cut_in_two(source / image, source / label, arguments.out / name)
        for learned, held in ((0, 1), (1, 0)):
            run = arguments.out / name / f"learned{learned}"
            bundle = tune(halves[learned], arguments.model, run)
            row: dict[str, Any] = {"contrast": name, "slices_learned": halves[learned]["slices"],
                                   "slices_scored": halves[held]["slices"]}  # fmt: skip
            for when, model in (("before", arguments.model), ("after", bundle)):
                row[when] = score(halves[held], model, run / when)
            rows.append(row)
            print(f"{name}, {row['slices_learned']} slices learned, {row['slices_scored']} scored: Dice "
                  f"{row['before']:.3f} before, {row['after']:.3f} after", flush=True)  # fmt: skip
    (arguments.out / "scores.json").write_text(json.dumps(rows, indent=1))
    for when in ("before", "after"):
        print(f"mean Dice {when}: {statistics.mean(row[when] for row in rows):.3f}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="a bundle of recipe spinal-cord, learned from T2")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def cut_in_two(image: Path, label: Path, out: Path) -> list[dict[str, Any]]:
    """Lower and upper half of a volume and its mask as files, cut across the axis that runs up."""
    out.mkdir(parents=True, exist_ok=True)
    volumes = {"image": nib.load(image), "label": nib.load(label)}
    codes = nib.aff2axcodes(volumes["image"].affine)
    axis = next(i for i, code in enumerate(codes) if code in "SI")
    count = volumes["image"].shape[axis]
    halves = []
    for number, part in enumerate((slice(0, count // 2), slice(count // 2, count))):
        box = tuple(part if i == axis else slice(None) for i in range(3))
        half: dict[str, Any] = {"slices": part.stop - part.start}
        for kind, volume in volumes.items():
            half[kind] = out / f"half{number}-{kind}.nii.gz"
            nib.save(volume.slicer[box], half[kind])
        halves.append(half)
    return halves


def tune(half: dict[str, Any], model: Path, run: Path) -> Path:
    """Fine-tune on one half, or take its finished bundle."""
    if (run / "bundle" / "bundle.json").exists():
        return run / "bundle"
    run.mkdir(parents=True, exist_ok=True)
    with (run / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "label", "subject", "id"], [half["image"].resolve(), half["label"].resolve(), "one", "half"]]
        )
    return gracile.train("spinal-cord", run / "cases.csv", run, settings=FEW_SHOT, start=model)


def score(half: dict[str, Any], model: Path, out: Path) -> float:
    """Dice on the input's grid; a half in which nothing is found counts 0."""
    summary = gracile.predict(model, half["image"], out, options=Options(overwrite=True))
    if summary.failed:
        raise SystemExit(f"failed: {summary.failed}")
    true, found = (np.asarray(nib.load(p).dataobj) > 0.5 for p in (half["label"], out / half["image"].name))
    return dice(true, found)


if __name__ == "__main__":
    main()
