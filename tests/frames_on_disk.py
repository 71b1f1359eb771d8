"""Folders of frames of clips, with the table that tells of them."""

from pathlib import Path

import numpy as np
from PIL import Image

HEADER = "name,subject,frame,time_s,present,source,side"


def frame_folder(
    out: Path, rows: list[str], header: str = HEADER, boxes: dict[str, tuple[int, int]] | None = None
) -> Path:
    """Frames named p*, each with a mask of one box at a (row, column), or an empty one."""
    for part in ("images", "masks"):
        (out / part).mkdir(parents=True)
    for row in rows:
        name = row.split(",")[0]
        mask = np.zeros((40, 60), np.uint8)
        if name in (boxes or {}):
            top, left = boxes[name]
            mask[top : top + 10, left : left + 10] = 255
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 255, (40, 60)).astype(np.uint8)).save(
            out / "images" / f"{name}.jpg"
        )
        Image.fromarray(mask).convert("1").save(out / "masks" / f"{name}.png")
    (out / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return out


def write_disc_clips(out: Path, people: int = 6, shows: str = "....####", source: str = "human", seed: int = 0) -> Path:
    """A clip of each person, a frame every 0.2 s; where it shows the structure there is a bright disc."""
    rows = ["name,subject,time_s,present,source"]
    for part in ("images", "masks"):
        (out / part).mkdir(parents=True)
    for person in range(people):
        for number, letter in enumerate(shows):
            random = np.random.default_rng(10_000 * seed + 100 * person + number)
            image = random.normal(70, 12, (48, 48))
            rows_, columns = np.indices(image.shape)
            mask = (np.hypot(rows_ - random.integers(20, 28), columns - random.integers(20, 28)) < 8) & (letter == "#")
            name = f"p{person}_{number}"
            picture = (image + 90 * mask).clip(0, 255).astype(np.uint8)
            Image.fromarray(picture).save(out / "images" / f"{name}.png")
            Image.fromarray(mask.astype(np.uint8)).save(out / "masks" / f"{name}.png")
            rows.append(f"{name},p{person},{number * 0.2:.1f},{int(letter == '#')},{source}")
    (out / "labels.csv").write_text("\n".join(rows) + "\n")
    return out
