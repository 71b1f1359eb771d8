import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.geometry import curves


def arc(radius: float, angle: float, number: int = 400) -> np.ndarray:
    turn = np.linspace(0, angle, number)
    return radius * np.stack([np.sin(turn), np.cos(turn)], axis=1)


@given(st.floats(1, 500), st.floats(0.2, 3))
def test_an_arc_has_the_curvature_of_its_circle(radius, angle):
    points = arc(radius, angle)
    assert curves.arc_length(points) == pytest.approx(radius * angle, rel=1e-3)
    assert curves.curvature(points)[1:-1] == pytest.approx(1 / radius, rel=1e-3)
    assert curves.total_curvature(points) == pytest.approx(angle, rel=0.01)
    assert curves.tortuosity_curvature(points) == pytest.approx(1 / radius, rel=0.01)


def test_tortuosity_is_one_for_a_line_and_half_pi_for_a_half_circle():
    assert curves.tortuosity_arc_chord(np.array([[0, 0], [1, 2], [2, 4.0]])) == pytest.approx(1)
    assert curves.tortuosity_arc_chord(arc(7, np.pi)) == pytest.approx(np.pi / 2, rel=1e-4)


def test_a_closed_curve_has_no_tortuosity():
    assert curves.tortuosity_arc_chord(np.array([[0, 0], [1, 1], [0, 0.0]])) is None
    assert curves.tortuosity_curvature(np.zeros((1, 2))) is None


@given(st.integers(3, 60), st.floats(0.1, 20))
def test_smoothing_keeps_ends_and_straight_lines(number, sigma):
    line = np.linspace([2, 3], [40, 17], number)
    assert curves.smooth(line, sigma) == pytest.approx(line)
    bent = line + np.stack([np.zeros(number), np.sin(np.arange(number))], axis=1)
    assert curves.smooth(bent, sigma)[[0, -1]] == pytest.approx(bent[[0, -1]])


def test_smoothing_takes_the_steps_out_of_a_pixel_line():
    columns = np.arange(100)
    stepped = np.stack([np.round(columns * 0.37), columns], axis=1)
    assert curves.arc_length(curves.smooth(stepped, 3)) == pytest.approx(99 * np.hypot(1, 0.37), rel=0.005)


def test_weights_add_up_to_the_length():
    points = arc(20, 2)
    assert curves.point_weights(points).sum() == pytest.approx(curves.arc_length(points))
    assert curves.chord_length(np.zeros((0, 2))) == 0
