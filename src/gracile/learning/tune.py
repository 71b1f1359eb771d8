"""Tuning: Optuna asks for settings, ordinary trainings answer with their validation score, and all of it is kept.

Several workers share one study, on one machine or more; whoever dies is noticed by its missing heartbeat, and its trial
is tried again, from the checkpoint that it left. The validation split chooses here: its best score is optimistic.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from gracile.bundle import read_bundle
from gracile.data import CaseFiles, fingerprint, labeled, load_split, save_split, split_by_subject
from gracile.errors import DataError, GracileError, UsageError, in_words
from gracile.io.atomic import write_json, write_text
from gracile.learning.record import environment
from gracile.learning.study_store import (
    HEARTBEAT_SECONDS,
    STALE_SECONDS,
    WAIT_SECONDS,
    counted,
    first_attempt,
    give_back,
    next_step,
    open_study,
    sampler_for,
    suggested,
)
from gracile.learning.trial import Plan, run_trial
from gracile.learning.tune_outcome import write_outcome
from gracile.pages.tuning import short, shown
from gracile.plain_data import Text, read_json
from gracile.recipe import Recipe
from gracile.study import StudySpec

log = logging.getLogger(__name__)

HOPELESS = 3
"""Trials that may fail, before any other has ended well, until the study is given up."""


def begin(
    spec: StudySpec,
    recipe: Recipe,
    cases: Sequence[CaseFiles],
    out: Path,
    *,
    start: str | Path | None = None,
    split: str | Path | None = None,
    threads: int = 0,
) -> Plan:
    """Begin a study, or make sure that the folder holds the same one.

    Writes below ``out``: ``study.yaml``, ``recipe.yaml``, ``data.json``, ``split.json`` and ``environment.json``.

    Args:
        spec: The study.
        recipe: What it tunes.
        cases: Labeled cases; those without a label are left out.
        out: Folder of the study.
        start: Bundle that every trial starts from.
        split: A ``split.json`` to use; None draws one by subject.
        threads: Processor threads of a training, where the recipe does not say.

    Raises:
        RecipeError: The study does not suit the recipe.
        UsageError: ``out`` holds another study.
        DataError: No labeled case, none held back, or not the data that the study was begun with.
    """
    spec.require_fit(recipe, start is not None)
    usable = labeled(list(cases))
    if not usable:
        raise DataError("None of the cases has a label.", "Run: gracile data check DATA --recipe RECIPE.")
    plan = Plan(spec, recipe, usable, out, read_bundle(start) if start else None, threads)
    with _lock(plan):
        _begin_folder(plan, split)
    return plan


def work(
    plan: Plan,
    *,
    trials: int | None = None,
    minutes: float = 0,
    storage: str = "",
    say: Callable[[str], None] | None = None,
) -> Path:
    """Work on a study until it has its trials, alone or beside others.

    Writes below the study's folder: ``study.db``; ``trials/NUMBER/`` with each trial's recipe and figures; and after
    each trial ``best.yaml``, ``trials.csv``, ``tuning.json`` and ``index.html``.

    Args:
        plan: The study.
        trials: Number of trials, those of earlier calls included; None takes the study's.
        minutes: Begin no trial after this time; 0 sets no limit.
        storage: Address of a database that Optuna can use; empty is a file in the folder.
        say: Told of each trial that ends.

    Returns:
        The page, ``index.html``.

    Raises:
        UsageError: The storage cannot be opened.
        GracileError: The first trials all failed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    lock = _lock(plan)
    with lock:
        study = open_study(plan, storage)
    until = time.monotonic() + 60 * minutes if minutes else None
    wanted = trials or (len(plan.spec.grid) if plan.spec.sampler == "grid" else plan.spec.trials)
    _work(plan, study, lock, wanted, until, say or (lambda _: None))
    return finish(plan, storage)


def finish(plan: Plan, storage: str = "") -> Path:
    """Write the page and the tables of a study as it stands."""
    with _lock(plan):
        return write_outcome(plan, open_study(plan, storage))


def _lock(plan: Plan) -> FileLock:
    """Held by the one worker that asks what is next or writes what all share."""
    plan.out.mkdir(parents=True, exist_ok=True)
    return FileLock(plan.out / ".lock", timeout=WAIT_SECONDS)


