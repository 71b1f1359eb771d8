"""Brachial plexus in real ultrasound (UNS): masks of unseen subjects, and a gate with few empty frames.

    python benchmarks/nerve_presence.py DATA --out runs/uns

DATA holds ``nerve-ultrasound/uns-256-positive`` (every frame shows the nerve), ``uns-original-sample`` (55 frames of
two subjects, 37 empty) and ``splits.json``. Both are brought to one geometry: 256 x 185 pixels, the letterbox cut off.
The test subjects are in no training.

A gate cannot be learned from whole frames: all empty ones are of two test subjects and of another source. So it learns
from windows of the training subjects' frames: some hold the nerve, others of the same frames do not. A frame's presence
is the largest of its windows'. Its threshold is set on training frames that the windows' gate did not see. The control
is the gate that one would learn naively: frames of the one source against empty frames of the other; it is asked about
frames *with* nerve of the second source. What it calls empty there, it calls empty for the source, not for the nerve.
"""

import argparse
import csv
import json
import statistics
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

import gracile
from gracile.api import Model
from gracile.recipe import Recipe, read_recipe
from gracile.trust import Wish, promised

SIZE = (256, 185)
LETTERBOX = (0, 35, 256, 220)
WINDOW = 112
STEP = 24
NERVE = [
    "classes=[{name: background, color: [0,0,0]}, {name: nerve, color: [255,220,0], also: [[255,255,255]]}]",
    "input.region=whole",
]
GATE = ["stages.presence.size=[112, 112]", "stages.presence.augment.shift=0.05", "prepare.diameter=112"]
WITHOUT = {"1_9", "1_35", "1_13", "1_25"}
"""Marked empty, but near copies of frames with a mask: left out of scores, as ``splits.json`` says."""


def main() -> None:
    arguments = parse()
    frames = read_frames(arguments.data / "nerve-ultrasound", arguments.out / "frames")
    tests = set(json.loads((arguments.data / "splits.json").read_text())["nerve-ultrasound/uns"]["test_subjects"])
    training = [f for f in frames if f["source"] == "positive" and f["subject"] not in tests]
    unseen = [f for f in frames if f["source"] == "positive" and f["subject"] in tests]
    sample = [f for f in frames if f["source"] == "sample" and f["name"] not in WITHOUT]
    recipe = recipe_of(arguments, "structures", f"train.minutes={arguments.minutes}")
    segment = run(arguments, "segment", training, "label", recipe)
    dices = segmented(segment, unseen, arguments.out / "segment" / "unseen")
    by_subject = {s: [d for f, d in zip(unseen, dices, strict=True) if f["subject"] == s] for s in sorted(tests)}
    print(f"Dice on {len(dices)} frames of {len(tests)} unseen subjects: {statistics.mean(dices):.3f} ± "
          f"{statistics.stdev(dices):.3f}; by subject "
          + ", ".join(f"{s}: {statistics.mean(d):.3f}" for s, d in by_subject.items() if d))  # fmt: skip
    gate = windows_gate(arguments, training, unseen)
    threshold = frame_threshold(arguments, training)
    judged = [largest_window(gate, frame) for frame in sample]
    print(f"windows' gate on whole frames of the sample: {rates(sample, judged, threshold)}")
    control(arguments, training, sample)
    gated_value(segment, sample, judged, threshold, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=18, help="of the segmenter's training")
    parser.add_argument("--gate-minutes", type=float, default=6)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    return parser.parse_args()


def read_frames(source: Path, out: Path) -> list[dict[str, Any]]:
    """Both sets in one geometry, as PNG files with a row each."""
    frames = []
    for folder, kind in (("uns-256-positive", "positive"), ("uns-original-sample", "sample")):
        with (source / folder / "labels.csv").open() as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            name = f"{kind}-{row['name']}"
            image, label = out / "images" / f"{name}.png", out / "masks" / f"{name}.png"
            if not label.exists():
                for path, part, way in (
                    (image, "images", Image.Resampling.BOX),
                    (label, "masks", Image.Resampling.NEAREST),
                ):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    picture = Image.open(next((source / folder / part).glob(f"{row['name']}.*"))).convert("L")
                    fitted = picture.crop(LETTERBOX) if kind == "positive" else picture.resize(SIZE, way)
                    if part == "masks":
                        fitted = fitted.point(lambda value: 255 if value > 127 else 0)
                    fitted.save(path)
            there = kind == "positive" or row["nerve_present"] == "1"
            frames.append({"name": row["name"], "id": name, "source": kind, "subject": row["subject"],
                           "there": there, "image": image, "label": label})  # fmt: skip
    return frames


