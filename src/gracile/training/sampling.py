"""Which samples each training step sees: the same whatever the number of processes, and the same after a resume."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Sampler

from gracile.case import Case
from gracile.data import CaseFiles, read_case
from gracile.io.atomic import writing
from gracile.recipe import Recipe
from gracile.transforms import Prepared, prepare


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
    """Read and prepare a case once; later calls map the cached arrays from disk, so that memory stays bounded."""
    folder = cache / files.id
    names = ["image", "region"]
    names += ["truth"] * (files.label is not None) + ["affine"] * (recipe.input.kind == "volume")
    names += ["points"] * bool(recipe.landmarks)
    if not all((folder / f"{name}.npy").is_file() for name in names):
        case = read_case(files, recipe)
        prepared = _prepare(case, recipe)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            with writing(folder / f"{name}.npy") as path, path.open("wb") as file:
                np.save(file, _points(prepared) if name == "points" else getattr(prepared, name))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    points = dict(zip(recipe.landmark_names, arrays.pop("points", []), strict=False))
    return Prepared(placement=None, subject=files.subject, frame_class=files.frame_class, points=points, **arrays)


def _points(prepared: Prepared) -> np.ndarray:
    """``(n, 3)`` voxels of the recipe's landmarks in their order; ``(0, 3)`` where they are not known."""
    return np.array(list(prepared.points.values()), dtype=float).reshape(-1, 3)


def _prepare(case: Case, recipe: Recipe) -> Prepared:
    # Labeled data is what its owner says it is: the check of the kind of picture is for prediction.
    return prepare(case, recipe, allow_wrong_kind=True)[0]
