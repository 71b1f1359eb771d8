"""The learning rate as a function of the progress or of the validation history, and when that history ends a run.

The history is the plain list of a stage's validation losses so far, one for each validation. All that is decided from
it is decided anew each time, so that the list is the only state that a resumed run needs.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

from gracile.errors import RecipeError
from gracile.recipe import TrainSpec

LEAST = 1e-3
"""The smallest factor to which a schedule lowers the learning rate."""


def scheduled(progress: float, spec: TrainSpec, losses: Sequence[float] = ()) -> float:
    """Factor on the learning rate: a linear warm-up, then the schedule.

    Args:
        progress: Share of the training that is done, from 0 to 1.
        spec: Gives the schedule: ``constant``; ``cosine``, which follows the progress; or ``plateau``, which
            multiplies the rate by ``plateau_factor`` each time that ``patience`` validations have passed without
            improvement.
        losses: Validation losses so far, the latest last.
    """
    rise = min(1.0, (progress + 1e-4) / spec.warmup) if spec.warmup else 1.0
    if spec.schedule == "constant":
        return rise
    if spec.schedule == "plateau":
        return rise * max(LEAST, spec.plateau_factor ** reductions(losses, spec.patience))
    fall = max(0.0, progress - spec.warmup) / max(1e-6, 1.0 - spec.warmup)
    return max(LEAST, rise * 0.5 * (1.0 + math.cos(math.pi * fall)))


def reductions(losses: Sequence[float], patience: int) -> int:
    """How often ``patience`` validations in a row brought no improvement; each time the counting begins anew."""
    count = waited = 0
    for better in _improvements(losses):
        waited = 0 if better else waited + 1
        if waited == patience:
            count, waited = count + 1, 0
    return count


def is_over(losses: Sequence[float], spec: TrainSpec) -> bool:
    """Whether the last ``stop_after`` validations brought no improvement; never where that is 0."""
    return 0 < spec.stop_after <= len(losses) and not any(_improvements(losses)[-spec.stop_after :])


def require_validation(spec: TrainSpec, held_back: int) -> None:
    """Raise RecipeError when the schedule or the early stop needs validation losses and no case is held back."""
    asking = ["train.schedule=plateau"] if spec.schedule == "plateau" else []
    if spec.stop_after:
        asking.append(f"train.stop_after={spec.stop_after}")
    if asking and not held_back:
        raise RecipeError(
            f"{' and '.join(asking)} cannot follow a validation loss, as no case is held back for validation.",
            "Hold some back, such as --set train.validation=0.2, or choose --set train.schedule=cosine "
            "--set train.stop_after=0.",
        )


def _improvements(losses: Sequence[float]) -> list[bool]:
    """Whether each loss is below all before it. One that is not a number is no improvement, nor is it one to beat."""
    losses = [math.inf if math.isnan(loss) else loss for loss in losses]
    best_before = [math.inf, *accumulate(losses, min)]
    return [loss < best for loss, best in zip(losses, best_before, strict=False)]
