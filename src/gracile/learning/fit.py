"""Fits one stage with Lightning: data loaders, checkpoints, logs, averaged weights."""

import csv
import logging
import math
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from gracile.devices import has_fast_bf16, in_fast_layout
from gracile.errors import DataError
from gracile.learning.adversarial import AdversarialModule
from gracile.learning.checkpoints import WholeCheckpoints, read_checkpoint, take_weights
from gracile.learning.learners import Learner
from gracile.learning.module import StageModule
from gracile.learning.sampling import EpochSampler
from gracile.learning.training_page import follow_on_page
from gracile.recipe import TrainerSpec, TrainSpec
from gracile.samples.weights import weighted
from gracile.transforms import Prepared

Observe = Callable[[int, dict[str, float]], None]
"""Told the epoch and the scores of a validation."""


def fit_stage(
    stage: Learner,
    training: Sequence[Prepared],
    validation: Sequence[Prepared],
    spec: TrainSpec,
    settings: TrainerSpec,
    out: Path,
    learning: Collection[str] = (),
    observe: Observe | None = None,
) -> dict[str, Any]:
    """Train a stage in place; continues from ``out/last.ckpt`` where there is one.

    Args:
        stage: The stage; holds the chosen weights afterwards: the best by its `choosing` score of those that were
            validated and the last ones, or the last ones when nothing was held back or nothing shall choose. Then it is
            calibrated, where held-back cases may.
        training: Prepared cases with truth.
        validation: Held-back ones; may be empty.
        spec: How this stage is trained.
        settings: What is handed to Lightning.
        out: Folder for checkpoints and logs.
        learning: Layers that learn in every phase.
        observe: Told the epoch and the scores of each validation, in silence otherwise; what it raises ends the
            training.

    Returns:
        The figures of the chosen weights (validation scores, epochs seen) and of the run (steps, minutes).
    """
    in_fast_layout(stage)
    kind = AdversarialModule if stage.takes_turns else StageModule
    module = kind(stage, spec, learning)  # type: ignore[arg-type]
    samples = stage.samples(weighted(training, spec), spec.seed)
    validation_loader = DataLoader(stage.held_back(validation), batch_size=1) if validation else None
    last = out / "last.ckpt"
    done = _epochs_done(stage, last)
    with _quiet():
        trainer = _trainer(stage, spec, settings, out, bool(validation), done, observe)
        if observe is None:
            follow_on_page(trainer, stage, spec, out, samples, len(validation))
        loader = _training_loader(samples, spec, trainer, settings.workers)
        if isinstance(loader.sampler, EpochSampler):
            # Workers draw their first samples before Lightning says which epoch it is.
            loader.sampler.set_epoch(done)
        try:
            trainer.fit(module, loader, validation_loader, ckpt_path=last if done else None, weights_only=True)
        except SystemExit:
            if trainer.interrupted:  # Lightning ends the program without a word
                raise KeyboardInterrupt from None
            raise
    if last.exists():
        # A checkpoint's weights are the averaged ones, also when the run had ended before it was resumed.
        take_weights(stage, read_checkpoint(last), last)
    figures = {"epochs": trainer.current_epoch, "chosen": "last epoch, fixed schedule, nothing held back"}
    scores: dict[str, float] = {}
    if validation:
        choosing, way = stage.choosing
        sign = 1.0 if way == "max" else -1.0
        scores = _mean_scores(module, validation)
        figures["chosen"] = f"last epoch, best by {choosing}"
        chooses = spec.choose == "best"
        if not chooses:
            figures["chosen"] = "last epoch, fixed schedule, held-back cases chose nothing"
        best = read_checkpoint(out / "best.ckpt") if chooses and (out / "best.ckpt").exists() else None
        if best is not None and sign * best["scores"][choosing] > sign * scores[choosing]:
            take_weights(stage, best, out / "best.ckpt")
            scores = best["scores"]
            figures = {"epochs": best["epoch"] + 1, "chosen": f"best by {choosing}"}
        if chooses:
            scores = {**scores, **stage.eval().calibrate(validation)}
    return {
        **figures,
        "steps_of_the_run": trainer.global_step // module.optimizers_count,
        "minutes": round(module.spent_seconds / 60, 1),
        **{name: round(value, 4) for name, value in scores.items()},
    }


def _epochs_done(stage: Learner, last: Path) -> int:
    """The epochs that a checkpoint holds. Raises DataError where it is damaged or another stage's."""
    if not last.exists():
        return 0
    checkpoint = read_checkpoint(last)
    take_weights(stage, checkpoint, last)
    done: int = checkpoint["epoch"] + 1
    return done


def _mean_scores(module: StageModule, validation: Sequence[Prepared]) -> dict[str, float]:
    """Scores of the weights as they are; a schedule may end between two validations."""
    stage = module.stage.eval()
    rows = []
    with torch.inference_mode(), torch.autocast(stage.device.type, torch.bfloat16, enabled=has_fast_bf16(stage.device)):
        for batch in DataLoader(stage.held_back(validation), batch_size=1):
            rows.append(module.scores({name: part.to(stage.device) for name, part in batch.items()}))
    return {name: float(torch.stack([row[name] for row in rows]).mean()) for name in rows[0]}


