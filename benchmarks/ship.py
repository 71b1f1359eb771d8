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
from pathlib import Path

import yaml

from gracile.bundle import read_bundle, write_card
from gracile.data import find_cases
from gracile.learning.engine_table import engine_table
from gracile.learning.graphs import upgrade_bundle
from gracile.names import models_folder
from gracile.runners.verify import verify

RIGHT = ("torch", "float32")
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
        files = [one for one in find_cases(arguments.cases, read_bundle(out).recipe) if one.label or one.points]
        card["engines"] = engine_table(out, files, RIGHT, WAYS, most=arguments.most)
        for name, row in card["engines"].items():
            print(name, row)
    write_card(out, card)
    rows = verify(read_bundle(out), [])
    for row in rows:
        print(f"{row.stage} {row.engine} {row.precision}: {row.difference}{'' if row.right else '  WRONG'}")
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:10} {path.name}")
    if not all(row.right for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
