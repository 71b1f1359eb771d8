"""Flags: the share of flagged inputs, ordinary and spoiled, of each shipped model.

    python benchmarks/flags.py DATA --out runs/flags
    python benchmarks/flags.py DATA --out runs/flags-development --development

Ordinary are the cases that the model's training did not see: those that ``splits.json`` holds back of retina-av and
skull-landmarks; of the others, whose shipped model learned from every case, the folds of `benchmarks/results`, each
with ranges of its own training cases. ``dark``, ``burnt`` and ``blurred`` are the same cases spoiled with a seed;
``foreign`` are inputs of another kind. Refused counts as flagged. Thresholds were not chosen on these cases:
``--development`` shows the same within the training cases alone, parted by subject.

A picture is blurred by 1.5 to 3 % of its longer side, darkened to 5 to 20 % of its values, burnt by a gain of 4 to 8. A
volume has no brightness of its own: dark and burnt ones lose what lies below their 80th to 95th percentile, or above
the 20th to 50th of what is not background.

Writes ``flags.json`` (counts, and of each flag how often it was raised) and ``OUT/pictures``: some of each kind.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ordinary_answers import Fold, folds
from PIL import Image
from scipy import ndimage

from gracile.bundle import read_bundle
from gracile.case import Case
from gracile.data import CaseFiles
from gracile.errors import GracileError
from gracile.inference.answering import answer
from gracile.io import read_case_file
from gracile.learning.ordinary import ordinary_of
from gracile.names import MODELS
from gracile.pipeline import Pipeline
from gracile.recipe import InputSpec

KINDS = ("ordinary", "blurred", "dark", "burnt", "foreign")
SHOWN = 3
VOLUMES = ("spinal-cord", "skull-landmarks")


def main() -> None:
    arguments = parse()
    table: dict[str, Any] = {}
    for name in arguments.only:
        flagged: dict[str, list[bool]] = defaultdict(list)
        words: dict[str, Counter[str]] = defaultdict(Counter)
        every = [part for fold in folds(name, arguments.data) for part in ([fold] if not arguments.development else [])]
        if arguments.development:
            every = development(folds(name, arguments.data)[0])
        for number, fold in enumerate(every):
            bundle = read_bundle(fold.bundle)
            pipeline = Pipeline.from_bundle(bundle)
            pipeline.ordinary, pipeline.unlike = ordinary_of(pipeline, fold.training)
            test = fold.test[:: max(1, len(fold.test) * len(every) // arguments.most)]
            foreign = list(strangers(name, arguments.data, arguments.development))[number :: len(every)]
            for kind in KINDS:
                for index, files in enumerate(foreign if kind == "foreign" else test):
                    case = read_case_file(files.image, files.id, InputSpec(kind="volume" if volume(files) else "image"))
                    if kind == "foreign":
                        case = fitting(case, name)
                    else:
                        case = spoiled(case, kind, np.random.default_rng([arguments.seed, number, index]))
                    if number == 0 and index < SHOWN:
                        show(case, arguments.out / "pictures" / f"{name}-{kind}-{index}.png")
                    flags = flags_of(pipeline, case)
                    flagged[kind].append(bool(flags))
                    words[kind].update(flags)
                    if kind == "ordinary" and flags:
                        print(f"  {name}: {files.id}: {'; '.join(flags)}", flush=True)
        table[name] = {
            kind: {"cases": len(some), "flagged": sum(some), "flags": dict(words[kind].most_common())}
            for kind, some in flagged.items()
        }
        print(line(name, table[name]), flush=True)
        write(arguments.out / "flags.json", {"seed": arguments.seed, "models": table})
    print("| | " + " | ".join(KINDS) + " |\n" + "|---" * (len(KINDS) + 1) + "|")
    for name, row in table.items():
        print(line(name, row))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--most", type=int, default=60, help="cases of each kind and model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--development", action="store_true", help="training cases alone, parted by subject")
    return parser.parse_args()


def development(fold: Fold) -> list[Fold]:
    """Up to four parts of a fold's training cases by subject; ranges of the others, no case that is held back."""
    subjects = sorted({case.subject for case in fold.training})
    parts = [set(subjects[number::4]) for number in range(min(4, len(subjects)))]
    return [
        replace(
            fold,
            training=[case for case in fold.training if case.subject not in part],
            test=[case for case in fold.training if case.subject in part],
        )
        for part in parts
    ]


