"""Heat lies where it is, and sheets show what they are given."""

from io import BytesIO

import numpy as np
from PIL import Image

from gracile.report.heat import contact_sheet, draw_heat, heat_png, scaled


def test_what_is_cold_shows_the_picture_and_what_is_hot_does_not():
    image = np.random.default_rng(0).integers(0, 256, (1, 20, 30)).astype(np.uint8)
    heat = np.zeros((20, 30), np.float32)
    heat[5:9, 10:14] = 7
    drawn = draw_heat(image, heat)
    assert drawn.shape == (3, 20, 30)
    cold = heat == 0
    assert (drawn[:, cold] == image[:, cold]).all()
    assert (drawn[0, ~cold] > drawn[2, ~cold]).all()
    assert (draw_heat(image, np.zeros_like(heat)) == image).all()


def test_one_bright_pixel_does_not_darken_the_others():
    heat = np.ones((100, 100), np.float32)
    heat[0, 0] = 1000
    assert scaled(heat)[50, 50] == 1
    assert scaled(np.full((3, 3), np.nan)).max() == 0


def test_a_layer_of_the_page_has_the_size_of_its_picture():
    heat = np.zeros((20, 30), np.float32)
    heat[:10] = 1
    picture = Image.open(BytesIO(heat_png(heat, (60, 40))))
    assert picture.size == (60, 40)
    alpha = np.asarray(picture)[..., 3]
    assert alpha[2].min() > 150
    assert alpha[-2].max() == 0


def test_a_sheet_shows_each_map_in_its_own_range_and_the_liveliest_when_there_are_many():
    ramp = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    maps = np.stack([ramp * factor for factor in (1, 100, 0.01)])
    sheet = contact_sheet(maps, side=8)
    assert sheet.shape == (18, 18)
    assert (sheet[:8, :8] == sheet[:8, 10:18]).all()
    assert (sheet[10:18, :8] == sheet[:8, :8]).all()
    flat = np.concatenate([np.zeros((80, 4, 4), np.float32), ramp[None]])
    assert contact_sheet(flat, side=4, largest=1).max() == 255
    assert contact_sheet(flat, side=4).shape == (46, 46)
