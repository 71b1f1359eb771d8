"""A training run: from recipe and cases to a bundle, with everything needed to repeat or resume it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.data import CaseFiles, labeled, save_split
from gracile.data.contradictions import marked
from gracile.errors import BundleError, DataError, UsageError
from gracile.learning.engine_table import add_engine_table
from gracile.learning.fit import fit_stage
from gracile.learning.graphs import write_graphs
from gracile.learning.learners import Learner, build_learner
from gracile.learning.lessons import require_sound, sides_of
from gracile.learning.ordinary import add_ordinary
from gracile.learning.phases import Phases
from gracile.learning.record import (
    is_first,
    model_card,
    recorded_transfers,
    require_same_data,
    require_same_start,
    write_record,
)
from gracile.learning.sampling import prepared_case
from gracile.learning.time_budget import TimeBudget
from gracile.learning.training_page import close_page, write_gates_page
from gracile.learning.transfer import Transfer, begin_from
from gracile.recipe import Recipe, StageSpec, TrainSpec, TransferSpec
from gracile.recipe.training import UNTIL_THE_CLOCK
from gracile.transforms import Prepared

log = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    cases: list[CaseFiles],
    out: Path,
    *,
    split: str | Path | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    budget: TimeBudget | None = None,
    cache: Path | None = None,
    checked: bool = False,
) -> Path:
    """Train every stage of a recipe and write the bundle.

    Writes below ``out``: ``recipe.yaml`` (resolved), ``environment.json``, ``data.json`` (fingerprint), ``split.json``,
    per stage ``logs/metrics.csv``, TensorBoard events and the checkpoints ``last.ckpt`` and ``best.ckpt``, and
    ``bundle/``.

    Args:
        recipe: What to train.
        cases: Labeled cases; those without a label are left out.
        out: Folder of the run.
        split: A ``split.json`` to use; None draws one by subject.
        start: Bundle whose weights to start from.
        resume: Continue the run in ``out`` with its own recipe and split.
        budget: How long all of it may take; None leaves it to the recipe.
        cache: Folder of the prepared cases, which several runs of one recipe may share; that of the run when None.
        checked: Whether the cases were checked already.

    Returns:
        The folder of the bundle.

    Raises:
        DataError: No labeled case, or other data than the run was started with.
        RecipeError: A plateau schedule or an early stop without cases held back, or frozen layers that a stage has not.
        UsageError: ``out`` holds a run and ``resume`` was not asked for, or the reverse.
    """
    budget = budget or TimeBudget(0, out, 0)
    usable = labeled(cases)
    if not usable:
        raise DataError("None of the cases has a label.", "Run: gracile data check DATA --recipe RECIPE.")
    record = out / "recipe.yaml"
    if record.exists() and not resume and is_first():
        raise UsageError(f"{out} already holds a run.", "Add --resume to continue it, or choose another --out.")
    if not resume and not checked:
        require_sound(cases, recipe, split)
    elif resume and is_first():
        require_same_data(usable, recipe, out / "data.json")
    if any(recipe.train_of(spec).contradicting_weight != 1 for spec in recipe.stages):
        usable = marked(usable, recipe)
    training, validation = sides_of(usable, recipe, out / "split.json" if resume else split)
    if is_first():
        save_split(out / "split.json", training, validation, recipe.train.seed)
    source = read_bundle(start) if start else None
    if resume and is_first():
        require_same_start(source, out, recipe)
    stages, transfers = begin_stages(recipe, source)
    if not resume:
        _require_layers(recipe, stages, transfers)
    if is_first() and not resume:
        _say(recipe, transfers)
        budget.note()
        write_record(recipe, usable, out, source, transfers)
    if resume:
        transfers = recorded_transfers(out)
    kept = cache or out / "cache"
    sides = [[prepared_case(files, recipe, kept) for files in part] for part in (training, validation)]
    for stage in stages:
        stage.require_lessons(sides[0])
    budget.crossfits = not validation or recipe.train.choose == "last"
    trained, figures = _fit_stages(stages, sides, recipe, transfers, source, out, budget)
    if is_first():
        learned = training if recipe.train.choose == "last" else [*training, *validation]
        card = model_card(trained, out, figures, transfers.values(), learned)
        taught = [stage for stage in stages if stage.name in figures]
        add_told(card, taught)
        _write_bundle(trained, taught, card, learned, out / "bundle", budget)
        close_page(out, recipe)
        write_gates_page(out, trained, taught)
    return out / "bundle"


def _write_bundle(
    recipe: Recipe, stages: Sequence[Learner], card: dict[str, Any], learned: Sequence[CaseFiles], folder: Path,
    budget: TimeBudget,
) -> None:  # fmt: skip
    """Write what was learned, with its graphs and with what the cases that it learned from tell of it."""
    weights = {stage.name: stage.bundle_state() for stage in stages}
    write_bundle(Bundle(recipe=recipe, weights=weights, card=card), folder)
    if recipe.trainer.graphs:
        write_graphs([stage.cpu() for stage in stages], folder)
        add_engine_table(folder, learned, budget.seconds_left)
    add_ordinary(folder, learned, seconds=budget.seconds_left)


def _fit_stages(
    stages: Sequence[Learner],
    sides: Sequence[Sequence[Prepared]],
    recipe: Recipe,
    transfers: Mapping[str, Transfer],
    source: Bundle | None,
    out: Path,
    budget: TimeBudget,
) -> tuple[Recipe, dict[str, Any]]:
    """Train one stage after the other; gives the recipe without those that cannot be taught, and what came of each."""
    figures: dict[str, Any] = {}
    trained = recipe
    for spec, stage in zip(recipe.stages, stages, strict=True):
        learned, held_back = ([case for case in side if stage.learns_from(case)] for side in sides)
        if reason := stage.why_left_out(learned):
            log.warning("The gate %r is not trained: %s. The bundle runs ungated and says so.", stage.name, reason)
            left = [other for other in trained.stages if other.name != spec.name]
            trained = trained.model_copy(update={"stages": left, "ungated": reason})
            continue
        how = how_trained(spec, recipe, transfers.get(stage.name), budget.for_stage(spec, trained))
        folder = out / stage.name
        figures[stage.name] = fit_stage(stage, learned, held_back, how.train, recipe.trainer, folder, how.learning)
        if spec.parts_judged and (not held_back or how.train.choose == "last"):
            figures[stage.name] |= _crossfit(stage, spec, learned, recipe, folder, source, how.train.minutes)
    return trained, figures


def _crossfit(
    stage: Learner, spec: StageSpec, cases: list[Prepared], recipe: Recipe, out: Path, source: Bundle | None,
    minutes: float,
) -> dict[str, float]:  # fmt: skip
    """Calibrate a stage that learned from all cases by others, trained without the subjects that they judge."""
    subjects = sorted({case.subject for case in cases})
    order = np.random.default_rng(recipe.train.seed).permutation(len(subjects))
    parts = min(spec.parts_judged, len(subjects))
    part_of = {subjects[index]: number % parts for number, index in enumerate(order)}
    judged = []
    for part in range(parts):
        rest = [case for case in cases if part_of[case.subject] != part]
        if len(stage.kinds_of(rest)) < len(stage.kinds_of(cases)):
            continue  # without one of the kinds there is nothing to learn
        other, transfer = begin_stage(spec, recipe, source)
        how = how_trained(spec, recipe, transfer, minutes)
        fit_stage(other, rest, [], how.train, recipe.trainer, out / f"crossfit{part}", how.learning)
        judged.append(other.judged([case for case in cases if part_of[case.subject] == part]))
    if not judged:
        log.warning("The stage %r stays uncalibrated: every part lacks a kind of frame in the others.", stage.name)
        return {}
    return stage.calibrate_by(judged)


def add_told(card: dict[str, Any], stages: Sequence[Learner]) -> None:
    """Add to a card what each stage has to tell, by its name in each section, before the card's limits."""
    limits = card.pop("limits")
    for stage in stages:
        for section, content in stage.told().items():
            card.setdefault(section, {})[stage.name] = content
    card["limits"] = limits


