"""One trial of a study: an ordinary training of one stage with the settings that are tried, scored as it goes on."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna

from gracile.bundle import Bundle
from gracile.data import CaseFiles, load_split
from gracile.errors import DataError
from gracile.io.atomic import remove_leftovers, write_text
from gracile.learning.fit import fit_stage
from gracile.learning.learners import LEARNERS, Learner
from gracile.learning.run import begin_stage, how_trained
from gracile.learning.sampling import prepared_case
from gracile.recipe import Recipe, StageSpec, TrainerSpec, recipe_with
from gracile.study import StudySpec, Value
from gracile.transforms import Prepared


@dataclass
class Plan:
    """What every trial of a study needs.

    Args:
        spec: The study.
        recipe: The recipe before any setting of it.
        cases: Labeled cases.
        out: Folder of the study; it holds the split that all trials share.
        source: Bundle that every trial starts from.
        threads: Processor threads of this worker; 0 leaves it to the recipe.
    """

    spec: StudySpec
    recipe: Recipe
    cases: Sequence[CaseFiles]
    out: Path
    source: Bundle | None = None
    threads: int = 0
    _prepared: dict[str, list[list[Prepared]]] = field(default_factory=dict)

    @property
    def split(self) -> Path:
        """The split of all trials."""
        return self.out / "split.json"

    @property
    def score(self) -> tuple[str, bool]:
        """Name of the score that a trial is judged by, and whether more of it is better."""
        name, way = getattr(LEARNERS[self.spec.stage_of(self.recipe).kind], "choosing", Learner.choosing)
        return name, way == "max"

    def sides(self, recipe: Recipe) -> list[list[Prepared]]:
        """Prepared cases to train and to validate on; those of recipes that prepare alike are prepared once."""
        parts = recipe.model_dump(mode="json", include={"classes", "landmarks", "trees", "input", "prepare"})
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
        if key not in self._prepared:
            split = load_split(self.split, list(self.cases))
            cache = self.out / "cache" / key
            self._prepared[key] = [[prepared_case(files, recipe, cache) for files in side] for side in split]
        return self._prepared[key]


def run_trial(plan: Plan, trial: optuna.Trial, given: Mapping[str, Value], folder: Path) -> float:
    """Train once for each of the study's seeds and give the mean score.

    Goes on with what the folder holds of an interrupted attempt at the same settings. Checkpoints are deleted when the
    trial is over; its recipe and the course of its figures stay.

    Args:
        plan: What all trials share.
        trial: Told the score of each validation of the first training.
        given: The values that are tried.
        folder: Folder of the trial.

    Raises:
        TrialPruned: The study gives the trial up.
        GracileError: It cannot be trained with these settings.
    """
    recipe = plan.spec.apply(plan.recipe, given)
    recipe = recipe.model_copy(update={"trainer": _alone(recipe.trainer, plan.threads)})
    name, _ = plan.score
    figures = []
    try:
        for number in range(plan.spec.seeds):
            out = folder if plan.spec.seeds == 1 else folder / f"seed{number}"
            seeded = _with_seed(recipe, plan.spec.stage_of(recipe), number)
            figures.append(_train(plan, seeded, out, trial if number == 0 else None, name))
    except Exception:
        _delete_checkpoints(folder)
        raise
    _delete_checkpoints(folder)
    trial.set_user_attr("scores", [some[name] for some in figures])
    trial.set_user_attr("epochs", [some["epochs"] for some in figures])
    return fmean(some[name] for some in figures)


def _with_seed(recipe: Recipe, spec: StageSpec, more: int) -> Recipe:
    """The recipe with a seed that is higher by a number, for the stage as well where it has its own."""
    if not more:
        return recipe
    own = {f"stages.{spec.name}.train.seed": spec.train["seed"] + more} if "seed" in spec.train else {}
    return recipe_with(recipe, {"train.seed": recipe.train.seed + more, **own})


def _alone(trainer: TrainerSpec, threads: int) -> TrainerSpec:
    """One process on one device: trials run side by side instead."""
    more = {"threads": threads} if threads and not trainer.threads else {}
    return trainer.model_copy(update={"devices": 1, "num_nodes": 1, "strategy": "auto", **more})


def _train(plan: Plan, recipe: Recipe, out: Path, trial: optuna.Trial | None, score: str) -> dict[str, Any]:
    """Train the stage that is tuned; gives the figures of the chosen weights."""
    remove_leftovers(out, depth=2)
    write_text(out / "recipe.yaml", recipe.to_yaml())
    spec = plan.spec.stage_of(recipe)
    stage, transfer = begin_stage(spec, recipe, plan.source)
    sides = [[case for case in side if stage.learns_from(case)] for side in plan.sides(recipe)]
    stage.require_lessons(sides[0])
    _require_validation(stage, sides[1])

    def observe(epoch: int, scores: dict[str, float]) -> None:
        if trial is not None:
            trial.report(scores[score], epoch)
            if plan.spec.pruning is not None and trial.should_prune():
                raise optuna.TrialPruned(f"worse than the median at epoch {epoch + 1}")

    how = how_trained(spec, recipe, transfer)
    return fit_stage(stage, sides[0], sides[1], how.train, recipe.trainer, out / stage.name, how.learning, observe)


def _require_validation(stage: Learner, cases: Sequence[Prepared]) -> None:
    if not cases:
        raise DataError(
            f"No held-back case tells the stage {stage.name!r} anything, so that trials cannot be compared.",
            "Hold more back with --set train.validation=0.3, or give a --split.",
        )


def _delete_checkpoints(folder: Path) -> None:
    for checkpoint in folder.rglob("*.ckpt"):
        checkpoint.unlink()
    for events in folder.rglob("tensorboard"):
        shutil.rmtree(events)
