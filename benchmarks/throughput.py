"""Many inputs from the shell: photographs of mixed sizes, ultrasound frames, cord volumes, with tables and reports.

    python benchmarks/throughput.py DATA
    git worktree add /tmp/before COMMIT
    python benchmarks/throughput.py DATA --before /tmp/before/src

Each job is a process of its own. Printed are its seconds, inputs per second and largest memory and, against an earlier
version, the ratio of both, which take turns. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from startup import ENVIRONMENT, timed_process

JOBS = {
    "photographs": (
        "retina-av",
        ("retina-av/drive-av/test", "retina-av/les-av/training", "retina-av/hrf-av/training"),
        "images/*",
        14,
        40,
    ),
    "frames": ("nerve-ultrasound", ("nerve-ultrasound/uns-256-positive",), "images/*", 1000, 1000),
    "volumes": ("spinal-cord", ("spinal-cord/errsm-t2",), "*/t2.nii.gz", 5, 10),
}
"""Of each job the model, folders of its data, which files of them, how many of each, and how many in all, which are
found by going through the files again under other names."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--before", type=Path, help="the folder src of an earlier version")
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    ways = {"now": Path(__file__).parents[1] / "src"} | ({"before": arguments.before} if arguments.before else {})
    found = {}
    for job in arguments.only:
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        with tempfile.TemporaryDirectory() as folder:
            model, number = gathered(job, arguments.data, Path(folder))
            for _ in range(arguments.rounds):
                for way, source in ways.items():
                    taken[way].append(run(model, Path(folder), number, source))
        medians = {way: statistics.median(seconds for seconds, _ in rows) for way, rows in taken.items()}
        for way, rows in taken.items():
            most = max(peak for _, peak in rows)
            print(f"{number} {job}, {way}: {medians[way]:.1f} s, at most {most:.0f} MB", flush=True)
            found[f"{job} {way}"] = rows
        if arguments.before:
            print(f"{job}: {medians['before'] / medians['now']:.1f} times as many in the same time", flush=True)
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), encoding="utf-8")


def gathered(job: str, data: Path, folder: Path) -> tuple[str, int]:
    """The model of a job, and how many links to its inputs lie in a folder now."""
    model, sources, pattern, each, number = JOBS[job]
    files = [path for source in sources for path in sorted((data / source).glob(pattern))[:each]]
    for place in range(number):
        path = files[place % len(files)]
        name = path.name if pattern.startswith("images") else f"{path.parent.name}.nii.gz"
        (folder / f"{place:04}-{name}").symlink_to(path.resolve())
    return model, number


def run(model: str, folder: Path, number: int, source: Path) -> tuple[float, float]:
    """Seconds and the largest memory in MB of one prediction of a folder."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "gracile", "predict", model, str(folder), "--out", out]
        taken = timed_process(command, {**ENVIRONMENT, "PYTHONPATH": os.fspath(source)})
        answered = json.loads((Path(out) / "predictions.json").read_text(encoding="utf-8"))["inputs"]
        if len(answered) != number or not (Path(out) / "report" / "index.html").is_file():
            raise SystemExit(f"failed: {' '.join(command)}")
        return taken


if __name__ == "__main__":
    main()
