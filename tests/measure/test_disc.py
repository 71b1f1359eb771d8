import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gracile.measure.disc import find_disc


def fundus(row: float, column: float, diameter: float, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:size, :size]
    region = np.hypot(rows - size / 2, columns - size / 2) < 0.48 * size
    disc = ndimage.gaussian_filter((np.hypot(rows - row, columns - column) < diameter / 2).astype(float), 1.5)
    light = 1 - 0.4 * np.hypot(rows - 0.4 * size, columns - 0.6 * size) / size
    noise = np.random.default_rng(3).normal(0, 3, (3, size, size))
    image = np.array([150, 80, 40])[:, None, None] * light + np.array([70, 90, 40])[:, None, None] * disc + noise
    return np.where(region, np.clip(image, 0, 255), 0).astype(np.uint8), region


@pytest.mark.parametrize(("row", "column"), [(190, 90), (210, 300), (120, 280)])
def test_a_bright_disc_is_found_where_it_lies(row, column):
    disc = find_disc(*fundus(row, column, 60))
    assert disc is not None
    assert disc.source == "detected"
    assert disc.confidence > 0.5
    assert np.hypot(disc.row - row, disc.column - column) < 5
    assert disc.diameter == pytest.approx(60, rel=0.12)


def test_vessels_that_meet_decide_between_two_bright_places():
    image, region = fundus(200, 90, 60)
    other, _ = fundus(200, 300, 60)
    both = np.maximum(image, other)
    rows, columns = np.mgrid[:400, :400]
    angle = np.arctan2(rows - 200, columns - 90)
    away = np.hypot(rows - 200, columns - 90)
    vessels = (np.abs(np.sin(4 * angle)) * away < 8) & (away < 160) & region
    disc = find_disc(both, region, vessels)
    assert disc is not None
    assert abs(disc.column - 90) < 10


def test_a_larger_picture_gives_the_same_place():
    image, region = fundus(190, 90, 60)
    large = find_disc(image.repeat(3, 1).repeat(3, 2), region.repeat(3, 0).repeat(3, 1))
    small = find_disc(image, region)
    assert large is not None
    assert small is not None
    assert large.row / 3 == pytest.approx(small.row, abs=4)
    assert large.diameter / 3 == pytest.approx(60, rel=0.12)


def test_no_field_of_view_gives_no_disc():
    assert find_disc(np.zeros((3, 50, 50), np.uint8), np.zeros((50, 50), bool)) is None


# Read off the pictures by eye: row, column, diameter as shares of the height, width and field of view.
SEEN = {
    "drive-av/training/images/37_training.tif": (0.47, 0.86, 0.15),
    "drive-av/training/images/21_training.tif": (0.43, 0.14, 0.155),
    "hrf-av/training/images/01_h.jpg": (0.50, 0.73, 0.125),
}


@pytest.mark.real
@pytest.mark.parametrize("name", SEEN)
def test_real_discs(name):
    root = os.environ.get("GRACILE_DATA")
    if not root or not (Path(root) / "retina-av").is_dir():
        pytest.skip("GRACILE_DATA names no folder with retina-av")
    path = next((Path(root) / "retina-av" / name).parent.glob(Path(name).stem + ".*"))
    image = np.moveaxis(np.array(Image.open(path).convert("RGB")), -1, 0)
    region = image.max(axis=0) > 30
    height, width = region.shape
    row, column, diameter = SEEN[name]
    extent = np.ptp(np.flatnonzero(region.any(axis=0)))
    disc = find_disc(image, region)
    assert disc is not None
    assert disc.confidence > 0.5
    assert np.hypot(disc.row - row * height, disc.column - column * width) < 0.4 * diameter * extent
    assert disc.diameter == pytest.approx(diameter * extent, rel=0.25)
