"""Each measure on true masks and points: how long it takes, and whether its figures are as they were.

    git worktree add /tmp/before COMMIT
    PYTHONPATH=/tmp/before/src python benchmarks/measures.py DATA --json before.json
    python benchmarks/measures.py DATA --json now.json --against before.json

Truth stands in for what a model finds, so that only measuring is compared. Printed are the median seconds of a case
and, against an earlier run, the ratio and the largest relative difference of any figure.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gracile.case import Case
from gracile.data import find_cases
from gracile.data.case_files import labeled, read_case
from gracile.measure import measure
from gracile.names import MODELS
from gracile.recipe import Recipe, read_recipe
from gracile.result import Landmark, Result

ROUNDS = 3

DATA = {
    "retina-av": ("retina-av/drive-av/test", "retina-av/les-av", "retina-av/hrf-av"),
    "nerve-ultrasound": ("nerve-ultrasound/usgra-seg",),
    "surgical-tool": ("surgical-video/vocal-folds",),
    "spinal-cord": ("spinal-cord/errsm-t2",),
    "skull-landmarks": ("landmarks/mouse-skull-ct",),
}
"""Folders of labeled cases of each shipped model's kind."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cases", type=int, default=4, help="of each kind of data")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    earlier = json.loads(arguments.against.read_text(encoding="utf-8")) if arguments.against else {}
    found: dict[str, Any] = {}
    for model in arguments.only:
        for group, cases in groups(model, arguments.data, arguments.cases):
            found[group] = rows = measured(read_recipe(model), cases)
            took = statistics.median(rows["seconds"])
            print(f"{group}: {took:.3f} s{compared(rows, earlier.get(group))}", flush=True)
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), encoding="utf-8")


def groups(model: str, data: Path, number: int) -> Iterator[tuple[str, list[Case]]]:
    """Labeled cases of each kind of data of a model, by a name for both."""
    recipe = read_recipe(model)
    for folder in DATA[model]:
        files = sorted(labeled(find_cases(data / folder, recipe)), key=lambda case: case.id)
        yield f"{model}, {folder}", [read_case(case, recipe) for case in files[:number]]


def measured(recipe: Recipe, cases: list[Case]) -> dict[str, Any]:
    """Seconds, the best of some rounds for each case, and all figures by case, name and structure."""
    seconds, figures = [], {}
    for case in cases:
        took = []
        for _ in range(ROUNDS):
            result = told(recipe, case)
            start = time.perf_counter()
            measure(case, result, recipe, {})
            took.append(time.perf_counter() - start)
        seconds.append(min(took))
        figures |= {f"{case.id} {one.structure} {one.name}": one.value for one in result.measurements}
        figures |= {
            f"{case.id} {kind} {number} {column}": value
            for kind, rows in result.tables.items()
            for number, row in enumerate(rows)
            for column, value in row.items()
            if isinstance(value, int | float)
        }
    return {"seconds": seconds, "figures": figures}


def told(recipe: Recipe, case: Case) -> Result:
    """The truth of a case as what was found."""
    points = [Landmark(name, place, 1.0) for name, place in case.points.items()]
    return Result(
        case.id, "found", case.grid, recipe.class_names, mask=case.truth, region=case.region, landmarks=points
    )


def compared(rows: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    """In words, against an earlier run."""
    if earlier is None:
        return ""
    ratio = statistics.median(earlier["seconds"]) / statistics.median(rows["seconds"])
    figures = rows["figures"]
    if not earlier["figures"]:
        return ", and no figures"
    largest, where = max((difference(value, figures.get(name)), name) for name, value in earlier["figures"].items())
    return f", {ratio:.1f} times as fast; of {len(figures)} figures none differs by more than {largest:.2%} ({where})"


def difference(before: float | None, now: float | None) -> float:
    """Relative to the earlier figure; 1 where only one of them is there."""
    if before is None or now is None:
        return float(before is not now)
    return abs(now - before) / max(abs(before), 1e-9)


if __name__ == "__main__":
    main()
