"""The bandwidth of a smooth curve is a length."""

import numpy as np
import pytest

from gracile.errors import GeometryError
from gracile.geometry.smooth_lines import robust_curve, smooth_curve


def test_a_straight_line_stays_itself_whatever_the_bandwidth():
    along = np.array([0.0, 1, 2, 5, 6, 9, 10])
    values = np.stack([3 + 2 * along, -along], axis=1)
    for bandwidth in (0, 2, 50):
        assert np.allclose(smooth_curve(along, values, bandwidth)(along), values, atol=1e-6)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 2.0])
def test_waves_of_six_bandwidths_are_halved_whatever_the_spacing(spacing):
    along = np.arange(0, 600, spacing)
    wave = np.sin(along / 8.0)[:, None]
    kept = smooth_curve(along, wave, 8.0)(along)
    middle = slice(len(along) // 3, -len(along) // 3)
    assert np.ptp(kept[middle]) / np.ptp(wave[middle]) == pytest.approx(0.5, abs=0.02)


def test_a_few_points_far_off_do_not_draw_the_curve():
    along = np.arange(60.0)
    values = np.stack([np.sin(along / 20) * 10, along * 0], axis=1)
    spoiled = values.copy()
    spoiled[20:24, 1] = 15
    clean = smooth_curve(along, values, 5)(along)
    assert np.abs(robust_curve(along, spoiled, 5)(along) - clean).max() < 0.1
    assert np.abs(smooth_curve(along, spoiled, 5)(along) - clean).max() > 3


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_few_points_are_enough(count):
    along = np.arange(count) * 17.0
    values = np.stack([along, along**2 / 100, along * 0], axis=1)
    curve = robust_curve(along, values, 5.0)
    assert curve(along).shape == (count, 3)
    assert np.abs(curve(along) - values).max() < 1
    assert curve(along, 1).shape == (count, 3)


def test_points_out_of_order_are_refused():
    with pytest.raises(GeometryError):
        smooth_curve(np.array([0.0, 2, 1]), np.zeros((3, 2)), 1)
    with pytest.raises(GeometryError):
        smooth_curve(np.zeros(0), np.zeros((0, 2)), 1)
