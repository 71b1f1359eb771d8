"""Which samples each training step sees: the same whatever the number of processes, and the same after a resume."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from gracile.case import Case
from gracile.data import CaseFiles, read_case
from gracile.errors import DataError
from gracile.io.atomic import writing
from gracile.recipe import Recipe
from gracile.transforms import Prepared, prepare
from gracile.transforms.stored import StoredArray


class EpochSampler(Sampler[int]):
    """A seeded order of an epoch's samples; every process takes its part of each batch.

    Indices run on from epoch to epoch, so that a data set that draws by index gives new patches in each.

    Args:
        size: Samples in an epoch; a last incomplete batch is left out.
        batch_size: Samples of a step over all processes together.
        rank: Number of this process.
        processes: How many there are.
        seed: Seed of the order.
    """

    def __init__(self, size: int, batch_size: int, rank: int, processes: int, seed: int) -> None:
        self.size = size
        self.batch_size = batch_size
        self.rank = rank
        self.processes = processes
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.batch_size * (self.batch_size // self.processes)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 7919 + self.epoch)
        order = torch.randperm(self.size, generator=generator).tolist()
        part = self.batch_size // self.processes
        for start in range(0, self.size - self.batch_size + 1, self.batch_size):
            first = start + self.rank * part
            for position in order[first : first + part]:
                yield self.epoch * self.size + position


def prepared_case(files: CaseFiles, recipe: Recipe, cache: Path) -> Prepared:
    """Read and prepare a case once. Its arrays stay in the cache: memory is bounded for any number of cases."""
    folder = cache / files.id
    names = ["image", "region"]
    if files.label is not None:
        names.append("labels" if recipe.input.kind == "volume" else "truth")
    names += ["affine"] * (recipe.input.kind == "volume") + ["points"] * bool(recipe.landmarks)
    if not all(_is_sound(folder / f"{name}.npy") for name in names):
        prepared = _prepare(read_case(files, recipe), recipe)
        for name in names:
            _write(folder, name, _points(prepared) if name == "points" else getattr(prepared, name))
    arrays: dict[str, Any] = {name: StoredArray(folder / f"{name}.npy") for name in names}
    for name in {"affine", "points"} & set(names):
        arrays[name] = np.array(arrays[name])
    points = dict(zip(recipe.landmark_names, arrays.pop("points", []), strict=False))
    return Prepared(
        placement=None, subject=files.subject, frame_class=files.frame_class, moment=files.moment, points=points,
        keep=partial(kept, folder), **arrays,
    )  # fmt: skip


def kept(folder: Path, name: str, make: Callable[[], np.ndarray]) -> StoredArray:
    """An array of a folder, made where it is not there yet. What it is made of must be the same for a name."""
    path = folder / f"{name}.npy"
    if not _is_sound(path):
        _write(folder, name, make())
    return StoredArray(path)


def _is_sound(path: Path) -> bool:
    """Whether an array is there, whole; one that is not is made anew."""
    try:
        return path.is_file() and StoredArray(path) is not None
    except DataError:
        return False


def _write(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / f"{name}.npy") as path, path.open("wb") as file:
        np.save(file, array)


def _points(prepared: Prepared) -> np.ndarray:
    """``(n, 3)`` voxels of the recipe's landmarks in their order; ``(0, 3)`` where they are not known."""
    return np.array(list(prepared.points.values()), dtype=float).reshape(-1, 3)


def _prepare(case: Case, recipe: Recipe) -> Prepared:
    # Labeled data is what its owner says it is: the check of the kind of picture is for prediction.
    return prepare(case, recipe, allow_wrong_kind=True)[0]