class _Bar(RichProgressBar):
    """Lightning's bar with the one figure that chooses the weights."""

    def __init__(self, shown: str) -> None:
        super().__init__(leave=False)
        self.shown = shown

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(*arguments).items() if name == self.shown}


class _Observer(Callback):
    """Tells another of each validation."""

    def __init__(self, observe: Observe) -> None:
        self.observe = observe

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        scores = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("validation")}
        self.observe(trainer.current_epoch, scores)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Lightning's hints from users who did not choose Lightning; its errors are raised all the same."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            log.setLevel(level)


def _training_loader(samples: Any, spec: TrainSpec, trainer: lightning.Trainer, workers: int) -> DataLoader:
    processes = trainer.world_size
    if spec.batch_size % processes:
        raise DataError(
            f"A batch of {spec.batch_size} cannot be divided among {processes} processes.",
            f"Choose --set train.batch_size={math.ceil(spec.batch_size / processes) * processes}.",
        )
    batch_size = min(spec.batch_size, len(samples) // processes * processes) or spec.batch_size
    if len(samples) < batch_size:
        raise DataError(f"{len(samples)} samples do not fill a batch of {batch_size}.", "Lower train.batch_size.")
    sampler = EpochSampler(len(samples), batch_size, trainer.global_rank, processes, spec.seed)
    return DataLoader(
        samples,
        batch_size=batch_size // processes,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def _trainer(
    stage: Learner,
    train: TrainSpec,
    settings: TrainerSpec,
    out: Path,
    validates: bool,
    epochs_done: int,
    observe: Observe | None,
) -> lightning.Trainer:
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = training_device(settings)
    precision: Any = settings.precision
    if precision == "auto":
        precision = "bf16-mixed" if has_fast_bf16(device) else "32-true"
    return lightning.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=_strategy(stage, train, settings),
        precision=precision,
        max_epochs=train.epochs,
        check_val_every_n_epoch=min(train.validate_every, train.epochs) if validates else None,
        limit_val_batches=None if validates else 0,
        num_sanity_val_steps=0,
        gradient_clip_val=None if stage.takes_turns else train.clip or None,
        use_distributed_sampler=False,
        log_every_n_steps=1,
        enable_model_summary=False,
        default_root_dir=out,
        callbacks=_callbacks(stage, train, out, validates, observe),
        enable_progress_bar=observe is None,
        plugins=[WholeCheckpoints()],
        logger=[_csv_logger(out, epochs_done), TensorBoardLogger(out, name="", version="tensorboard")],
    )  # fmt: skip


def training_device(settings: TrainerSpec) -> torch.device:
    """Where a training computes: on a GPU where there is one and the settings allow it."""
    gpu = settings.accelerator in {"auto", "gpu", "cuda"} and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


def _csv_logger(out: Path, epochs_done: int) -> CSVLogger:
    """The table of metrics; that of a resumed run goes on behind the epochs that are kept."""
    logger = CSVLogger(out, name="", version="logs")
    table = out / "logs" / "metrics.csv"
    if epochs_done and table.exists() and getattr(rank_zero_only, "rank", 0) == 0:
        rows = earlier_rows(table, epochs_done)
        # Lightning deletes the table when it begins to log, so that its rows are logged again.
        logger.experiment.metrics += rows
        logger.save()
    return logger


def earlier_rows(table: Path, epochs_done: int) -> list[dict[str, Any]]:
    """The rows of the first epochs in a table of metrics; what is damaged in it is left out, as it decides nothing."""
    with table.open(encoding="utf-8", errors="replace", newline="") as file:
        lines = (line.replace("\0", "") for line in file)
        try:
            rows = [row for row in csv.DictReader(lines) if str(row.get("epoch")).isdecimal()]
        except csv.Error:
            return []
    kept = [row for row in rows if int(row["epoch"][:9]) < epochs_done]
    return [{name: value for name, value in row.items() if name and value} for row in kept]


def _strategy(stage: Learner, train: TrainSpec, settings: TrainerSpec) -> str:
    """The recipe's own, but alternating updates and frozen layers leave some weights without gradients."""
    alone = settings.devices in (1, "1") and settings.num_nodes == 1
    if settings.strategy == "auto" and not alone and (stage.takes_turns or train.phases):
        return "ddp_find_unused_parameters_true"
    return settings.strategy


def _callbacks(stage: Learner, train: TrainSpec, out: Path, validates: bool, observe: Observe | None) -> list[Callback]:
    choosing, way = stage.choosing
    last = ModelCheckpoint(out, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    best = ModelCheckpoint(
        out, filename="best", monitor=choosing, mode=way, enable_version_counter=False
    )  # fmt: skip
    # The best is written first: what `last.ckpt` knows of it must hold for whoever goes on from there.
    callbacks: list[Callback] = [best, last] if validates else [last]
    callbacks.append(_Bar(choosing) if observe is None else _Observer(observe))
    if train.average_weights:
        callbacks.append(WeightAveraging(use_buffers=True, avg_fn=partial(_averaged, train.average_weights)))
    return callbacks


def _averaged(decay: float, average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """Exponential moving average whose decay rises to its value, so that short runs forget their first weights too."""
    if not average.is_floating_point():
        return current
    return torch.lerp(average, current, 1.0 - min(decay, (1.0 + float(count)) / (10.0 + float(count))))
