"""Trains a recipe, or what was planned for the data."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gracile.api.arguments import checked
from gracile.api.checking import check_recipe
from gracile.api.experiments import compare_held_back
from gracile.api.experiments.folds import asks_for_folds, is_fold_run, train_folds
from gracile.api.planning import planned
from gracile.data import find_cases, select
from gracile.ensemble import single
from gracile.errors import UsageError
from gracile.io.atomic import require_writable
from gracile.recipe import Recipe, read_recipe, recipe_from


@checked
def train(
    recipe: str | Path | Recipe,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: Sequence[str] = (),
    cases: str = "",
    exclude: str = "",
    split: str | Path | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    folds: int | None = None,
    final: bool = False,
    say: Callable[[str], None] | None = None,
    minutes: float = 0,
    started: float | None = None,
) -> Path:
    """Train a recipe on labeled cases.

    Args:
        recipe: Name of a recipe, a YAML file, a recipe, or ``auto``, which plans one for the data: see `plan`.
        data: One or several data folders or CSV files.
        out: Folder of the run.
        settings: ``key=value`` changes to the recipe.
        cases: Comma-separated ids or file stems to take; empty takes all.
        exclude: Those to leave out.
        split: A ``split.json`` of another run to use, or a file of folds; None draws them by subject.
        start: Bundle whose weights to start from, of an ensemble its first member; where cases are held back,
            ``out/comparison`` then shows them before and after.
        resume: Continue the run in ``out``.
        folds: Train as many models, each without its part of the subjects, score every case by the one that did not see
            it, and join them; see `gracile.api.experiments.folds.train_folds`.
        final: With folds: train one more model on all cases, ``out/final/bundle``.
        say: Told what was planned and, with folds, what is begun.
        minutes: Wall time of all of it, planning, every stage and calibration included, or with folds of each; 0 sets
            no limit but the recipe's own, with ``auto`` `gracile.plan.planning.MINUTES`.
        started: When these minutes began, by `time.monotonic`; None: now.

    Returns:
        The folder of the bundle; with folds that of their ensemble.
    """
    from gracile.learning.record import is_first, read_run_recipe
    from gracile.learning.run import train as train_recipe
    from gracile.learning.time_budget import TimeBudget

    said = say or (lambda text: None)
    budget = TimeBudget(minutes, Path(out), time.monotonic() if started is None else started)
    if resume:
        budget = budget.resumed(minutes)
        chosen = read_run_recipe(Path(out))
        if settings and recipe_from(chosen.model_dump(mode="json"), list(settings)) != chosen:
            raise UsageError("A resumed run keeps the settings it was started with.", "Leave --set out, or start anew.")
    else:
        if recipe == "auto":
            recipe, budget.minutes = planned(data, Path(out), minutes, cases, exclude, settings, said)
            settings = ()
        chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, list(settings))
        check_recipe(chosen)
    require_writable(out, "bundle/", "cache/", "recipe.yaml", "data.json", "split.json", "environment.json", depth=3)
    found = select(find_cases(data, chosen), include=cases, exclude=exclude)
    start = None if start is None else single(start)
    if asks_for_folds(folds, split) or (resume and is_fold_run(Path(out))):
        return train_folds(
            chosen, found, Path(out), folds, split, start, resume=resume, final=final, say=said, minutes=budget.minutes
        )
    if final:
        raise UsageError("A final model is trained after folds.", "Add --folds 5, or leave --final out.")
    bundle = train_recipe(chosen, found, Path(out), split=split, start=start, resume=resume, budget=budget)
    if start is not None and is_first():
        compare_held_back(start, bundle, found, Path(out))
    return bundle
