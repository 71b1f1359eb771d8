"""Answers whose quality is predicted: which trained bundle answers which labeled cases that it has not seen."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nerve_presence import read_frames
from skull_landmarks import write_cases

from gracile.bundle import read_bundle
from gracile.data import CaseFiles, find_cases

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Answered:
    """A bundle that answers a case; the key is unique within a set, as several bundles may answer one case."""

    key: str
    bundle: Path
    files: CaseFiles


def answered_of(name: str, data: Path, out: Path, plexus: Path | None) -> list[Answered]:
    """All answers of a set; none where its bundles are not there."""
    found = list(_SETS[name](data, json.loads((data / "splits.json").read_text()), out / "frames" / name, plexus))
    return [one for one in found if (one.bundle / "bundle.json").is_file()]


def _usgra(data: Path, splits: dict, out: Path, plexus: Path | None) -> Iterator[Answered]:
    """Each fold's network answers its own fold."""
    source = data / "nerve-ultrasound" / "usgra-seg"
    for number, fold in enumerate(splits["nerve-ultrasound/usgra-seg"]["folds"]):
        bundle = RESULTS / "usgra" / "default" / f"fold{number}" / "bundle"
        for id in fold:
            yield Answered(id, bundle, _labeled(source / "images" / f"{id}.png", source / "masks" / f"{id}.png", id))


def _uns(data: Path, splits: dict, out: Path, plexus: Path | None) -> Iterator[Answered]:
    """Frames of people that the network was not trained on, in the geometry that it was trained on."""
    tests = set(splits["nerve-ultrasound/uns"]["test_subjects"])
    for frame in read_frames(data / "nerve-ultrasound", out):
        if frame["source"] == "positive" and frame["subject"] in tests:
            files = _labeled(frame["image"], frame["label"], frame["id"], frame["subject"])
            yield Answered(frame["id"], RESULTS / "uns" / "segment" / "bundle", files)


def _retina(data: Path, splits: dict, out: Path, plexus: Path | None) -> Iterator[Answered]:
    """Photographs that a network was not trained on: of its own kind of camera, and of others."""
    root = data / "retina-av"
    drive, other = RESULTS / "drive" / "seed0" / "bundle", RESULTS / "les-hrf" / "seed0" / "bundle"
    if not (drive / "bundle.json").is_file():
        return
    recipe = read_bundle(drive).recipe
    for part in ("training", "test"):
        for files in find_cases(root / "drive-av" / part, recipe):
            if part == "test":
                yield Answered(f"drive-{files.id}-by-drive", drive, _of("drive", files))
            yield Answered(f"drive-{files.id}-by-les-hrf", other, _of("drive", files))
    for name in ("les-av", "hrf-av"):
        held = splits[f"retina-av/{name}"]["test"]
        for files in find_cases(root / name / "training", recipe):
            yield Answered(f"{name}-{files.id}-by-drive", drive, _of(name, files))
            if files.id in held:
                yield Answered(f"{name}-{files.id}-by-les-hrf", other, _of(name, files))


def _plexus(data: Path, splits: dict, out: Path, plexus: Path | None) -> Iterator[Answered]:
    """Each fold's cascade answers the people that it was trained without; the folder has ``fold1/bundle`` and so on."""
    if plexus is None:
        return
    source = "nerve-ultrasound/brachial-plexus-video"
    for number, people in enumerate(splits[source]["folds"], start=1):
        bundle = plexus / f"fold{number}" / "bundle"
        if (bundle / "bundle.json").is_file():
            for files in find_cases(data / source, read_bundle(bundle).recipe):
                if files.subject in people:
                    yield Answered(files.id, bundle, files)


def _tool(data: Path, splits: dict, out: Path, plexus: Path | None) -> Iterator[Answered]:
    """Each patient's frames by the cascade of the other patient; a sequence counts as a subject, as two are too few."""
    source = data / "surgical-video" / "vocal-folds"
    with (source / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            image = next((source / "images").glob(f"{row['name']}.*"))
            files = _labeled(image, source / "masks" / f"{row['name']}.png", row["name"], row["sequence"])
            yield Answered(row["name"], RESULTS / "tool" / row["patient"] / "bundle", files)


def _cord(data: Path, splits: dict, out: Path, plexus: Path | None) -> Iterator[Answered]:
    """Each person by the cascade of the others."""
    source = data / "spinal-cord" / "errsm-t2"
    for person in splits["spinal-cord/errsm-t2"]["folds"]:
        files = _labeled(source / person / "t2.nii.gz", source / person / "t2_seg-manual.nii.gz", person)
        yield Answered(person, RESULTS / "cord" / person / "bundle", files)


def _skull(data: Path, splits: dict, out: Path, plexus: Path | None) -> Iterator[Answered]:
    """The test specimens by the cascade of twelve others."""
    bundle = RESULTS / "skull" / "curve" / "012-shots-1" / "bundle"
    if not (bundle / "bundle.json").is_file():
        return
    table = write_cases(data / "landmarks" / "mouse-skull-ct", "volumes", out)
    for files in find_cases(table, read_bundle(bundle).recipe):
        if files.id in splits["landmarks/mouse-skull-ct"]["test"]:
            yield Answered(files.id, bundle, files)


def _labeled(image: Path, label: Path, id: str, subject: str = "") -> CaseFiles:
    return CaseFiles(id=id, image=image, label=label, region=None, subject=subject or id)


def _of(name: str, files: CaseFiles) -> CaseFiles:
    """A photograph is a subject of its own, by the set that it is of."""
    return CaseFiles(files.id, files.image, files.label, files.region, f"{name} {files.id}")


_SETS = {
    "usgra": _usgra,
    "uns": _uns,
    "retina": _retina,
    "brachial-plexus": _plexus,
    "tool": _tool,
    "cord": _cord,
    "skull": _skull,
}
SETS = tuple(_SETS)

SHIPPED = {
    "usgra": "nerve-ultrasound", "retina": "retina-av", "brachial-plexus": "brachial-plexus", "tool": "surgical-tool",
    "cord": "spinal-cord", "skull": "skull-landmarks",
}  # fmt: skip
"""The shipped model whose quality a set's answers teach."""