def _begin_folder(plan: Plan, split: str | Path | None) -> None:
    """Write what a study is, or make sure that the folder's is the same. Raises UsageError, DataError."""
    out = plan.out
    data = fingerprint(list(plan.cases), plan.recipe.input)
    identity = {
        "study": plan.spec.model_dump(mode="json"),
        "recipe": plan.recipe.model_dump(mode="json"),
        "started_from": plan.source.checksums if plan.source else None,
        "data": data["sha256"],
    }
    record = out / "study.json"
    if record.exists():
        require_same_study(out, identity)
        return
    if split:
        training, validation = load_split(split, list(plan.cases))
    else:
        share, seed = plan.recipe.train.validation, plan.recipe.train.seed
        training, validation = split_by_subject(list(plan.cases), share, seed)
    if not validation:
        raise DataError(
            "No case is held back, so that trials cannot be compared.",
            "Hold some back with --set train.validation=0.2, or give a --split; a study needs two subjects at least.",
        )
    save_split(out / "split.json", training, validation, plan.recipe.train.seed)
    write_json(out / "data.json", data)
    write_json(out / "environment.json", environment())
    write_text(out / "recipe.yaml", plan.recipe.to_yaml())
    write_text(out / "study.yaml", plan.spec.to_yaml())
    write_json(record, identity)


def require_same_study(out: Path, identity: Mapping[str, Any]) -> None:
    """Raise UsageError where a folder holds a study with other parts than these, DataError where it is damaged."""
    before = read_json(out / "study.json", "Choose another --out.", shape=dict[Text, Any])
    changed = [name for name, value in identity.items() if before.get(name) != json.loads(json.dumps(value))]
    if changed:
        raise UsageError(
            f"{out} holds a study with another {' and another '.join(changed)}.",
            "Give the same command to continue it, or choose another --out.",
        )


def _work(
    plan: Plan,
    study: optuna.Study,
    lock: FileLock,
    wanted: int,
    until: float | None,
    say: Callable[[str], None],
) -> None:
    """Run trials until there are enough, or none may begin any more; waits for those of others."""
    while until is None or time.monotonic() < until:
        lock.acquire()
        try:
            state = next_step(study, wanted, plan.spec.sampler == "grid")
            if state == "begin":
                _run_one(plan, study, lock, say)
        finally:
            lock.release(force=True)
        if state == "done":
            return
        if state == "wait":
            time.sleep(min(HEARTBEAT_SECONDS, STALE_SECONDS / 2))
            continue
        with lock:
            write_outcome(plan, study)
        _require_hope(study)


def _run_one(plan: Plan, study: optuna.Study, lock: FileLock, say: Callable[[str], None]) -> None:
    """Ask for one trial and run it. The lock is released when it is known what to try."""
    study.sampler = sampler_for(plan.spec, len(counted(study.get_trials(deepcopy=False))))

    asked: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        asked.append(trial.number)
        try:
            given = {key: suggested(trial, key, setting) for key, setting in plan.spec.settings.items()}
        finally:
            lock.release(force=True)
        folder = plan.out / "trials" / f"{first_attempt(study, trial):04d}"
        try:
            return run_trial(plan, trial, given, folder)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr("reason", in_words(error))
            log.debug("trial %d failed", trial.number, exc_info=True)
            raise

    try:
        study.optimize(objective, n_trials=1, catch=(Exception,), callbacks=[lambda _, trial: say(sentence(trial))])
    except (UpdateFinishedTrialError, ValueError) as error:
        # Without a heartbeat for so long, as of a machine that slept, others took it for dead and its trial over.
        log.warning("A trial ended here that others had taken over: %s", error)
    except BaseException as error:
        if asked and not isinstance(error, Exception):  # this process is told to leave
            give_back(study, asked[0])
        raise


def sentence(trial: FrozenTrial) -> str:
    """What became of a trial."""
    settings = ", ".join(f"{short(key)}={shown(value)}" for key, value in trial.params.items())
    if trial.state == TrialState.COMPLETE:
        became = f"{trial.value:.4f}"
    elif trial.state == TrialState.PRUNED:
        became = f"given up after epoch {(trial.last_step or 0) + 1}" + (
            f" at {trial.value:.4f}" if trial.value is not None else ""
        )
    else:
        became = f"failed: {trial.user_attrs.get('reason', 'no score')}"
    return f"trial {trial.number}: {became} ({settings})"


def _require_hope(study: optuna.Study) -> None:
    """Raise GracileError when the first trials have all failed: the next ones would too."""
    ended = [trial for trial in counted(study.get_trials(deepcopy=False)) if trial.state.is_finished()]
    reasons = [str(trial.user_attrs["reason"]) for trial in ended if "reason" in trial.user_attrs]
    if len(reasons) >= HOPELESS and len(reasons) == len(ended):
        raise GracileError(f"All {len(ended)} trials failed, the first with: {reasons[0]}")
