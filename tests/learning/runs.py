"""What trainings leave behind, and how they are broken off."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from gracile.bundle import read_bundle
from gracile.learning.module import StageModule
from gracile.networks.weights import tensors_of
from tests.conftest import TINY

HELD_BACK = [*TINY, "train.validation=0.25", "train.validate_every=1", "train.average_weights=0.8", "measure=[]"]
"""Settings of a training that follows a case held back."""


def logged(out: Path, name: str) -> list[float]:
    """The values of one column of a run's metrics, those that are there."""
    with (out / "vessels" / "logs" / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def weights_of(bundle: Path) -> dict[str, torch.Tensor]:
    """What the vessels' stage has learned."""
    return tensors_of(read_bundle(bundle).weights["vessels"])


def assert_same_weights(first: Path, second: Path) -> None:
    """Fail where two bundles differ in any bit."""
    one, other = weights_of(first), weights_of(second)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@contextmanager
def interrupted_in(epoch: int) -> Iterator[None]:
    """A training in it ends with an error at the beginning of an epoch."""
    begin = StageModule.on_train_batch_start

    def interrupted(self, batch, batch_idx):
        if self.trainer.current_epoch == epoch:
            raise InterruptedError
        return begin(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StageModule, "on_train_batch_start", interrupted)
        with pytest.raises(InterruptedError):
            yield
