"""Paint the frames of a video: classes in color, outlines, a line of text, the truth beside it. Fast, all in uint8."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gracile.errors import DataError
from gracile.geometry.boxes import bounding_box
from gracile.recipe import Recipe
from gracile.report.marks import RGB

GREEN: RGB = (0, 255, 0)
"""What a single structure is painted in."""

_FULL = 255


class Painter:
    """Lays the classes of a mask over a picture.

    Args:
        colors: RGB by class index; the first, the background's, is not used.
        opacity: Of the colors, 0 to 1.
        contour: Also draw the outlines, at full opacity.
    """

    def __init__(self, colors: Sequence[Sequence[int]], opacity: float = 0.2, contour: bool = False) -> None:
        self.colors = np.array(colors, np.uint8)
        self.contour = contour
        share = round(_FULL * opacity)
        values = np.arange(256)[None, None] * (_FULL - share) + self.colors.astype(np.intp)[..., None] * share
        # A pixel has 256 values a channel: what becomes of each is computed once, not in every frame.
        self._blended = ((values + _FULL // 2) // _FULL).astype(np.uint8)

    def paint(self, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """A painted copy.

        Args:
            picture: ``(height, width, 3)`` uint8 RGB.
            mask: ``(height, width)`` uint8 class indices.

        Returns:
            ``(height, width, 3)`` uint8: ``(value * (255 - a) + color * a) / 255``, rounded, with a = 255 * opacity.

        Raises:
            DataError: The sizes differ, or the mask holds a class that has no color.
        """
        if picture.shape[:2] != mask.shape:
            raise DataError(f"The mask has size {mask.shape}, the picture {picture.shape[:2]}.")
        painted = picture.copy()
        box = bounding_box(mask)
        if box is None:
            return painted
        inside, labels = painted[box], mask[box]
        thickness = max(1, round(min(mask.shape) / 400))
        highest = int(labels.max())
        if highest >= len(self.colors):
            raise DataError(f"The mask holds class {highest}, and there are {len(self.colors)} colors.")
        for index in range(1, highest + 1):
            member = labels == index
            if member.any():
                self._fill(inside, member, index, thickness)
        return painted

    def _fill(self, picture: np.ndarray, member: np.ndarray, index: int, thickness: int) -> None:
        for channel in range(3):
            values = picture[..., channel]
            np.copyto(values, self._blended[index, channel].take(values), where=member)
        if self.contour:
            picture[outline(member, thickness)] = self.colors[index]


def frame_colors(recipe: Recipe) -> list[RGB]:
    """Green for a single structure; of several, each in the recipe's color."""
    if len(recipe.classes) == 2:
        return [recipe.classes[0].color, GREEN]
    return [spec.color for spec in recipe.classes]


def outline(member: np.ndarray, thickness: int = 1) -> np.ndarray:
    """The pixels of a bool mask ``(height, width)`` that lie within ``thickness`` steps of its edge, corners uncut.

    The border of the array is taken for an edge.
    """
    inner = member.copy()
    for _ in range(thickness):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return member & ~inner


def write_line(picture: np.ndarray, text: str) -> None:
    """Write a line of white text on a darkened strip into the upper left corner of a picture, in place.

    Args:
        picture: ``(height, width, 3)`` uint8 RGB; what does not fit on it is cut.
        text: The line.
    """
    if not text:
        return
    height, width = picture.shape[:2]
    font = _font(max(10, height // 32))
    _, _, right, bottom = font.getbbox(text)
    margin = max(2, height // 200)
    box = picture[: min(height, int(bottom) + 2 * margin), : min(width, int(right) + 2 * margin)]
    letters = Image.new("L", (box.shape[1], box.shape[0]))
    ImageDraw.Draw(letters).text((margin, margin), text, fill=_FULL, font=font)
    box //= 3
    np.maximum(box, np.asarray(letters)[..., None], out=box)


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures ``(height, width, 3)`` of one size as one of twice the width. Raises DataError."""
    if left.shape != right.shape:
        raise DataError(f"The pictures have shapes {left.shape} and {right.shape}; side by side needs equal ones.")
    return np.concatenate([left, right], axis=1)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
