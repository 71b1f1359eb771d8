"""A volume from reading to writing: behind the locator, and the whole volume without cropping, in one run.

    python benchmarks/volume_speed.py DATA/spinal-cord/errsm-t2/errsm_23/t2.nii.gz --model models/spinal-cord

Prints seconds and peak memory of each, and their ratio: what cropping buys. Both use the same weights at the same
spacing; each runs in a process of its own whose imports and loading of the model are counted apart. The thread count
is PyTorch's own unless ``--threads`` says otherwise.
"""

import argparse
from pathlib import Path

from one_volume import in_its_own_process

WAYS = {"cropped": (), "whole": ("--from-stage", "1", "--set", "stages.cord.along=''")}


def main() -> None:
    arguments = parse()
    found = {}
    for way, options in WAYS.items():
        rounds = arguments.rounds if way == "cropped" else 1
        found[way] = row = in_its_own_process(arguments.volume, arguments.model, arguments.threads, rounds, *options)
        print(
            f"{way}: {row['seconds']:.2f} s ({row['first']:.2f} s the first time, {row['load']:.1f} s to import and "
            f"load), peak {row['peak_gib']:.2f} GiB; {row['steps']}"
        )
    print(f"what cropping buys: {found['whole']['seconds'] / found['cropped']['seconds']:.1f} times the speed")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="a bundle of recipe spinal-cord")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