def volume(files: CaseFiles) -> bool:
    return files.image.name.endswith(".nii.gz")


def strangers(name: str, data: Path, development: bool) -> Iterator[CaseFiles]:
    """Inputs of other kinds, at most twenty of each source: those that are held back, or those that were learned from.

    A model of pictures is given the pictures of the others, and slices of volumes; a model of volumes all others'.
    """
    for other in MODELS:
        if other == name or (name in VOLUMES and other not in VOLUMES):
            continue
        cases = [c for fold in folds(other, data) for c in (fold.training if development else fold.test)]
        once = list({case.id: case for case in cases}.values())
        yield from once[:: max(1, len(once) // 20)]
    if name in VOLUMES:
        split = json.loads((data / "splits.json").read_text())["any-structure/hippocampus"]["test"]
        images = sorted((data / "any-structure" / "hippocampus" / "imagesTr").iterdir())
        held = [path for path in images if (path.name.rpartition("_")[0] in split) != development]
        for path in [*held[:: max(1, len(held) // 8)], data / "landmarks" / "cochlea-example" / "cochlea_L.nii.gz"]:
            yield CaseFiles(id=path.name, image=path, label=None, region=None, subject=path.name)


def fitting(case: Case, name: str) -> Case:
    """A volume as a gray picture, its middle slice, where the model takes pictures."""
    if name in VOLUMES or case.image.ndim == 3:
        return case
    axis = 1 + int(np.argmin(case.image.shape[1:]))
    plane = case.image.take(case.image.shape[axis] // 2, axis=axis)[0]
    low, high = np.percentile(plane, (0.5, 99.5))
    gray = np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255
    return Case.from_array(np.rint(gray).astype(np.uint8), id=case.id)


def spoiled(case: Case, kind: str, random: np.random.Generator) -> Case:
    """A case with its values spoiled; ``ordinary`` leaves them."""
    image = case.image.astype(np.float32)
    flat = case.image.dtype == np.uint8
    if kind == "blurred":
        spacing = np.ones(image.ndim - 1) if flat else np.array(case.grid.spacing_mm)
        reach = random.uniform(0.015, 0.03) * float((np.array(image.shape[1:]) * spacing).max())
        image = ndimage.gaussian_filter(image, (0, *(reach / spacing)), mode="nearest")
    elif kind == "dark" and flat:
        image *= random.uniform(0.05, 0.2)
    elif kind == "dark":
        image = np.maximum(image - np.percentile(image, random.uniform(80, 95)), 0)
    elif kind == "burnt" and flat:
        image = np.minimum(image * random.uniform(4, 8), 255)
    elif kind == "burnt":
        lit = image[image > image.min() + 0.05 * (np.percentile(image, 99) - image.min())]
        image = np.minimum(image, np.percentile(lit, random.uniform(20, 50)))
    return replace(case, image=np.rint(image).astype(np.uint8) if flat else image)


def flags_of(pipeline: Pipeline, case: Case) -> list[str]:
    try:
        return answer(pipeline, case).flags
    except GracileError:
        return ["refused"]


def show(case: Case, path: Path) -> None:
    """The picture, or the middle slice of the volume."""
    picture = fitting(case, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    array = picture.image[0] if picture.image.shape[0] == 1 else np.moveaxis(picture.image, 0, -1)
    Image.fromarray(array).save(path)


def line(name: str, row: dict[str, Any]) -> str:
    shares = [f"{row[kind]['flagged']} of {row[kind]['cases']} ({row[kind]['flagged'] / row[kind]['cases']:.0%})"
              for kind in KINDS]  # fmt: skip
    return f"| {name} | {' | '.join(shares)} |"


def write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