def begin_stages(recipe: Recipe, source: Bundle | None) -> tuple[list[Learner], dict[str, Transfer]]:
    """The stages with the weights to begin with, and what each that began from the bundle took over.

    Raises:
        BundleError: No stage takes anything over.
    """
    begun = [begin_stage(spec, recipe, source) for spec in recipe.stages]
    transfers = {transfer.stage: transfer for _, transfer in begun if transfer is not None}
    if transfers and not any(transfer.source for transfer in transfers.values()):
        there, here = (", ".join(names) for names in (source.weights if source else (), transfers))
        raise BundleError(
            f"The bundle to start from has no stage {here}: it has {there}.",
            f"Name the one to take, such as --set train.transfer.source={there.partition(',')[0]}.",
        )
    return [stage for stage, _ in begun], transfers


def begin_stage(spec: StageSpec, recipe: Recipe, source: Bundle | None) -> tuple[Learner, Transfer | None]:
    """A stage with the weights to begin with: the recipe's, or those of the bundle to start from."""
    transfer = recipe.train_of(spec).transfer
    taken = source is not None and (transfer.source or spec.name) in source.weights
    with torch.random.fork_rng():
        torch.manual_seed(recipe.train.seed)
        stage = build_learner(spec, recipe, initialize=not taken)
    return stage, None if source is None else begin_from(stage, recipe, source, transfer)


def _say(recipe: Recipe, transfers: Mapping[str, Transfer]) -> None:
    for transfer in transfers.values():
        log.warning("%s.", ". ".join(transfer.sentences()))
    if not transfers and any(recipe.train_of(spec).transfer != TransferSpec() for spec in recipe.stages):
        log.warning("train.transfer means nothing here: no bundle to start from was named.")


@dataclass(frozen=True)
class HowTrained:
    """How a stage is trained: its settings with the phases that apply, and the layers that learn in all of them."""

    train: TrainSpec
    learning: Collection[str]


def how_trained(spec: StageSpec, recipe: Recipe, transfer: Transfer | None, minutes: float | None = None) -> HowTrained:
    """A stage's settings; what `transfer.freeze` says holds only where something was carried over.

    ``minutes`` are those that the stage has; with None, those of the recipe. Where the clock decides, epochs do not.
    """
    train = recipe.train_of(spec)
    if minutes is not None and minutes != train.minutes:
        train = train.model_copy(update={"minutes": minutes, "epochs": UNTIL_THE_CLOCK})
    if transfer is None or not transfer.carried:
        return HowTrained(train, ())
    return HowTrained(train.model_copy(update={"phases": train.phases or train.transfer.phases}), transfer.fresh)


def _require_layers(recipe: Recipe, stages: Sequence[Learner], transfers: Mapping[str, Transfer]) -> None:
    """Raise RecipeError where a stage's phases name layers that it has not, before any stage is trained."""
    for spec, stage in zip(recipe.stages, stages, strict=True):
        how = how_trained(spec, recipe, transfers.get(stage.name))
        Phases(stage, how.train.phases, how.learning)
