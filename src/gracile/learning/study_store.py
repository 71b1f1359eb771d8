"""The store of a study's trials: where they are kept, which is next, who draws what, and what was interrupted."""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from gracile.errors import UsageError
from gracile.learning.trial import Plan
from gracile.study import RangeSpec, SettingSpec, StudySpec, Value

HEARTBEAT_SECONDS = 10
STALE_SECONDS = 60
"""A trial without heartbeat for this long is tried again."""

RETRIES = 3
"""How often an interrupted trial is tried again."""

WAIT_SECONDS = 600
"""How long a worker waits for a file that another one writes to."""


def open_study(plan: Plan, storage: str) -> optuna.Study:
    """The study in its storage, made where there is none; a grid's trials are all queued then."""
    address = storage or f"sqlite:///{(plan.out / 'study.db').resolve()}"
    _, more_is_better = plan.score
    with expected_warnings():
        try:
            kept = RDBStorage(
                address,
                engine_kwargs={"connect_args": {"timeout": WAIT_SECONDS}} if address.startswith("sqlite") else None,
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=STALE_SECONDS,
                heartbeat_stale_trial_callback=_retry(),
            )
        except Exception as error:  # whatever the database's driver raises
            raise UsageError(f"The storage {address} cannot be opened: {error}.", "Check --storage.") from None
    name = _study_name(plan)
    begun = name in optuna.get_all_study_names(kept)
    study = optuna.create_study(
        storage=kept,
        study_name=name,
        direction="maximize" if more_is_better else "minimize",
        pruner=_pruner(plan.spec),
        load_if_exists=True,
    )
    if not begun and plan.spec.sampler == "grid":
        for values in plan.spec.grid:
            study.enqueue_trial(values)
    return study


def _study_name(plan: Plan) -> str:
    """A name that other studies in the same database have not."""
    content = (plan.out / "study.json").read_bytes()
    return f"{plan.spec.name}-{hashlib.sha256(content).hexdigest()[:8]}"


def _pruner(spec: StudySpec) -> optuna.pruners.BasePruner:
    if spec.pruning is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(spec.pruning.after_trials, spec.pruning.after_epochs)


@contextmanager
def expected_warnings() -> Iterator[None]:
    """Without Optuna's warnings of what it calls experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def next_step(study: optuna.Study, wanted: int, grid: bool) -> Literal["begin", "wait", "done"]:
    """Whether to ``begin`` another trial, to ``wait`` for those of others, or that all is ``done``."""
    with expected_warnings():
        optuna.storages.fail_stale_trials(study)
    trials = counted(study.get_trials(deepcopy=False))
    begun = [trial for trial in trials if trial.state != TrialState.WAITING]
    waiting = len(trials) - len(begun)
    if len(begun) < wanted and (waiting or not grid):
        return "begin"
    return "wait" if any(trial.state == TrialState.RUNNING for trial in begun) else "done"


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials without those that another one repeats, as they were interrupted."""
    with expected_warnings():
        repeated = {n for trial in trials for n in RetryHeartbeatStaleTrialCallback.retry_history(trial)}
    return [trial for trial in trials if trial.number not in repeated]


def sampler_for(spec: StudySpec, trials: int) -> optuna.samplers.BaseSampler:
    """A sampler that draws by the number of trials so far, so that no two workers draw the same."""
    seed = spec.seed * 1_000_003 + trials
    if spec.sampler == "tpe":
        with expected_warnings():
            return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


def suggested(trial: optuna.Trial, key: str, setting: SettingSpec) -> Value:
    if not isinstance(setting, RangeSpec):
        return trial.suggest_categorical(key, setting.values)
    if setting.whole:
        return trial.suggest_int(key, int(setting.low), int(setting.high), step=int(setting.step or 1), log=setting.log)
    return trial.suggest_float(key, setting.low, setting.high, step=setting.step, log=setting.log)


def give_back(study: optuna.Study, number: int) -> None:
    """Queue a trial anew that this process leaves."""
    if study.trials[number].state == TrialState.RUNNING:
        study.tell(number, state=TrialState.FAIL)
    with expected_warnings():
        _retry()(study, study.trials[number])


def _retry() -> RetryHeartbeatStaleTrialCallback:
    """Queues an interrupted trial anew, with the scores that it had."""
    return RetryHeartbeatStaleTrialCallback(max_retry=RETRIES, inherit_intermediate_values=True)


def first_attempt(study: optuna.Study, trial: optuna.Trial) -> int:
    """Number of the trial that this one repeats; its own where it repeats none."""
    with expected_warnings():
        first = RetryHeartbeatStaleTrialCallback.retried_trial_number(study.trials[trial.number])
    return trial.number if first is None else first
