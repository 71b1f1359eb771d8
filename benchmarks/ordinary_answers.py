"""What ordinary inputs and answers of the shipped models are: ranges by which their flags are told, in their cards.

    python benchmarks/ordinary_answers.py DATA
    python benchmarks/ordinary_answers.py DATA --only spinal-cord --out runs/spinal-cord

Each shipped model is applied to the cases it learned from, never to those that ``splits.json`` holds back, and the
ranges of what inputs and answers show are written into its card (`gracile.learning.ordinary`); weights and checksums
stay. A training does the same at its end. Given again, the command writes the same.
"""

import argparse
import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from gracile.data import CaseFiles
from gracile.learning.ordinary import add_ordinary
from gracile.names import MODELS, models_folder

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Fold:
    """A trained bundle, the cases that it learned from, and others of the same kind that it has not seen."""

    bundle: Path
    training: list[CaseFiles]
    test: list[CaseFiles]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--out", type=Path, help="write a copy of the one model there instead of changing it")
    arguments = parser.parse_args()
    for name in arguments.only:
        folder = models_folder() / name
        if arguments.out:
            folder = Path(shutil.copytree(folder, arguments.out))
        cases = learned_from(name, arguments.data)
        ordinary = add_ordinary(folder, cases)
        print(f"{name}: {len(ordinary.ranges)} ranges, from at most 100 of {len(cases)} cases", flush=True)


def learned_from(name: str, data: Path) -> list[CaseFiles]:
    """All cases that a shipped model learned from: those of folds too, where the folds' bundles are others."""
    every = [
        case
        for fold in folds(name, data)
        for case in [*fold.training, *([] if fold.bundle.parent == models_folder() else fold.test)]
    ]
    return list({case.id: case for case in every}.values())


def folds(name: str, data: Path) -> list[Fold]:
    """Of a shipped model itself where cases were held back from it, else of the same training on folds of its data."""
    return _FOLDS[name](data, json.loads((data / "splits.json").read_text()))


def file_of(image: Path, subject: str = "", id: str = "") -> CaseFiles:
    """A picture or volume without label; its own subject where none is named."""
    name = id or image.name.partition(".")[0]
    return CaseFiles(id=name, image=image, label=None, region=None, subject=subject or name)


def _retina(data: Path, splits: dict) -> list[Fold]:
    root = data / "retina-av"
    training = [file_of(path) for path in sorted((root / "drive-av" / "training" / "images").iterdir())]
    test = [file_of(path) for path in sorted((root / "drive-av" / "test" / "images").iterdir())]
    for name in ("les-av", "hrf-av"):
        held = set(splits[f"retina-av/{name}"]["test"])
        for path in sorted((root / name / "training" / "images").iterdir()):
            (test if path.stem in held else training).append(file_of(path))
    return [Fold(models_folder() / "retina-av", training, test)]


def _nerve(data: Path, splits: dict) -> list[Fold]:
    images = data / "nerve-ultrasound" / "usgra-seg" / "images"
    parts = [[file_of(images / f"{id}.png") for id in fold] for fold in splits["nerve-ultrasound/usgra-seg"]["folds"]]
    return [
        Fold(
            RESULTS / "usgra" / "default" / f"fold{number}" / "bundle",
            [case for other in parts if other is not test for case in other],
            test,
        )
        for number, test in enumerate(parts)
    ]


def _tool(data: Path, splits: dict) -> list[Fold]:
    source = data / "surgical-video" / "vocal-folds"
    with (source / "labels.csv").open() as file:
        rows = [(row["patient"], file_of(next((source / "images").glob(f"{row['name']}.*")), row["sequence"]))
                for row in csv.DictReader(file)]  # fmt: skip
    return [
        Fold(
            RESULTS / "tool" / patient / "bundle",
            [case for owner, case in rows if owner != patient],
            [case for owner, case in rows if owner == patient],
        )
        for patient in sorted({owner for owner, _ in rows})
    ]


def _cord(data: Path, splits: dict) -> list[Fold]:
    split = splits["spinal-cord/errsm-t2"]
    people = [*split["folds"], *split["always_train"]]
    files = {person: file_of(data / "spinal-cord" / "errsm-t2" / person / "t2.nii.gz", id=person) for person in people}
    return [
        Fold(
            RESULTS / "cord" / held / "bundle",
            [case for person, case in files.items() if person != held],
            [files[held]],
        )
        for held in split["folds"]
    ]


def _skull(data: Path, splits: dict) -> list[Fold]:
    split = splits["landmarks/mouse-skull-ct"]
    source = data / "landmarks" / "mouse-skull-ct" / "volumes"
    training, test = ([file_of(source / f"{name}.nii.gz") for name in split[part]] for part in ("train_order", "test"))
    return [Fold(models_folder() / "skull-landmarks", training, test)]


def _plexus(data: Path, splits: dict) -> list[Fold]:
    """The first fold of people: its bundle alone is kept."""
    source = "nerve-ultrasound/brachial-plexus-video"
    people = set(splits[source]["folds"][0])
    with (data / source / "labels.csv").open() as file:
        cases = [
            file_of(data / source / "images" / f"{row['name']}.jpg", row["subject"]) for row in csv.DictReader(file)
        ]
    test = [case for case in cases if case.subject in people]
    bundle = RESULTS / "brachial-plexus" / "fold1" / "bundle"
    return [Fold(bundle, [case for case in cases if case.subject not in people], test)]


_FOLDS = {
    "brachial-plexus": _plexus,
    "retina-av": _retina,
    "nerve-ultrasound": _nerve,
    "surgical-tool": _tool,
    "spinal-cord": _cord,
    "skull-landmarks": _skull,
}


if __name__ == "__main__":
    main()
