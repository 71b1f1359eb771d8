"""Exported models beside Gracile on real inputs: how many pixels differ, Dice and clDice of both masks, points.

    python benchmarks/export.py DATA
    python benchmarks/export.py DATA --only surgical-tool --json parity.json

DATA holds ``retina-av``, ``nerve-ultrasound``, ``surgical-video``, ``spinal-cord`` and ``landmarks``. Each shipped
model is exported for ONNX Runtime and for OpenVINO. Models of pictures are asked twice: as they find the region by
themselves, and with the region that Gracile found; those of volumes by the plain example in their folder, whose
seconds from its start are printed beside Gracile's with the model loaded. Gracile computes in float32. Many of the
inputs are those that the models learned from: what is asked is whether both answers are the same, not whether they are
right.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from gracile.bundle import read_bundle
from gracile.export.onnx_file import OnnxFile
from gracile.export.openvino_ir import OpenvinoIR
from gracile.export.parity import Parity, ParityRow
from gracile.export.pictures import compared, read_cases
from gracile.export.volume_parity import beside_gracile
from gracile.export.volumes import onnx_folder, openvino_folder, row_of
from gracile.io import image_files
from gracile.names import MODELS

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


VOLUMES = {
    "spinal-cord": (
        "spinal-cord/errsm-t2/*/t2.nii.gz", "spinal-cord/lumbar-example/*lumbar.nii.gz",
        "spinal-cord/sct-testing/t1/t1w.nii.gz", "spinal-cord/sct-testing/t2/t2.nii.gz",
        "spinal-cord/sct-testing/t2s/t2s*d.nii.gz", "spinal-cord/sct-testing/t2s/t2s.nii.gz",
        "spinal-cord/sct-testing/mt/mt1.nii.gz",
        "spinal-cord/sct-testing/template/template/PAM50_small_t2.nii.gz",
    ),
    "skull-landmarks": ("landmarks/mouse-skull-ct/volumes/*.nii.gz",),
}  # fmt: skip
"""Volumes of the models of volumes; `MOST` at equal steps."""

MOST = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--json", type=Path, help="write the figures of each input to this file")
    arguments = parser.parse_args()
    print("| model | engine | inputs | alike | differing, mean | most | least Dice | least clDice | farthest point |")
    print("|---|---|---|---|---|---|---|---|---|")
    parity = Parity()
    for name in arguments.only:
        rows = list((measured if name in PICTURES else measured_volumes)(name, arguments.data))
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


def measured_volumes(name: str, data: Path) -> Iterator[ParityRow]:
    """The rows of a shipped model's volumes."""
    bundle = read_bundle(name)
    files = sorted({path for pattern in VOLUMES[name] for path in data.glob(pattern)})
    files = files[:: max(1, len(files) // MOST)][:MOST]
    for write in (onnx_folder, openvino_folder):
        with TemporaryDirectory() as place:
            found = list(beside_gracile(bundle, write(bundle, name, Path(place)), files))
        own, example = (
            statistics.median(getattr(one, f"{who}_seconds") for one in found) for who in ("own", "exported")
        )
        print(f"{name}, {found[0].engine}: an example takes {example:.1f} s, Gracile {own:.1f} s", file=sys.stderr)
        yield from (row_of(one, bundle.recipe.structures) for one in found)


def summary(rows: Sequence[ParityRow]) -> list[str]:
    differing = [row.differing for row in rows if row.differing is not None]
    points = [row.points_voxels for row in rows if row.points_voxels is not None]
    if not differing:
        alike = sum(distance < 1e-3 for distance in points)
        return [str(len(rows)), str(alike), "", "", "", "", f"{max(points):.1e} voxel"]
    least = [min(min(getattr(row, score).values()) for row in rows) for score in ("dice", "cldice")]
    return [
        str(len(rows)), str(differing.count(0.0)), f"{100 * statistics.mean(differing):.5f} %",
        f"{100 * max(differing):.5f} %", *(f"{value:.5f}" for value in least), "",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
