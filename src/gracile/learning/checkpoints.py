"""Checkpoints of a stage's training: written whole, and read only as they were written.

A damaged one would otherwise train on without a word: PyTorch reads a file whose bits have changed, although its
archive holds a checksum for each part.
"""

import zipfile
from pathlib import Path
from typing import Any, NotRequired

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor
from typing_extensions import TypedDict

from gracile.errors import DataError
from gracile.io.atomic import writing
from gracile.learning.learners import Learner
from gracile.plain_data import require_shape


class CheckpointShape(TypedDict):
    """What a stage's training reads of a checkpoint; Lightning's own parts pass."""

    epoch: int
    state_dict: dict[str, Any]
    scores: NotRequired[dict[str, float]]


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then moves it there, so that a kill leaves the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        with writing(path) as part, part.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # PyTorch's own, from which a full disk cannot be told
                raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint, weights and plain data only: no code in it is run. Raises DataError where it is damaged."""
    remedy = f"Delete {path.parent} and resume: this stage then begins anew, and the others are kept."
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        checkpoint = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"The checkpoint {path} cannot be read: {error.strerror or 'it is cut off'}.", remedy) from None
    except MemoryError:
        raise
    except Exception:  # an unpickler of bytes that no pickler wrote raises whatever it comes to
        checkpoint = None
    if checkpoint is None:
        raise DataError(f"The checkpoint {path} is damaged or was cut off.", remedy)
    require_shape(checkpoint, CheckpointShape, f"The checkpoint {path}", remedy)
    return dict(checkpoint)


def take_weights(stage: Learner, checkpoint: dict[str, Any], path: Path) -> None:
    """Give a stage the weights of a checkpoint. Raises DataError where they are those of another network."""
    state = {k.removeprefix("stage."): v for k, v in checkpoint["state_dict"].items() if k.startswith("stage.")}
    wanted = stage.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
    if shapes != {name: tuple(value.shape) for name, value in wanted.items() if isinstance(value, Tensor)}:
        raise DataError(
            f"The checkpoint {path} is of another network than the stage {stage.name!r} has.",
            f"Delete {path.parent} and resume: this stage then begins anew, and the others are kept.",
        )
    stage.load_state_dict(state)
