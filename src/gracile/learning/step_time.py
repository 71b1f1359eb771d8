"""How long a step of a training takes on this machine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gracile.data import CaseFiles
from gracile.data.spread import spread
from gracile.devices import has_fast_bf16, in_fast_layout
from gracile.errors import DataError
from gracile.learning.fit import training_device
from gracile.learning.learners import Learner, build_learner
from gracile.learning.sampling import prepared_case
from gracile.recipe import Recipe
from gracile.transforms import Prepared

CASES = 3
"""Cases that a candidate is timed on."""

MOST_PREPARED = 20
"""Cases that are looked through for these."""

ENOUGH_SECONDS = 3.0
"""Of steps, after which the last one's time is believed."""

MOST_STEPS = 6

SLACK = 1.15
"""What else a training does beside its steps: validation, checkpoints, logs."""


@dataclass(frozen=True)
class Timed:
    """Seconds of a step with all that belongs to it, and of its parts.

    Args:
        step: Of a training step, its samples drawn beside it.
        drawing: Of drawing one sample.
        computing: Of the network's part.
    """

    step: float
    drawing: float
    computing: float


def time_step(recipe: Recipe, cases: Sequence[CaseFiles], cache: Path) -> Timed:
    """Time the training steps of a recipe's last stage on a few cases.

    Args:
        recipe: With the candidate's settings.
        cases: Labeled cases; a few are prepared, spread over all, that the stage learns from.
        cache: Folder for these; recipes that prepare alike may share one.

    Raises:
        DataError: The stage learns nothing from the cases that were prepared.
        RecipeError: The recipe cannot be built.
    """
    learner = build_learner(recipe.stages[-1], recipe).train().to(training_device(recipe.trainer))
    in_fast_layout(learner)
    samples = learner.samples(_teaching(learner, cases, cache), recipe.train.seed)
    batch_size = recipe.train_of(recipe.stages[-1]).batch_size
    samples[0]  # what stages make of a whole case is made once, and kept
    start = time.perf_counter()
    drawn = [samples[number] for number in range(batch_size)]
    drawing = (time.perf_counter() - start) / batch_size
    batch = {name: torch.stack([sample[name] for sample in drawn]).to(learner.device) for name in drawn[0]}
    batch["image"] = in_fast_layout(batch["image"])
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-4)
    half = has_fast_bf16(learner.device)
    seconds: list[float] = []
    while len(seconds) < 2 or (sum(seconds) < ENOUGH_SECONDS and len(seconds) < MOST_STEPS):
        start = time.perf_counter()
        with torch.autocast(learner.device.type, torch.bfloat16, enabled=half):
            terms = learner.losses(batch)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        if learner.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    computing = min(seconds[1:])
    # A process beside the training draws samples, and takes its time from the same cores.
    beside = drawing * batch_size / max(1, torch.get_num_threads())
    return Timed(SLACK * max(computing + beside, drawing * batch_size), drawing, computing)


def _teaching(learner: Learner, cases: Sequence[CaseFiles], cache: Path) -> list[Prepared]:
    """Cases that a stage learns from; among those that show nothing, at most so many are looked through."""
    found: list[Prepared] = []
    looked = spread(cases)[:MOST_PREPARED]
    for files in looked:
        case = prepared_case(files, learner.recipe, cache)
        if learner.learns_from(case):
            found.append(case)
        if len(found) == CASES:
            break
    if not found:
        raise DataError(
            f"The stage {learner.name!r} learns nothing from any of {len(looked)} cases.", "Check their labels."
        )
    return found
