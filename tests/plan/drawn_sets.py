"""Data sets drawn for the tests of plans: balls and rods in volumes, disks in pictures."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

SHAPE = (32, 36, 28)


def ball(shape: Sequence[int], middle: Sequence[float], radius: float) -> np.ndarray:
    """Bool: within a radius of a middle, in samples."""
    grid = np.indices(shape) - np.reshape(middle, (-1, *[1] * len(shape)))
    return np.asarray((grid**2).sum(axis=0) <= radius**2)


def write_volume_case(folder: Path, name: str, image: np.ndarray, label: np.ndarray, spacing: float = 1.0) -> None:
    """As nnU-Net lays them out, axes in RAS."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    for part, end, values in (("imagesTr", "_0000", image.astype(np.float32)), ("labelsTr", "", label)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(values, affine), folder / part / f"{name}{end}.nii.gz")


def two_balls(folder: Path, cases: int, names: dict[str, int] | None = None, values: tuple[int, int] = (1, 2)) -> Path:
    """Volumes with a ball behind another, in the middle from left to right; ``dataset.json`` if names are given."""
    generator = np.random.default_rng(0)
    for number in range(cases):
        jitter = generator.uniform(-2, 2, 3)
        label = np.zeros(SHAPE, np.uint8)
        label[ball(SHAPE, np.array([15.5, 12, 14]) + jitter, 6)] = values[0]
        label[ball(SHAPE, np.array([15.5, 22.5, 14]) + jitter, 5)] = values[1]
        image = generator.normal(100, 20, SHAPE) + 120 * (label == values[0]) + 60 * (label == values[1])
        write_volume_case(folder, f"case_{number:03d}", image, label)
    if names is not None:
        (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "MR"}, "labels": names}))
    return folder


def disks(folder: Path, cases: int, gray: bool = True, value: int = 255) -> Path:
    """Pictures of a bright disk and their masks of 0 and one value."""
    generator = np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(cases):
        member = ball((90, 120), generator.uniform(30, 60, 2), 14)
        picture = np.clip(generator.normal(80, 20, (90, 120)) + 90 * member, 0, 255).astype(np.uint8)
        Image.fromarray(picture if gray else np.stack([picture, picture // 2, picture // 4], -1)).save(
            folder / "images" / f"{number:03d}.png"
        )
        Image.fromarray((member * value).astype(np.uint8)).save(folder / "labels" / f"{number:03d}.png")
    return folder


def tubes(folder: Path, middle: int = 24, empty: int = 0, cases: int = 3) -> Path:
    """Volumes with a bent tube from end to end; the first `empty` labels show nothing."""
    generator, shape = np.random.default_rng(1), (48, 48, 100)
    for number in range(cases):
        grid = np.indices(shape)
        bent = 24 + 4 * np.sin(grid[2] / 15 + number)
        label = ((grid[0] - middle) ** 2 + (grid[1] - bent) ** 2 <= 9).astype(np.uint8) * (number >= empty)
        write_volume_case(folder, f"case_{number}", generator.normal(0, 1, shape) + 3 * label, label)
    return folder
