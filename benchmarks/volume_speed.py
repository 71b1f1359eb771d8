"""A volume from reading to writing: by the engine chosen by itself, by PyTorch, and without cropping, in one run.

    python benchmarks/volume_speed.py DATA/spinal-cord/errsm-t2/errsm_23/t2.nii.gz --model models/spinal-cord

Prints seconds and peak memory of each, and the ratios: what the engine and what cropping buys. All use the same weights
at the same spacing; each runs in a process of its own whose imports and loading of the model are counted apart.
"""

import argparse
from pathlib import Path

from one_volume import in_its_own_process

WAYS = {
    "by itself": (),
    "PyTorch": ("--engine", "torch"),
    "without cropping": ("--from-stage", "1", "--set", "stages.cord.along=''"),
}


def main() -> None:
    arguments = parse()
    found = {}
    for way, options in WAYS.items():
        rounds = 1 if way == "without cropping" else arguments.rounds
        found[way] = row = in_its_own_process(arguments.volume, arguments.model, arguments.threads, rounds, *options)
        print(
            f"{way}: {row['seconds']:.2f} s ({row['first']:.2f} s the first time, {row['load']:.1f} s to import and "
            f"load), peak {row['peak_gib']:.2f} GiB; {row['steps']}"
        )
    for way in ("PyTorch", "without cropping"):
        print(f"{way} takes {found[way]['seconds'] / found['by itself']['seconds']:.1f} times as long")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="a bundle of recipe spinal-cord")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
