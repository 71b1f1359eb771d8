"""Writes the page of a training while it runs; whatever befalls the page, the training goes on."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import Dataset

from gracile.devices import has_fast_bf16
from gracile.errors import DataError
from gracile.learning.learners import Learner
from gracile.learning.learners.base import Batch
from gracile.learning.module import StageModule
from gracile.learning.sample_pictures import draw_sample
from gracile.pages.course import Course, Row, State
from gracile.pages.gate_calibration import PAGE, CalibratedGate, write_calibration_page
from gracile.pages.training import RENEWED_SECONDS, SAMPLES, keep_samples, write_training_page
from gracile.recipe import Recipe, TrainSpec
from gracile.report import ReportCase

log = logging.getLogger(__name__)

SEEN_BY_OTHERS = (
    "These people were held back from the gate that judged them: the held-back ones of the training, which may have "
    "chosen its weights, or those of its parts, each judged by a gate that was trained without them."
)

SHARE = 0.02
"""Share of a training's time that its page may take, its first and its last version apart."""


class TrainingPage(Callback):
    """Follows one stage: keeps its course beside its logs, draws a few samples, and writes the page of the run.

    Of held-back cases the answers of the validation are drawn, which cost nothing; where nothing is held back a few
    training samples are answered once more. The page is renewed after a validation, or after an epoch where there is
    none, when its own time so far is within `SHARE` of the training's.

    Args:
        stage: What learns.
        train: How.
        out: The stage's folder in the run's.
        samples: Its training samples.
        held_back: How many cases are.
    """

    def __init__(self, stage: Learner, train: TrainSpec, out: Path, samples: Dataset[Batch], held_back: int) -> None:
        limits = {"epochs": float(train.epochs)} | ({"minutes": train.minutes} if train.minutes else {})
        choosing, way = stage.choosing
        self.course = Course(stage.name, choosing, way, limits=limits)
        self.stage = stage
        self.out = out
        self.samples = samples
        self.chosen = _spread(held_back)
        self.held_back = held_back
        self.validated: dict[str, float] = {}
        self.drawn: dict[int, ReportCase] = {}
        self.own_seconds = 0.0
        self.able = True
        self.begun = self.pictured = False
        self.written = 0.0
        self._answered: list[tuple[Tensor, Tensor]] = []

    @contextmanager
    def _safely(self) -> Iterator[None]:
        """Counts the page's own time; what goes wrong is told once and ends the page, not the training."""
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            self.able = False
            log.warning("The page of the training is not renewed any more: %s", error)
        finally:
            self.own_seconds += time.monotonic() - began

    def _may_spend(self) -> bool:
        return self.own_seconds <= SHARE * self.course.spent_seconds

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not self._writes(trainer):
            return
        with self._safely():
            with suppress(DataError):  # there is none, or it is damaged
                before = Course.read(self.out)
                self.course.samples = before.samples
                self.course.rows = [row for row in before.rows if row["epoch"] < trainer.current_epoch]
            self.begun = True
            self._write(pl_module, "training")
            self.own_seconds = 0.0  # what it costs once is not what it costs again

    def on_validation_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._answered = []
        if self._writes(trainer) and batch_idx in self.chosen and (not self.drawn or self._may_spend()):
            self.stage.logits = self._listening(type(self.stage).logits)  # type: ignore[method-assign]

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any,
        batch_idx: int, dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self.stage.__dict__.pop("logits", None)
        if self._answered:
            with self._safely():
                self._draw(self.chosen.index(batch_idx), *self._answered[0], {n: part[0] for n, part in batch.items()})
        self._answered = []

    def _listening(self, answer: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The stage's own way to its logits, which keeps what it was asked and what it said."""

        def logits(images: Tensor, *more: Tensor) -> Tensor:
            said = answer(self.stage, images, *more)
            if not self._answered:
                self._answered.append((images[0].detach(), said[0].detach().float()))
            return said

        return logits

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.stage.__dict__.pop("logits", None)
        figures = trainer.callback_metrics.items()
        self.validated = {name: float(value) for name, value in figures if name.startswith("validation")}

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._writes(trainer) and time.monotonic() - self.written > RENEWED_SECONDS and self._may_spend():
            with self._safely():  # an epoch may take longer than a reader waits
                self._write(pl_module, "training")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not self._writes(trainer):
            return
        with self._safely():
            self.course.rows.append(self._row(trainer, pl_module))
            self._count(pl_module)
            news = self.validated if self.held_back else True
            if news and (self._may_spend() or not self.pictured):
                self.pictured = True
                if not self.held_back:
                    self._draw_training_samples()
                self._write(pl_module, "training")
        self.validated = {}

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not self._writes(trainer) or not self.course.rows:
            return
        with self._safely():
            if not self.held_back or not self.drawn:
                self._draw_training_samples()
            self._write(pl_module, "done")
            for words in self.course.words():
                log.warning("%s", words)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.stage.__dict__.pop("logits", None)
        if self._writes(trainer) and self.begun:
            with self._safely():
                self._write(pl_module, "interrupted")

    def _writes(self, trainer: lightning.Trainer) -> bool:
        return self.able and trainer.is_global_zero

    def _row(self, trainer: lightning.Trainer, module: Any) -> Row:
        figures = {n: float(v) for n, v in trainer.callback_metrics.items() if n.startswith("train_")}
        figures |= self.validated | {"learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"])}
        known = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        return {"epoch": trainer.current_epoch, "seconds": round(module.spent_seconds, 3), "figures": known}

    def _count(self, module: Any) -> None:
        assert isinstance(module, StageModule)
        self.course.progress, self.course.spent_seconds = module.progress(), module.spent_seconds

    def _write(self, module: Any, state: State) -> None:
        self.written = time.monotonic()
        self.course.state = state
        self._count(module)
        if self.drawn:
            keep_samples(self.out, self.course, list(self.drawn.values()))
        self.course.write(self.out)
        write_training_page(self.out.parent, self.stage.recipe, running=state != "interrupted")

    def _draw(self, number: int, image: Tensor, answer: Tensor, batch: Batch, origin: str = "held back") -> None:
        entry = draw_sample(self.stage, f"{self.stage.name}, sample {number + 1}", image, answer, batch)
        if entry is not None:
            entry.status = origin
            self.drawn[number] = entry

    def _draw_training_samples(self) -> None:
        """Answer a few training samples with the weights of the moment."""
        stage, device = self.stage, self.stage.device
        was_training = stage.training
        stage.eval()
        try:
            for number, index in enumerate(_spread(len(self.samples))):  # type: ignore[arg-type]
                batch = self.samples[index]
                image = batch["image"][None].to(device)
                with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bf16(device)):
                    answer = stage.logits(image)[0].float()
                self._draw(number, batch["image"], answer, batch, "learned from")
        finally:
            stage.train(was_training)


