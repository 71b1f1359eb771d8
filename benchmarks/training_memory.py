"""Memory of a training against the number of its cases: drawn volumes, the whole cascade, one short epoch.

    python benchmarks/training_memory.py --cases 20 120 --size 96 [--set key=value]...

Every training sees the same number of samples, so that what steps take is not laid at the cases' door. Prints for each
number of cases the most anonymous memory (what cannot be dropped and read again from the cache) that the command and
its workers held together, and the size of the cache. Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

SETTINGS = [
    "train.epochs=1", "stages.centerline.train.epochs=1",
    "stages.centerline.patch=[32,32,32]", "stages.centerline.network.options={width: 4, stride: [2, 2, 2]}",
    "stages.cord.network.options={width: 4}", "stages.cord.size=[32,32]", "stages.cord.length=16",
    "train.validation=0.1", "measure=[]",
]  # fmt: skip


def write_tubes(folder: Path, count: int, size: int) -> None:
    """Volumes of 1 mm with a tube in them, and its masks."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    x, y, z = np.meshgrid(*[np.arange(size)] * 3, indexing="ij")
    for number in range(count):
        random = np.random.default_rng(number)
        middle = size / 2 + random.normal(0, 2, 2)
        mask = ((x - middle[0] - 3 * np.sin(z / 9)) ** 2 + (y - middle[1]) ** 2 < 30).astype(np.uint8)
        image = (300.0 * mask + random.normal(500, 40, mask.shape)).astype(np.int16)
        for kind, values in (("images", image), ("labels", mask)):
            nib.save(nib.Nifti1Image(values, np.eye(4)), folder / kind / f"case{number:03d}.nii.gz")


def anonymous_mib(process: int) -> float:
    """Anonymous memory of a process and its children; what they share counts once."""
    total = 0.0
    for one in (process, *_children(process)):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:")) / 1024
    return total


def _children(process: int) -> list[int]:
    try:
        own = [
            int(n) for task in Path(f"/proc/{process}/task").iterdir() for n in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return own + [n for child in own for n in _children(child)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[20, 120])
    parser.add_argument("--size", type=int, default=96, help="voxels along each axis")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    for count in options.cases:
        with tempfile.TemporaryDirectory() as work:
            write_tubes(Path(work) / "data", count, options.size)
            command = [sys.executable, "-m", "gracile", "train", "spinal-cord", f"{work}/data", "--out", f"{work}/run"]
            share = max(options.cases) // count
            each = [f"stages.{stage}.per_case={share}" for stage in ("centerline", "cord")]
            for setting in (*SETTINGS, *each, *options.settings):
                command += ["--set", setting]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            peak = 0.0
            while process.poll() is None:
                peak = max(peak, anonymous_mib(process.pid))
                time.sleep(0.2)
            cache = sum(file.stat().st_size for file in Path(work, "run", "cache").rglob("*.npy")) / 2**20
            print(
                f"{count} cases of {options.size}^3: {peak:.0f} MiB, cache {cache:.0f} MiB, exit {process.returncode}"
            )


if __name__ == "__main__":
    main()
