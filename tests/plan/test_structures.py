"""How thick and how long drawn shapes are measured, on grids of every kind."""

import numpy as np
import pytest

from gracile.plan import structures
from gracile.plan.structures import structures_of, thickness_of

GRIDS = [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.5, 0.5, 5.0), (0.4, 0.8, 0.8)]


def places(length_mm: tuple[float, float, float], spacing: tuple[float, ...]) -> list[np.ndarray]:
    """Three open grids of mm."""
    counts = [int(np.ceil(side / step)) for side, step in zip(length_mm, spacing, strict=True)]
    grids = np.ogrid[tuple(slice(count) for count in counts)]
    return [np.asarray(axis * step) for axis, step in zip(grids, spacing, strict=True)]


@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize("middle", [9.0, 9.2, 9.45])
def test_a_tube_is_as_thick_and_as_long_as_it_was_drawn(spacing: tuple[float, ...], middle: float) -> None:
    x, y, z = places((20, 20, 80), spacing)
    tube = ((x - middle) ** 2 + (y - middle) ** 2 <= 9) & (z >= 0)
    found = structures_of(tube.astype(np.uint8), np.array(spacing), 2)
    assert 0.8 < found.thickness[0] / 6 < 1.1
    assert 0.75 < found.slenderness[0] / (80 / 6) < 2.1


def test_a_tube_of_few_samples_on_thick_slices_is_no_thinner_than_on_thin_ones() -> None:
    x, y, z = places((10, 10, 100), (0.5, 0.5, 5.0))
    tube = ((x - 5) ** 2 + (y - 5) ** 2 <= 1.5**2) & (z >= 0)
    found = structures_of(tube.astype(np.uint8), np.array([0.5, 0.5, 5.0]), 2)
    assert 2.4 < found.thickness[0] < 3.6
    assert 25 < found.slenderness[0] < 55


@pytest.mark.parametrize("spacing", GRIDS)
def test_a_ball_has_its_diameter_and_a_length_of_one(spacing: tuple[float, ...]) -> None:
    x, y, z = places((40, 40, 40), spacing)
    ball = (x - 20) ** 2 + (y - 20) ** 2 + (z - 20) ** 2 <= 100
    found = structures_of(ball.astype(np.uint8), np.array(spacing), 2)
    assert 17 < found.thickness[0] < 21
    assert found.slenderness[0] < 1.3


@pytest.mark.parametrize("thick", range(1, 8))
def test_sheets_and_lines_of_whole_samples_are_measured_to_half_a_sample(thick: int) -> None:
    sheet = np.zeros((40, 30, 20), bool)
    sheet[5 : 5 + thick] = True
    assert abs(thickness_of(sheet, np.ones(3)) - thick) <= 0.5
    assert abs(thickness_of(sheet, np.array([4.0, 1.0, 1.0])) - 4 * thick) <= 2 or thick > 4
    line = np.zeros((40, 200), bool)
    line[5 : 5 + thick, 10:190] = True
    assert abs(thickness_of(line, np.ones(2)) - thick) <= 0.5


def test_large_boxes_are_measured_as_small_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, z = np.ogrid[:60, :60, :160]
    line = (x - 30 - 20 * np.sin(z / 30)) ** 2 + (y - 30) ** 2 <= 4
    ball = (x - 30) ** 2 + (y - 30) ** 2 + (z - 60) ** 2 <= 28**2
    for member in (line, ball):
        whole = thickness_of(member, np.ones(3))
        monkeypatch.setattr(structures, "MOST_SAMPLES", 60_000)
        assert abs(thickness_of(member, np.ones(3)) / whole - 1) < 0.15
        monkeypatch.undo()


def test_what_fills_its_field_is_as_thick_as_that() -> None:
    assert 18 <= thickness_of(np.ones((20, 30), bool), np.ones(2)) <= 22


def test_slices_that_show_several_pieces_are_counted() -> None:
    truth = np.zeros((20, 20, 10), np.uint8)
    truth[2:5, 2:5] = 1
    truth[10:13, 10:13, :3] = 1
    truth[2:5, 2:5, 9] = 0
    found = structures_of(truth, np.ones(3), 3)
    assert found.split[0] == pytest.approx(3 / 9)
    assert np.isnan(found.split[1])


def test_axes_are_turned_with_what_was_measured_along_them() -> None:
    truth = np.zeros((20, 30, 40), np.uint8)
    truth[1:3, 4:8, 9:21] = 1
    spacing = np.array([4.0, 1.0, 2.0])
    turned = structures_of(truth, spacing, 2).turned([1, 2, 0])
    drawn = structures_of(truth.transpose(1, 2, 0), spacing[[1, 2, 0]], 2)
    np.testing.assert_allclose(turned.box, drawn.box)
    np.testing.assert_allclose(turned.centers, drawn.centers)