def follow_on_page(
    trainer: lightning.Trainer, stage: Learner, train: TrainSpec, out: Path, samples: Dataset[Batch], held_back: int
) -> None:
    """Let a stage's training write the page of its run; nothing where its folder lies in none."""
    if (out.parent / "recipe.yaml").is_file():
        trainer.callbacks.append(TrainingPage(stage, train, out, samples, held_back))  # type: ignore[attr-defined]


def close_page(run: Path, recipe: Recipe) -> None:
    """Write the page of a run that has ended, which browsers need not load anew; without a word where they cannot."""
    with suppress(DataError):
        write_training_page(run, recipe, running=False)


def write_gates_page(run: Path, recipe: Recipe, stages: Sequence[Learner]) -> None:
    """Write the page of the gates that a run has calibrated, if any; what goes wrong costs the page alone."""
    gates = [
        CalibratedGate(stage.name, stage.calibration, on_clips=stage.on_clips)
        for stage in stages
        if stage.calibration is not None
    ]
    if not gates:
        return
    try:
        settings = {"recipe": recipe.name, "wishes": {gate.name: vars(gate.calibration.wish) for gate in gates}}
        write_calibration_page(run / PAGE, recipe.title or recipe.name, gates, settings, [SEEN_BY_OTHERS])
    except Exception as error:
        log.warning("The page of the gates is not written: %s", error)


def _spread(count: int) -> Sequence[int]:
    """The numbers of a few of some samples, evenly spread."""
    shown = min(SAMPLES, count)
    return [round(index * (count - 1) / max(shown - 1, 1)) for index in range(shown)]
