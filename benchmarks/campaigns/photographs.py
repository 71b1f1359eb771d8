"""Two drawn photographs that the campaigns train on."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_photographs(folder: Path) -> Path:
    """Two drawn fundus photographs with their labels and fields of view."""
    for name in ("images", "labels", "fov"):
        (folder / name).mkdir(parents=True)
    rows, columns = np.ogrid[:60, :60]
    inside = (rows - 30) ** 2 + (columns - 30) ** 2 < 27**2
    for number in range(2):
        image = np.where(inside[..., None], np.array([180, 90, 45]), 0).astype(np.uint8)
        labels = np.zeros((60, 60), np.uint8)
        labels[25 + number : 27, 12:48], labels[30:33, 12:48], labels[25:33, 30:32] = 1, 2, 3
        image[labels > 0] //= 2
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{number}.png")
        Image.fromarray(inside.astype(np.uint8) * 255).save(folder / "fov" / f"{number}.png")
    return folder
