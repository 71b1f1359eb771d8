"""Heat maps over pictures, and sheets of feature maps."""

from io import BytesIO

import numpy as np
from PIL import Image

HEAT = np.array([(0, 0, 0), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64)
"""Colors from nothing to most: five of matplotlib's inferno, whose lightness grows evenly."""

OPACITY = 0.75
LARGEST_SHEET = 64
"""Number of feature maps that a sheet shows at most, the strongest ones."""


def scaled(heat: np.ndarray) -> np.ndarray:
    """A map from 0 to 1: divided by its 99.8th percentile, so that one pixel does not darken all others."""
    positive = np.maximum(np.nan_to_num(np.asarray(heat, dtype=np.float32)), 0)
    top = float(np.percentile(positive, 99.8)) or float(positive.max(initial=0))
    return np.minimum(positive / top, 1) if top > 0 else positive


def draw_heat(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture with a heat map over it; what is cold shows the picture.

    Args:
        image: ``(1 or 3, height, width)`` uint8.
        heat: ``(height, width)``, 0 and above, of any scale.

    Returns:
        ``(3, height, width)`` uint8.
    """
    strength = scaled(heat)
    opacity = OPACITY * np.sqrt(strength)
    picture = np.broadcast_to(image, (3, *heat.shape))
    return np.rint((1 - opacity) * picture + opacity * _colors(strength)).astype(np.uint8)


def heat_png(heat: np.ndarray, size: tuple[int, int]) -> bytes:
    """A heat map as a transparent PNG of (width, height), to lie over a report's picture."""
    strength = scaled(heat)
    alpha = np.rint(255 * OPACITY * np.sqrt(strength))
    pixels = np.moveaxis(np.concatenate([_colors(strength), alpha[None]]), 0, -1).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def contact_sheet(maps: np.ndarray, side: int = 96, largest: int = LARGEST_SHEET) -> np.ndarray:
    """Feature maps side by side, each from black to white by its own 1st and 99th percentile.

    Args:
        maps: ``(maps, height, width)``.
        side: Longer side of one map in the sheet, in pixels.
        largest: Number of maps to show at most: those that vary most, in their own order.

    Returns:
        ``(height, width)`` uint8.
    """
    spread = maps.reshape(len(maps), -1).std(axis=1)
    shown = np.sort(np.argsort(-spread, kind="stable")[:largest])
    columns = int(np.ceil(np.sqrt(len(shown))))
    rows = -(-len(shown) // columns)
    scale = side / max(maps.shape[1:])
    height, width = (max(1, round(length * scale)) for length in maps.shape[1:])
    sheet = np.full((rows * (height + 2) - 2, columns * (width + 2) - 2), 40, np.uint8)
    for place, index in enumerate(shown):
        low, high = np.percentile(maps[index], (1, 99))
        gray = np.rint(255 * np.clip((maps[index] - low) / max(float(high - low), 1e-12), 0, 1)).astype(np.uint8)
        top, left = (place // columns) * (height + 2), (place % columns) * (width + 2)
        tile = Image.fromarray(gray).resize((width, height), Image.Resampling.NEAREST)
        sheet[top : top + height, left : left + width] = np.asarray(tile)
    return sheet


def _colors(strength: np.ndarray) -> np.ndarray:
    """``(3, height, width)`` colors of a map from 0 to 1."""
    places = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(strength, places, HEAT[:, channel]) for channel in range(3)])
