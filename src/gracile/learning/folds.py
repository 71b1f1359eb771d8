"""Folds, trained one after the other, each an ordinary run in a folder of its own; and a final model on all cases."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from gracile.bundle import read_manifest
from gracile.data import CaseFiles, Fold
from gracile.errors import UsageError
from gracile.learning.run import train as train_run
from gracile.learning.schedule import require_validation
from gracile.learning.time_budget import TimeBudget
from gracile.recipe import Recipe, recipe_with

log = logging.getLogger(__name__)


def recipe_of_folds(recipe: Recipe, *, final: bool) -> Recipe:
    """A recipe as folds are trained by it: the cases held back are their test, so that they choose no weights.

    Raises:
        RecipeError: The final model's schedule needs cases held back, and it has none.
        UsageError: It is for several processes, each of which would begin with the first fold.
    """
    if recipe.trainer.devices not in (1, "1") or recipe.trainer.num_nodes != 1:
        raise UsageError(
            "Folds are trained one after the other by one process.",
            "Leave trainer.devices and trainer.num_nodes at 1, or train each fold by itself with its split.json.",
        )
    for spec in recipe.stages:
        train = recipe.train_of(spec)
        if final:
            require_validation(train, 0)
        if train.schedule == "plateau" or train.stop_after:
            log.warning("The schedule of %r follows the cases held back, whose scores are then too good.", spec.name)
    return recipe_with(recipe, {"train.choose": "last"})


def fold_folder(out: Path, number: int) -> Path:
    """The folder of a fold's run."""
    return out / f"fold{number}"


def train_fold(
    recipe: Recipe, cases: Sequence[CaseFiles], fold: Fold, out: Path, start: str | Path | None = None,
    minutes: float = 0,
) -> Path:  # fmt: skip
    """Train the model of a fold, or go on where that was broken off; what is finished stays as it is.

    Args:
        recipe: Made by `recipe_of_folds`.
        cases: All cases of the run, which were checked.
        fold: The fold.
        out: Folder of the whole run.
        start: Bundle whose weights to start from.
        minutes: That it has; 0 leaves it to the recipe.

    Returns:
        The folder of its bundle.
    """
    folder = fold_folder(out, fold.number)
    if not _is_finished(folder) and not _is_begun(folder):
        fold.save(folder / "split.json", recipe.train.seed)
    return _trained(recipe, cases, folder, out, start, folder / "split.json", minutes)


def train_final(
    recipe: Recipe, cases: Sequence[CaseFiles], out: Path, start: str | Path | None = None, minutes: float = 0
) -> Path:
    """Train one more model on all cases, as its folds were trained; likewise.

    Args:
        recipe: With what was chosen on the held-back cases.
        cases: All cases of the run.
        out: Folder of the whole run.
        start: Bundle whose weights to start from.
        minutes: That it has; 0 leaves it to the recipe.

    Returns:
        The folder of its bundle.
    """
    return _trained(recipe_with(recipe, {"train.validation": 0}), cases, out / "final", out, start, None, minutes)


def _trained(
    recipe: Recipe, cases: Sequence[CaseFiles], folder: Path, out: Path, start: str | Path | None, split: Path | None,
    minutes: float,
) -> Path:  # fmt: skip
    if _is_finished(folder):
        return folder / "bundle"
    begun = _is_begun(folder)
    budget = TimeBudget(minutes, folder, time.monotonic())
    return train_run(
        recipe, list(cases), folder, split=split, start=start, resume=begun, cache=out / "cache", checked=True,
        budget=budget.resumed() if begun else budget,
    )  # fmt: skip


def _is_begun(folder: Path) -> bool:
    return (folder / "recipe.yaml").is_file()


def _is_finished(folder: Path) -> bool:
    """Whether a run's bundle is whole: what is ordinary of its cases is written last."""
    bundle = folder / "bundle"
    return (bundle / "bundle.json").is_file() and "ordinary" in read_manifest(bundle).card
