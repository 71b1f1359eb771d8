"""A run of folds: trained, scored on held-back cases, what follows chosen on these, joined to an ensemble."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from gracile.api.experiments.held_back_quality import learned_quality
from gracile.api.experiments.held_back_scores import score_held_back
from gracile.bundle import Bundle, read_bundle, write_card
from gracile.data import CaseFiles, Fold, folds_by_subject, labeled, load_folds, save_folds
from gracile.data.folds import is_of_folds, shown_in_one_fold, what_is_shown
from gracile.data.near_duplicates import near_duplicates
from gracile.ensemble import joined, joined_card, write_ensemble
from gracile.errors import DataError, GracileError, UsageError
from gracile.evaluation import Evaluation
from gracile.inference.choosing import Choices, choose
from gracile.inference.held_back import KeptAnswers, answer_held_back, write_held_back
from gracile.io import write_json, write_table, write_text
from gracile.io.model_card import QUALITY
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe, recipe_with
from gracile.trust import HeldAnswer

log = logging.getLogger(__name__)

FOLDS, RECIPE, SUBJECTS = "folds.json", "recipe.yaml", "subjects.csv"
TABLE, CHOICES, HELD_BACK = "folds.csv", "choices.json", "held-back"

Say = Callable[[str], None]


@dataclass(frozen=True)
class FoldRun:
    """A run of folds.

    Args:
        recipe: By which every fold is trained.
        cases: All labeled cases.
        folds: Its folds.
        out: Its folder.
        start: Bundle whose weights each training starts from.
        say: Told what is begun.
    """

    recipe: Recipe
    cases: list[CaseFiles]
    folds: list[Fold]
    out: Path
    start: str | Path | None
    say: Say

    @property
    def fold_of(self) -> dict[str, int]:
        """The fold in which each case was held back."""
        return {case.id: fold.number for fold in self.folds for case in fold.validation}

    @property
    def subjects(self) -> dict[str, str]:
        """Subject of each case."""
        return {case.id: case.subject for case in self.cases}


def is_fold_run(out: Path) -> bool:
    """Whether a folder holds a run of folds."""
    return (out / FOLDS).is_file()


def asks_for_folds(folds: int | None, split: str | Path | None) -> bool:
    """Whether a training is one of folds, by their number or by a split that holds several."""
    return folds is not None or (split is not None and is_of_folds(Path(split)))


def train_folds(
    recipe: Recipe,
    cases: Sequence[CaseFiles],
    out: Path,
    count: int | None = None,
    split: str | Path | None = None,
    start: str | Path | None = None,
    *,
    resume: bool = False,
    final: bool = False,
    say: Say = lambda text: None,
    minutes: float = 0,
) -> Path:
    """Train every fold of a recipe, score all cases by models that did not see them, and join the models.

    Writes below ``out``: ``folds.json``; ``fold1`` and so on, each a run; ``held-back/`` with the answers, their table
    ``folds.csv`` and page ``index.html``; ``choices.json``; ``bundle/``, the ensemble; with ``final`` also ``final/``,
    the run of one more model on all cases.

    Args:
        recipe: What to train.
        cases: Labeled cases; those without a label are left out.
        out: Folder of the run.
        count: Number of folds; None takes those of the split.
        split: A file of folds to use instead of drawing them.
        start: Bundle whose weights each training starts from.
        resume: Go on with the run in ``out``.
        final: Train one more model on all cases.
        say: Told what is begun.
        minutes: Of each training; 0 leaves it to the recipe.

    Returns:
        The folder of the ensemble's bundle.

    Raises:
        DataError: Too few subjects, or other data than the run was started with.
        UsageError: ``out`` holds a run and ``resume`` was not asked for, or the reverse.
    """
    from gracile.learning.folds import recipe_of_folds, train_final, train_fold
    from gracile.learning.time_budget import TimeBudget

    usable = labeled(list(cases))
    if not usable:
        raise DataError("None of the cases has a label.", "Run: gracile data check DATA --recipe RECIPE.")
    recipe = recipe_of_folds(recipe, final=final)
    folds = _begun(usable, recipe, out, count, start) if resume else _begin(usable, recipe, out, count, split)
    run = FoldRun(recipe, usable, folds, out, start, say)
    TimeBudget(minutes, out, 0).note()
    if minutes:
        count = len(folds) + final
        total = f"about {count * minutes:.0f} minutes, and the answers to all cases"
        say(f"{count} trainings of {minutes:g} minutes: {total}.")
    bundles = []
    for fold in folds:
        say(f"Fold {fold.number} of {len(folds)}: {len(fold.training)} cases to train on, "
            f"{len(fold.validation)} held back.")  # fmt: skip
        bundles.append(read_bundle(train_fold(recipe, usable, fold, out, start, minutes)))
    choices, scores, quality = _judged(run, bundles)
    chosen = _with_choices(recipe, choices)
    ensemble = _joined(bundles, choices, scores, quality)
    write_ensemble(ensemble, out / "bundle")
    if final:
        say(f"The final model: {len(usable)} cases to train on.")
        last = train_final(chosen, usable, out, start, minutes)
        write_card(last, {**read_bundle(last).card, QUALITY: quality})
    return out / "bundle"


def _begin(
    cases: list[CaseFiles], recipe: Recipe, out: Path, count: int | None, split: str | Path | None
) -> list[Fold]:
    """Draw or read the folds, say what is wrong with them, and write them down."""
    from gracile.learning.lessons import require_sound

    if (out / RECIPE).exists():
        raise UsageError(f"{out} already holds a run.", "Add --resume to continue it, or choose another --out.")
    require_sound(cases, recipe, None)
    shown = what_is_shown(cases, recipe)
    if split is None:
        folds = folds_by_subject(cases, count or 0, recipe.train.seed, shown, _nearly_same(cases, recipe))
    elif not is_of_folds(Path(split)):
        raise UsageError(f"{split} is one split, not a list of folds.", "Leave --folds out, or name a file of folds.")
    else:
        folds = load_folds(Path(split), cases)
        if count is not None and count != len(folds):
            raise UsageError(f"{split} has {len(folds)} folds, and {count} are asked for.", "Leave --folds out.")
    for name, number in shown_in_one_fold(folds, shown):
        log.warning("%r is in cases of fold %d alone: the model of that fold never sees it.", name, number)
    held = {case.id for fold in folds for case in fold.validation}
    if len(held) < len(cases):
        log.warning("%d cases are held back in no fold: they are not scored.", len(cases) - len(held))
    save_folds(out / FOLDS, folds)
    write_table(out / SUBJECTS, [{"name": case.id, "group": case.subject} for case in cases])
    write_text(out / RECIPE, recipe.to_yaml())
    return folds


def _begun(
    cases: list[CaseFiles], recipe: Recipe, out: Path, count: int | None, start: str | Path | None
) -> list[Fold]:
    """The folds of a run that goes on. Raises DataError where the data is another."""
    from gracile.learning.folds import fold_folder
    from gracile.learning.record import require_same_data, require_start

    if not is_fold_run(out):
        raise UsageError(f"{out} holds a run without folds.", "Leave --folds out to go on with it.")
    first = fold_folder(out, 1)
    require_same_data(cases, recipe, first / "data.json")
    require_start(None if start is None else read_bundle(start), first)
    folds = load_folds(out / FOLDS, cases)
    if count is not None and count != len(folds):
        raise UsageError(f"The run in {out} has {len(folds)} folds.", "Leave --folds out to go on with it.")
    return folds


def _nearly_same(cases: Sequence[CaseFiles], recipe: Recipe) -> list[tuple[str, str]]:
    """Pairs of cases that are nearly the same image, which is said."""
    pairs = near_duplicates(cases, recipe)
    for pair in pairs:
        if pair.parts_subjects:
            log.warning(
                "%s and %s are nearly the same image: they are held back together.", pair.first.id, pair.second.id
            )
    return [(pair.first.id, pair.second.id) for pair in pairs]


def _judged(
    run: FoldRun, bundles: Sequence[Bundle]
) -> tuple[Choices | None, Evaluation | None, dict[str, Any] | str]:  # fmt: skip
    """Answer, score and choose, and learn how good answers are; what was chosen in a run that goes on stays."""
    run.say("Every case is answered by the model that did not see it.")
    out, store = run.out / HELD_BACK, run.out / "choosing"
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(store, ignore_errors=True)
    decides = run.recipe.deciding is not None
    kept = KeptAnswers(store) if decides else None
    records, stage = [], None
    held: list[HeldAnswer] = []
    try:
        for fold, bundle in zip(run.folds, bundles, strict=True):
            pipeline = Pipeline.from_bundle(bundle)
            records += list(answer_held_back(pipeline, fold.validation, out, kept, held))
            stage = pipeline.deciding if decides else None
        choices = None
        if kept is not None and stage is not None and kept.ids:
            choices = choose(kept, stage, run.recipe, run.subjects, run.fold_of)
            write_json(run.out / CHOICES, choices.as_dict())
    finally:
        shutil.rmtree(store, ignore_errors=True)
    records.sort(key=lambda record: record["name"])
    checksums = {f"fold{fold.number}/{stage}": checksum for fold, bundle in zip(run.folds, bundles, strict=True)
                 for stage, checksum in bundle.checksums.items()}  # fmt: skip
    quality = learned_quality(held, run.recipe, run.fold_of, records)
    write_held_back(out, records, {"name": run.out.name, "weights": checksums}, run.recipe)
    return choices, _scored(run, choices), quality


def _scored(run: FoldRun, choices: Choices | None) -> Evaluation | None:
    """Score the answers: a table and a page. What cannot be scored costs no model."""
    held = run.fold_of
    cases = [case for case in run.cases if case.id in held]
    try:
        evaluation = score_held_back(run.recipe, cases, run.out / HELD_BACK, run.out, run.out / SUBJECTS)
    except GracileError as error:
        log.warning("The held-back answers are not scored: %s", error)
        return None
    subjects = run.subjects
    rows = [{"case": row["case"], "subject": subjects[row["case"]], "fold": held[row["case"]], **row}
            for row in evaluation.scores.cases]  # fmt: skip
    write_table(run.out / TABLE, rows)
    notes = ["every case is scored by the model that did not see it", *_by_fold(rows, evaluation.scores)]
    evaluation.scores.notes[:0] = [*notes, *(choices.sentences() if choices is not None else [])]
    evaluation.write_page(run.out / "index.html")
    return evaluation.scores


def _by_fold(rows: Sequence[dict[str, Any]], scores: Evaluation) -> list[str]:
    """The first score of each fold, as a sentence."""
    name = next((name for name in scores.headline if name in scores.summary), "")
    values: dict[int, list[float]] = {}
    for row in rows:
        if row.get(name) is not None:
            values.setdefault(row["fold"], []).append(row[name])
    parts = [f"fold {number} {fmean(some):.4f} ({len(some)})" for number, some in sorted(values.items())]
    return [f"{name} by fold, and the cases of it: {', '.join(parts)}"] if parts else []


def _with_choices(recipe: Recipe, choices: Choices | None) -> Recipe:
    """A recipe that decides as was chosen."""
    spec = recipe.deciding
    if choices is None or spec is None or not choices.settings:
        return recipe
    return recipe_with(recipe, {f"stages.{spec.name}.decision.{key}": value for key, value in choices.settings.items()})


def _joined(
    bundles: Sequence[Bundle], choices: Choices | None, scores: Evaluation | None, quality: dict[str, Any] | str
) -> Bundle:  # fmt: skip
    """The ensemble of all folds, with what is known of it."""
    ensemble = joined(bundles)
    recipe = _with_choices(ensemble.recipe, choices)
    minutes = [(member.card.get("training") or {}).get("minutes") or 0.0 for member in ensemble.members]
    more: dict[str, Any] = {
        "training": {"folds": len(bundles), "minutes": round(sum(minutes), 1), "seed": recipe.train.seed},
        "data": ensemble.members[0].card.get("data"),
    }
    if scores is not None:
        names = [name for name in scores.headline if name in scores.summary]
        more["held_back"] = {name: _row(scores.summary[name]) for name in names}
    if choices is not None:
        more["after_deciding"] = choices.sentences()
    more[QUALITY] = quality
    card = joined_card(recipe, ensemble.members, **more)
    return ensemble.model_copy(update={"recipe": recipe, "card": card})


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    """A score of the summary as a row of a card."""
    mean = entry["mean"]
    ends = {} if entry.get("interval95") is None else {"interval95": [round(end, 4) for end in entry["interval95"]]}
    return {"mean": None if mean is None else round(mean, 4), **ends, "cases": entry["cases"]}
