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
