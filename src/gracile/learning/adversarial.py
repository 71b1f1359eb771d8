"""How the fuse stage learns: discriminator and generators take turns."""

from collections.abc import Collection
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from gracile.learning.learners.fuse import FuseLearner
from gracile.learning.module import StageModule
from gracile.recipe import TrainSpec


class AdversarialModule(StageModule):
    """Trains a stage whose two players, ``network`` and ``discriminator``, take turns.

    On each batch the discriminator takes a step, then the generators one against it.

    Both players use the recipe's optimizer and schedule. The updates are Lightning's manual optimization; precision,
    devices and checkpoints, with the state of both optimizers, are Lightning's as usual. Over several processes the
    strategy must allow unused parameters (``ddp_find_unused_parameters_true``), as each step trains one player.
    """

    stage: FuseLearner
    optimizers_count = 2

    def __init__(self, stage: FuseLearner, train: TrainSpec, learning: Collection[str] = ()) -> None:
        super().__init__(stage, train, learning)
        self.automatic_optimization = False

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:  # type: ignore[override]
        """One optimizer for the generators, one for the discriminator."""
        return [self.optimizer_of(player) for player in (self.stage.network, self.stage.discriminator)]

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        answer = super().on_train_batch_start(batch, batch_idx)
        generators, discriminator = self.trainer.optimizers
        for group in discriminator.param_groups:
            group["lr"] = generators.param_groups[0]["lr"]
        return answer

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:  # type: ignore[override]
        generators, discriminator = cast(list[LightningOptimizer], self.optimizers())
        answer = self.stage.network(batch["image"])
        self.toggle_optimizer(discriminator)
        judgment = self.stage.discriminator_loss(answer, batch)
        self._update(discriminator, judgment)
        self.toggle_optimizer(generators)
        terms = self.stage.generator_losses(answer, batch)
        total = torch.stack(list(terms.values())).sum()
        self._update(generators, total)
        log = {f"train_{name}": value.detach() for name, value in terms.items()}
        log |= {"train_loss": total.detach(), "train_discriminator": judgment.detach()}
        self.log_dict(log, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)

    def _update(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        """One step of the toggled player, which is then left as it was."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.spec.clip:
            self.clip_gradients(optimizer.optimizer, gradient_clip_val=self.spec.clip, gradient_clip_algorithm="norm")
        optimizer.step()
        self.untoggle_optimizer(optimizer)