def run(arguments: argparse.Namespace, name: str, rows: list[dict[str, Any]], column: str, recipe: Recipe) -> Path:
    """Train on rows with an image and a label or class, or go on with a run, or take its bundle."""
    out = arguments.out / name
    if (out / "bundle" / "bundle.json").exists():
        return out / "bundle"
    resume = (out / "recipe.yaml").exists()
    out.mkdir(parents=True, exist_ok=True)
    table = out / "data.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", column, "subject", "id"])
        writer.writerows([Path(r["image"]).resolve(), Path(r[column]).resolve() if column == "label" else r[column],
                          r["subject"], r["id"]] for r in rows)  # fmt: skip
    return gracile.train(recipe, table, out, resume=resume)


def recipe_of(arguments: argparse.Namespace, stage: str, *settings: str) -> Recipe:
    """The recipe with one of its stages alone, trained by a fixed schedule."""
    whole = read_recipe("nerve-ultrasound", [*NERVE, "train.validation=0", *settings, *arguments.settings])
    return whole.model_copy(update={"stages": [spec for spec in whole.stages if spec.name == stage]})


def segmented(bundle: Path, frames: list[dict[str, Any]], out: Path) -> list[float]:
    """Dice of each frame; both empty counts 1."""
    gracile.predict(bundle, [f["image"] for f in frames], out, report=False)
    dices = []
    for frame in frames:
        found, true = (np.array(Image.open(p)) > 0 for p in (out / f"{frame['id']}.png", frame["label"]))
        both = int(found.sum() + true.sum())
        dices.append(2.0 * float((found & true).sum()) / both if both else 1.0)
    return dices


def windows_gate(arguments: argparse.Namespace, training: list[dict[str, Any]], unseen: list[dict[str, Any]]) -> Model:
    """A gate that tells windows with the nerve from windows without it, scored on those of unseen subjects."""
    model = gracile.load(train_windows(arguments, "gate", training), device="cpu")
    rows = cut_windows(unseen, arguments.out / "windows-unseen")
    presence = [presence_of(model, np.array(Image.open(row["image"]))) for row in rows]
    truth = [row["class"] == "present" for row in rows]
    within = []
    for subject in sorted({row["subject"] for row in rows}):
        own = [i for i, row in enumerate(rows) if row["subject"] == subject]
        if len({truth[i] for i in own}) == 2:
            within.append(roc_auc_score([truth[i] for i in own], [presence[i] for i in own]))
    print(f"windows of unseen subjects: AUROC {roc_auc_score(truth, presence):.3f}, within a subject "
          f"{statistics.mean(within):.3f} ± {statistics.stdev(within):.3f} ({len(rows)} windows)")  # fmt: skip
    return model


def train_windows(arguments: argparse.Namespace, name: str, frames: list[dict[str, Any]]) -> Path:
    limit = f"stages.presence.train.minutes={arguments.gate_minutes}"
    recipe = recipe_of(arguments, "presence", *GATE, limit, "stages.presence.crossfit=0")
    return run(arguments, name, cut_windows(frames, arguments.out / "windows"), "label", recipe)


