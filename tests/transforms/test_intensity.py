"""What of a volume's intensities is shown: metal does not set the scale, air does not count."""

import numpy as np
import pytest

from gracile.transforms.intensity import IntensityRange


def test_metal_does_not_set_the_scale_and_air_does_not_count():
    random = np.random.default_rng(0)
    image = random.normal(100.0, 10.0, (30, 30, 30))
    image[:15] = -1000.0
    image[20, 20, 20] = 30_000.0
    region = np.ones(image.shape, dtype=bool)
    shown = IntensityRange.of(image, region, 4.0)
    body = image[15:]
    assert shown.high == pytest.approx(body.mean() + 4 * body.std(), rel=1e-3)
    assert shown.high < 0.1 * IntensityRange.of(image, region, 0.0).high
    inside = shown.apply(image)
    assert inside.dtype == np.float32
    assert (inside.min(), inside.max()) == (0.0, 1.0)
    assert inside[20, 20, 20] == 1.0


def test_a_constant_volume_has_a_range():
    shown = IntensityRange.of(np.full((4, 4, 4), 7.0), np.ones((4, 4, 4), dtype=bool), 4.0)
    assert np.isfinite(shown.apply(np.full((4, 4, 4), 7.0))).all()
