"""Make a shipped bundle of a training run: weights, graphs, golden answers, table of engines, card.

    python benchmarks/ship.py RUN --name NAME --card card.yaml --cases DATA

``models/NAME`` is replaced. ``--card`` is a YAML file whose sections go into the card that the training wrote
(``licence``, ``metrics``, ``limits``, ...). ``--cases`` is a labeled data set of the recipe's kind, never the test set.
On at most ``--most`` of its cases every engine and number format that this machine has is compared with PyTorch in
float32; what agrees stands in the card's ``engines``, by which `auto` takes bfloat16. The golden answers are checked at
the end.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gracile.bundle import read_bundle, write_card
from gracile.case import Case
from gracile.data import find_cases, read_case
from gracile.errors import GracileError
from gracile.learning.graphs import upgrade_bundle
from gracile.names import models_folder
from gracile.pipeline import Pipeline
from gracile.result import Result
from gracile.runners import Computing
from gracile.runners.agreement import row_name
from gracile.runners.verify import verify

WAYS = [("openvino", "float32"), ("openvino", "bfloat16"), ("onnxruntime", "float32"), ("torch", "bfloat16")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a training's folder, or a bundle")
    parser.add_argument("--name", required=True)
    parser.add_argument("--card", type=Path)
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--most", type=int, default=10)
    arguments = parser.parse_args()
    source = arguments.run / "bundle" if (arguments.run / "bundle").is_dir() else arguments.run
    out = models_folder() / arguments.name
    if source.resolve() != out.resolve():
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(source, out)
    for stage, reason in upgrade_bundle(str(out)).items():
        print(f"{stage} has no graph: {reason}")
    card = read_bundle(out).card
    if arguments.card:
        card |= yaml.safe_load(arguments.card.read_text(encoding="utf-8"))
    if arguments.cases:
        card["engines"] = engine_table(out, arguments.cases, arguments.most)
    write_card(out, card)
    rows = verify(read_bundle(out), [])
    for row in rows:
        print(f"{row.stage} {row.engine} {row.precision}: {row.difference}{'' if row.right else '  WRONG'}")
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:10} {path.name}")
    if not all(row.right for row in rows):
        raise SystemExit(1)


def engine_table(folder: Path, data: Path, most: int) -> dict[str, dict[str, float]]:
    """By engine and number format how its answers agree with PyTorch's in float32; see `gracile.runners.agreement`."""
    bundle = read_bundle(folder)
    files = [one for one in find_cases(data, bundle.recipe) if one.label is not None or one.points]
    cases = [read_case(one, bundle.recipe) for one in files[:: max(1, -(-len(files) // most))]]
    right = answers(Pipeline.from_bundle(bundle, Computing("torch", "float32")), cases)
    table = {}
    for engine, precision in WAYS:
        try:
            found = answers(Pipeline.from_bundle(bundle, Computing(engine, precision)), cases)
        except GracileError as error:
            print(f"{engine} in {precision} is left out: {error}")
            continue
        table[row_name(engine, precision)] = agreement(cases, right, found)
        print(row_name(engine, precision), table[row_name(engine, precision)])
    return table


def answers(pipeline: Pipeline, cases: Sequence[Case]) -> list[Result]:
    """What a pipeline finds in cases."""
    return [pipeline(case) for case in cases]


def agreement(cases: Sequence[Case], right: Sequence[Result], found: Sequence[Result]) -> dict[str, float]:
    """Share of pixels and of gate decisions that agree, points of Dice or of landmarks within 1 mm that differ."""
    row: dict[str, Any] = {"cases": len(cases)}
    pairs = [(a.mask, b.mask) for a, b in zip(right, found, strict=True) if a.mask is not None and b.mask is not None]
    if pairs:
        row["pixels"] = float(np.mean([(a == b).mean() for a, b in pairs]))
    decisions = [a.gate_decisions == b.gate_decisions for a, b in zip(right, found, strict=True)]
    if any(result.gate_decisions for result in right):
        row["gates"] = float(np.mean(decisions))
    scores = [[score(case, result) for case, result in zip(cases, side, strict=True)] for side in (right, found)]
    row["score_difference"] = float(100 * abs(np.nanmean(scores[0]) - np.nanmean(scores[1])))
    return {name: round(value, 6) for name, value in row.items()}


def score(case: Case, result: Result) -> float:
    """Dice of all structures together, or the share of landmarks within 1 mm."""
    if case.points:
        near = [mark.point_mm is not None and np.linalg.norm(mark.point_mm - case.points[mark.name]) <= 1.0
                for mark in result.landmarks if mark.name in case.points]  # fmt: skip
        return float(np.mean(near))
    if case.truth is None or result.mask is None:
        return float("nan")
    true, mask = case.truth > 0, result.mask > 0
    return float(2 * (true & mask).sum() / max(1, true.sum() + mask.sum()))


if __name__ == "__main__":
    main()
