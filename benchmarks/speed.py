"""Time the prediction of one picture, and the same network in float32 eager mode, in one run.

    python benchmarks/speed.py PICTURE --model retina-av --json speed.json

Prints the best and the median of several rounds in which both take turns: the whole prediction once the model is loaded
(read, prepare, stages, restore; without measuring and writing), its network alone, and the network in float32 with
PyTorch's default memory order. Ratios are those of the medians. Nothing else should run meanwhile.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import gracile
from gracile.devices import has_fast_bf16
from gracile.io import read_case_file
from gracile.transforms import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--model", default="retina-av")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = gracile.load(arguments.model, device="cpu")
    stage = model.pipeline.deciding
    eager = gracile.load(arguments.model, device="cpu").pipeline.deciding
    eager.to(memory_format=torch.contiguous_format)
    case = read_case_file(arguments.picture, "picture")
    image = torch.from_numpy(prepare(case, model.recipe)[0].image)[None]
    fast = image.contiguous(memory_format=torch.channels_last)
    steps: dict[str, Callable[[], object]] = {
        "prediction": lambda: model.pipeline(read_case_file(arguments.picture, "picture")),
        "network": lambda: _answer(stage, fast, has_fast_bf16(torch.device("cpu"))),
        "network, float32 eager": lambda: _answer(eager, image, False),
    }
    seconds = timed(steps, arguments.rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    plain = medians["network, float32 eager"]
    rest = medians["prediction"] - medians["network"]
    figures = {
        "picture": [int(n) for n in case.grid.shape],
        "network_input": [int(n) for n in image.shape],
        "threads": arguments.threads,
        "bf16": has_fast_bf16(torch.device("cpu")),
        "seconds": {name: {"median": medians[name], "best": min(values)} for name, values in seconds.items()},
        "network_ratio": medians["network"] / plain,
        "prediction_ratio": medians["prediction"] / (plain + rest),
    }
    for name, values in seconds.items():
        print(f"{name:24} median {medians[name]:.3f} s, best {min(values):.3f} s")
    print(f"network against float32 eager {figures['network_ratio']:.2f}, prediction {figures['prediction_ratio']:.2f}")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(figures, indent=1))


def timed(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in each round, after two rounds that don't count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _answer(stage: torch.nn.Module, image: torch.Tensor, bf16: bool) -> torch.Tensor:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return stage.logits(image)


if __name__ == "__main__":
    main()
