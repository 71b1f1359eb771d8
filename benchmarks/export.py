"""Exported picture models beside Gracile on real pictures: how many pixels differ, Dice and clDice of both masks.

    python benchmarks/export.py DATA
    python benchmarks/export.py DATA --only surgical-tool --json parity.json

DATA holds ``retina-av``, ``nerve-ultrasound`` and ``surgical-video``. Each shipped picture model is exported for ONNX
Runtime and for OpenVINO, and both are asked twice: as they find the region by themselves, and with the region that
Gracile found. Gracile computes in float32. Many of the pictures are those that the models learned from: what is asked
is whether both answers are the same, not whether they are right.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from gracile.bundle import read_bundle
from gracile.export.onnx_file import OnnxFile
from gracile.export.openvino_ir import OpenvinoIR
from gracile.export.parity import Parity, ParityRow
from gracile.export.pictures import compared, read_cases
from gracile.io import image_files

PICTURES = {
    "retina-av": {
        "retina-av/drive-av/test/images": 20, "retina-av/les-av/training/images": 20,
        "retina-av/hrf-av/training/images": 20,
    },
    "nerve-ultrasound": {
        "nerve-ultrasound/usgra-seg/images": 30, "nerve-ultrasound/uns-original-sample/images": 10,
        "nerve-ultrasound/brachial-plexus-video/images": 10,
    },
    "surgical-tool": {"surgical-video/vocal-folds/images": 40},
}  # fmt: skip
"""How many pictures of each folder are looked at, at equal steps; all where there are fewer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES))
    parser.add_argument("--json", type=Path, help="write the figures of each picture to this file")
    arguments = parser.parse_args()
    print("| model | engine | pictures | all alike | differing, mean | differing, most | least Dice | least clDice |")
    print("|---|---|---|---|---|---|---|---|")
    parity = Parity()
    for name in arguments.only:
        rows = list(measured(name, arguments.data))
        parity.rows += rows
        for engine, own in groupby(sorted(rows, key=lambda row: row.engine), key=lambda row: row.engine):
            print(f"| {name} | {engine} | {' | '.join(summary(list(own)))} |", flush=True)
    if arguments.json:
        parity.write(arguments.json)


def measured(name: str, data: Path) -> Iterator[ParityRow]:
    """The rows of a shipped model's pictures."""
    bundle = read_bundle(name)
    with TemporaryDirectory() as place:
        ways = [OnnxFile(), OpenvinoIR()]
        for way in ways:
            way.open(way.write(bundle, name, Path(place)))
        for folder, count in PICTURES[name].items():
            files = image_files(data / folder)
            step = max(1, len(files) // count)
            yield from compared(bundle, ways, list(read_cases(files[::step][:count], bundle.recipe)), given=True)


def summary(rows: Sequence[ParityRow]) -> list[str]:
    differing = [row.differing for row in rows if row.differing is not None]
    least = [min(min(getattr(row, score).values()) for row in rows) for score in ("dice", "cldice")]
    return [
        str(len(rows)), str(differing.count(0.0)), f"{100 * statistics.mean(differing):.5f} %",
        f"{100 * max(differing):.5f} %", *(f"{value:.5f}" for value in least),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
