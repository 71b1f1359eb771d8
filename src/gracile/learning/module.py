"""How one stage learns: a Lightning module around the stage's own losses."""

import time
from collections.abc import Collection
from typing import Any

import lightning
import torch
from torch import Tensor

from gracile.devices import in_fast_layout
from gracile.learning.learners import Learner
from gracile.learning.phases import Phases
from gracile.learning.schedule import is_over, scheduled
from gracile.recipe import TrainSpec


class StageModule(lightning.LightningModule):
    """Trains a stage's networks by gradient descent with warm-up and the recipe's schedule.

    Progress, from 0 to 1, is that of the steps or, where the recipe limits the minutes, that of the clock when it is
    further: a run that is limited in time ends annealed. The minutes spent and the validation losses, which the
    plateau schedule and the early stop follow, survive a resume.

    Args:
        stage: What learns.
        train: How.
        learning: Layers that learn in every phase.
    """

    optimizers_count = 1

    def __init__(self, stage: Learner, train: TrainSpec, learning: Collection[str] = ()) -> None:
        super().__init__()
        self.stage = stage
        self.spec = train
        self.phases = Phases(stage, train.phases, learning)
        self.spent_seconds = 0.0
        self.validation_losses: list[float] = []
        self._tick = 0.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer_of(self.stage)

    def optimizer_of(self, part: torch.nn.Module) -> torch.optim.Optimizer:
        """Adam or AdamW for the weights of a part, as the recipe says."""
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        return kinds[self.spec.optimizer](
            part.parameters(),
            lr=self.spec.learning_rate,
            betas=self.spec.betas,
            weight_decay=self.spec.weight_decay,
        )

    def progress(self) -> float:
        """Share of the training that is done."""
        # Lightning counts the steps of each optimizer.
        steps = self.optimizers_count * int(self.trainer.estimated_stepping_batches)
        by_steps = self.trainer.global_step / max(1, steps)
        by_clock = self.spent_seconds / (60 * self.spec.minutes) if self.spec.minutes else 0.0
        return min(1.0, max(by_steps, by_clock))

    def on_train_start(self) -> None:
        self._tick = time.monotonic()
        if is_over(self.validation_losses, self.spec):
            self.trainer.should_stop = True  # it had ended before it was resumed

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        # Dropout draws the same numbers in a step whether or not the run was resumed before it.
        torch.manual_seed((self.spec.seed * 1_000_003 + self.trainer.global_step) * 64 + self.global_rank)
        now = time.monotonic()
        self.spent_seconds += now - self._tick
        self._tick = now
        if self.spec.minutes and self.trainer.world_size > 1:
            # One clock for all processes: other rates, or another last step, would let their weights drift apart.
            self.spent_seconds = self.trainer.strategy.broadcast(self.spent_seconds)
        progress = self.progress()
        factor = scheduled(progress, self.spec, self.validation_losses) * self.phases.enter(progress)
        rate = self.spec.learning_rate * factor
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate
        if self.spec.minutes and progress >= 1.0:
            self.trainer.should_stop = True
            return -1
        return None

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        # Twice as fast on processors; the stage's weights are in this order too.
        return self.stage.counted({**batch, "image": in_fast_layout(batch["image"])})

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        terms = self.stage.losses(batch)
        total = torch.stack(list(terms.values())).sum()
        log = {f"train_{name}": value.detach() for name, value in terms.items()}
        self.log_dict({"train_loss": total.detach(), **log}, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)
        return total

    def on_train_epoch_end(self) -> None:
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], rank_zero_only=True)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        scores = self.scores(batch)
        self.log_dict(scores, on_epoch=True, batch_size=1, sync_dist=True, prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        # The same in all processes: the figure is their mean.
        self.validation_losses.append(float(self.trainer.callback_metrics["validation_loss"]))
        if is_over(self.validation_losses, self.spec):
            self.trainer.should_stop = True

    def scores(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Validation scores of one held-back case."""
        return self.stage.scores(batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["spent_seconds"] = self.spent_seconds
        checkpoint["validation_losses"] = list(self.validation_losses)
        metrics = self.trainer.callback_metrics
        checkpoint["scores"] = {name: float(value) for name, value in metrics.items() if name.startswith("validation")}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.spent_seconds = checkpoint["spent_seconds"]
        # Checkpoints of 0.1.0's first days have no such list.
        self.validation_losses = list(checkpoint.get("validation_losses", []))
