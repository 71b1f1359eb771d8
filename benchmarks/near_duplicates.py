"""How alike cases of different subjects are in the real data sets, and which of them are taken for near-duplicates.

    python benchmarks/near_duplicates.py DATA

DATA is the folder of the real data. One line for each set: its cases and subjects, the seconds of reading and of
comparing, the pairs of cases and of subjects from `gracile.data.near_duplicates.ALIKE` on, and the likeness of the most
alike pair. Then the same of small sets drawn from it, in which little is known of what all have in common.
"""

import argparse
import csv
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gracile.data import CaseFiles, Pair
from gracile.data.near_duplicates import ALIKE, LOOKED_AT, alike_pairs, thumbnail
from gracile.io import image_files, read_case_file, stem
from gracile.io.naming import IMAGE_SUFFIXES, VOLUME_SUFFIXES
from gracile.recipe import InputSpec

SETS = {
    "uns-256-positive": ("nerve-ultrasound/uns-256-positive/images", "subject"),
    "uns-original-sample": ("nerve-ultrasound/uns-original-sample/images", "subject"),
    "vocal-folds": ("surgical-video/vocal-folds/images", "patient"),
    "usgra-seg": ("nerve-ultrasound/usgra-seg/images", ""),
    "brachial-plexus-video": ("nerve-ultrasound/brachial-plexus-video/images", "subject"),
    "drive-av": ("retina-av/drive-av/*/images", ""),
    "les-av": ("retina-av/les-av/training/images", ""),
    "hrf-av": ("retina-av/hrf-av/training/images", ""),
    "hippocampus": ("any-structure/hippocampus/imagesTr", ""),
    "mouse-skull-ct, free pose": ("landmarks/mouse-skull-ct/volumes", ""),
    "mouse-skull-ct, aligned": ("landmarks/mouse-skull-ct/aligned", ""),
}
"""Folder of the images of each set, and the column of its table that names the subject; empty: each case is one."""

DRAWN = 200
"""Small sets that are drawn of each size."""


def cases_of(data: Path, place: str, column: str) -> list[CaseFiles]:
    """The cases of a set with their subjects."""
    folders = sorted(data.glob(place))
    subject: dict[str, str] = {}
    if column:
        with (folders[0].parent / "labels.csv").open(encoding="utf-8") as file:
            subject = {row["name"]: row[column] for row in csv.DictReader(file)}
    paths = [path for folder in folders for path in image_files(folder, (*IMAGE_SUFFIXES, *VOLUME_SUFFIXES))]
    names = [stem(path) for path in paths]
    return [
        CaseFiles(f"{path.parents[1].name}-{name}", path, None, None, subject.get(name, str(path)))
        for path, name in zip(paths, names, strict=True)
    ]


def parted(pairs: list[Pair]) -> Iterator[Pair]:
    """The pairs of different subjects."""
    return (pair for pair in pairs if pair.parts_subjects)


def timed(make: Callable[[], object]) -> float:
    """Seconds that something took."""
    began = time.perf_counter()
    make()
    return time.perf_counter() - began


def line(data: Path, name: str) -> str:
    """A set's line of the table."""
    place, column = SETS[name]
    cases = cases_of(data, place, column)
    seen: dict[str, np.ndarray] = {}
    pairs: list[Pair] = []

    def look() -> None:
        for files in cases:
            volume = files.image.name.endswith(VOLUME_SUFFIXES)
            wanted = InputSpec(kind="volume", channels=1) if volume else InputSpec()
            seen[files.id] = thumbnail(read_case_file(files.image, files.id, wanted))

    reading = timed(look)
    comparing = timed(lambda: pairs.extend(alike_pairs(cases, seen, 0.0)))
    found = [pair for pair in parted(pairs) if pair.likeness >= ALIKE]
    people = {frozenset((pair.first.subject, pair.second.subject)) for pair in found}
    draw, most = random.Random(0), 0.0
    for size in (2, 3, 4, 6, 10):
        for _ in range(DRAWN):
            few = draw.sample(cases, min(size, len(cases)))
            most = max([most, *(pair.likeness for pair in parted(alike_pairs(few, seen, 0.0)))])
    likeness = max((pair.likeness for pair in parted(pairs)), default=0.0)
    cells = (
        name, len(cases), len({files.subject for files in cases}), f"{reading:.1f}", f"{comparing:.1f}",
        len(found), len(people), shown(likeness), shown(most),
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def shown(likeness: float) -> str:
    """A likeness; those below that of pairs that are looked at closely are not known."""
    return f"{likeness:.2f}" if likeness else f"< {LOOKED_AT}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    heads = (
        "cases",
        "subjects",
        "reading, s",
        "comparing, s",
        "pairs",
        "pairs of subjects",
        "most alike",
        "in sets of 2 to 10",
    )
    print(f"| set | {' | '.join(heads)} |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name in SETS:
        print(line(data, name), flush=True)


if __name__ == "__main__":
    main()
