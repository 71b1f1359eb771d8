"""Tiny data sets of two channels, pictures and volumes, for tests of what reads, learns and finds in them."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from gracile.bundle import Bundle, write_bundle
from gracile.recipe import Recipe, recipe_from

AFFINE = np.array([[1.0, 0, 0, -8], [0, 1.0, 0, -8], [0, 0, 1.5, -9], [0, 0, 0, 1]])
CLASSES = [{"name": "background", "color": [0, 0, 0]}, {"name": "blob", "color": [255, 0, 0]}]


def recipe_of(kind: str, *settings: str, channels: int = 2, names: tuple[str, ...] = ("t1", "t2")) -> Recipe:
    """A recipe of one small network that trains in a second."""
    network = {"name": "light-unet-3d" if kind == "volume" else "light-unet", "options": {"width": 16}}
    losses = [{"name": "cross-entropy"}, {"name": "dice"}]
    stage: dict[str, Any] = {"name": "segment", "network": network, "losses": losses}
    if kind == "volume":
        stage |= {"kind": "segment-volume", "size": [16, 16], "length": 8, "per_case": 2, "spacing_mm": [0, 0, 0]}
    else:
        stage |= {"kind": "segment", "sampler": {"patch": [32, 32], "per_case": 2}}
    seen = {"kind": kind, "channels": channels, "channel_names": list(names)}
    train = {"epochs": 1, "batch_size": 2, "validation": 0}
    whole = {
        "name": "two-channels", "title": "Two channels", "classes": CLASSES, "input": seen, "stages": [stage],
        "train": train, "trainer": {"graphs": False, "threads": 1, "precision": "32-true"},
    }  # fmt: skip
    return recipe_from(whole, list(settings))


def draw(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A T1, a T2 in which the blob is dark, and the blob."""
    random = np.random.default_rng(seed)
    shape = (16, 18, 12) if kind == "volume" else (40, 48)
    middle = random.uniform(0.35, 0.65, len(shape)) * shape
    far = sum((grid - place) ** 2 for grid, place in zip(np.indices(shape), middle, strict=True))
    blob = far < (min(shape) / 4) ** 2
    first, second = (random.normal(level, 6, shape) for level in (100, 140))
    return first + 60 * blob, second - 60 * blob, blob


def write_image(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """A gray picture or a volume, by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".png"):
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path)
    else:
        nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), affine), path)
    return path


def suffix(kind: str) -> str:
    return ".nii.gz" if kind == "volume" else ".png"


def write_data(folder: Path, kind: str, count: int = 3, part: str = "Tr", first: int = 0) -> Path:
    """An nnU-Net folder: ``imagesTr/p0_0000``, ``p0_0001`` and ``labelsTr/p0``."""
    for seed in range(first, first + count):
        t1, t2, blob = draw(kind, seed)
        for number, values in enumerate((t1, t2)):
            write_image(folder / f"images{part}" / f"p{seed}_{number:04d}{suffix(kind)}", values)
        label = folder / f"labels{part}" / f"p{seed}{suffix(kind)}"
        if kind == "volume":
            label.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(blob.astype(np.uint8), AFFINE), label)
        else:
            write_image(label, blob.astype(np.uint8))
    return folder


def random_bundle(recipe: Recipe, folder: Path, seed: int = 0) -> Path:
    """A bundle of random weights."""
    import torch

    from gracile.learning.learners import build_learner

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        stage = build_learner(recipe.stages[0], recipe)
        state = stage.bundle_state().items()
        weights = {name: (value + 0.3 * torch.randn(value.shape)).numpy() for name, value in state}
    return write_bundle(Bundle(recipe=recipe, weights={stage.name: weights}, card={}), folder)