def cut_windows(frames: list[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """Of each frame, windows that hold nearly all of the nerve and windows that hold nothing of it, seeded."""
    rows = []
    for frame in frames:
        image, mask = np.array(Image.open(frame["image"])), np.array(Image.open(frame["label"])) > 0
        random = np.random.default_rng(zlib.crc32(frame["id"].encode()))
        places = [(r, c) for r in range(0, SIZE[1] - WINDOW + 1, 8) for c in range(0, SIZE[0] - WINDOW + 1, 8)]
        held = np.array([mask[r : r + WINDOW, c : c + WINDOW].sum() for r, c in places]) / max(1, mask.sum())
        for kind, fitting in (("present", np.flatnonzero(held > 0.9)), ("absent", np.flatnonzero(held == 0))):
            for number, index in enumerate(random.permutation(fitting)[:2]):
                row, column = places[index]
                path = out / "images" / f"{frame['id']}-{kind}{number}.png"
                label = out / "masks" / path.name
                if not label.exists():
                    for target, part in ((path, image), (label, mask)):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        window = part[row : row + WINDOW, column : column + WINDOW]
                        Image.fromarray(np.asarray(window, np.uint8) * (255 if part is mask else 1)).save(target)
                rows.append(
                    {"image": path, "label": label, "class": kind, "subject": frame["subject"], "id": path.stem}
                )
    return rows


def presence_of(model: Model, picture: np.ndarray) -> float:
    return model(picture).gates["nerve"]


def largest_window(model: Model, frame: dict[str, Any]) -> float:
    """The largest presence over a frame's windows."""
    image = np.array(Image.open(frame["image"]))
    places = [
        (r, c)
        for r in [*range(0, SIZE[1] - WINDOW, STEP), SIZE[1] - WINDOW]
        for c in range(0, SIZE[0] - WINDOW + 1, STEP)
    ]
    return max(presence_of(model, image[r : r + WINDOW, c : c + WINDOW]) for r, c in places)


def frame_threshold(arguments: argparse.Namespace, training: list[dict[str, Any]]) -> float:
    """The threshold on whole frames that lets 99 % of training frames pass, judged by gates that did not see them."""
    subjects = sorted({f["subject"] for f in training})
    presence, people = [], []
    for half in (0, 1):
        own = set(subjects[half::2])
        rest = [f for f in training if f["subject"] not in own]
        model = gracile.load(train_windows(arguments, f"gate-without-half{half}", rest), device="cpu")
        judged = [f for f in training if f["subject"] in own]
        judged = judged[:: max(1, len(judged) // 100)]
        presence += [largest_window(model, frame) for frame in judged]
        people += [frame["subject"] for frame in judged]
    return promised(np.array(presence), np.ones(len(presence), bool), np.array(people), Wish(0.99)).threshold


def rates(frames: list[dict[str, Any]], presence: list[float], threshold: float) -> str:
    there = [p for f, p in zip(frames, presence, strict=True) if f["there"]]
    empty = [p for f, p in zip(frames, presence, strict=True) if not f["there"]]
    auroc = roc_auc_score([f["there"] for f in frames], presence)
    return (f"AUROC {auroc:.3f} ({len(there)} frames with nerve, {len(empty)} empty, 2 subjects); at the threshold "
            f"{threshold:.3f}: recall {np.mean(np.array(there) >= threshold):.3f}, false alarms "
            f"{np.mean(np.array(empty) >= threshold):.3f}")  # fmt: skip


def control(arguments: argparse.Namespace, training: list[dict[str, Any]], sample: list[dict[str, Any]]) -> None:
    """The naive gate: frames with nerve of one source, empty ones of the other; asked about the rest of the other."""
    for subject in sorted({f["subject"] for f in sample}):
        rows = [{**f, "class": "present"} for f in training[::5]]
        rows += [{**f, "class": "absent"} for f in sample if f["subject"] == subject and not f["there"]]
        limit = f"stages.presence.train.minutes={arguments.gate_minutes / 2}"
        recipe = recipe_of(arguments, "presence", limit, "stages.presence.crossfit=0")
        model = gracile.load(run(arguments, f"control-{subject}", rows, "class", recipe), device="cpu")
        others = [f for f in sample if f["subject"] != subject]
        presence = [presence_of(model, np.array(Image.open(f["image"]))) for f in others]
        print(f"control with subject {subject}'s empty frames, on the other one: {rates(others, presence, 0.5)}")


def gated_value(segment: Path, sample: list[dict[str, Any]], judged: list[float], threshold: float, out: Path) -> None:
    """Dice of the sample with and without the gate: both empty counts 1, a false alarm 0."""
    ungated = segmented(segment, sample, out / "segment" / "sample")
    gated = [(0.0 if f["there"] else 1.0) if p < threshold else d
             for f, p, d in zip(sample, judged, ungated, strict=True)]  # fmt: skip
    for name, dices in (("ungated", ungated), ("gated", gated)):
        there = [d for f, d in zip(sample, dices, strict=True) if f["there"]]
        empty = [d for f, d in zip(sample, dices, strict=True) if not f["there"]]
        print(f"{name} on the sample: Dice {statistics.mean(dices):.3f}, with nerve {statistics.mean(there):.3f}, "
              f"painted on empty ones {statistics.mean(d == 0 for d in empty):.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
