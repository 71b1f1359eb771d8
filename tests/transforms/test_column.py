"""Columns along a line: cut, brought back, and honest about where they are."""

import numpy as np
import pytest

from gracile.geometry import Centerline
from gracile.transforms.column import Column

SHAPE = (40, 50, 30)


def slanted(spacing: tuple[float, float, float], low: float = 2.0, high: float = 27.0) -> tuple[Centerline, np.ndarray]:
    """A slanted line through a volume, and the volume's affine (LAS)."""
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    affine[:3, 3] = 7.0, -3.0, 11.0
    z = np.linspace(low, high, 20)
    voxels = np.stack([18 + 0.2 * z, 20 + 0.4 * z, z], axis=1)
    return Centerline(voxels @ affine[:3, :3].T + affine[:3, 3]), affine


def smooth_volume() -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    return np.stack([np.sin(axes[0] / 4) + np.cos(axes[1] / 5) + axes[2] / 10, np.cos(axes[0] / 6)])


@pytest.mark.parametrize("own", [(1.0, 1.0, 1.0), (0.5, 0.5, 3.0)])
def test_where_voxels_lie_on_the_columns_samples_they_come_back_as_they_were(own):
    line, affine = slanted(own)
    column = Column.along(line, affine, SHAPE, (32, 32), (0.5, 0.5, 0.0))
    volume = smooth_volume()
    back = column.restore(column.cut(volume), (0.0, 0.0))
    inside = column.restore(np.ones((1, 32, 32, column.length)), (0.0,))[0] > 0.999
    assert inside.sum() > 2000
    assert np.allclose(back[:, inside], volume[(slice(None), *column.box)][:, inside], atol=1e-4)


def test_at_any_other_spacing_what_comes_back_is_close():
    line, affine = slanted((0.7, 0.8, 1.1))
    column = Column.along(line, affine, SHAPE, (24, 24), (0.5, 0.5, 0.9))
    volume = smooth_volume()
    back = column.restore(column.cut(volume), (0.0, 0.0))
    inside = column.restore(np.ones((1, 24, 24, column.length)), (0.0,))[0] > 0.999
    assert np.abs(back[:, inside] - volume[(slice(None), *column.box)][:, inside]).max() < 0.05


def test_the_line_runs_through_the_middle_of_every_slice():
    line, affine = slanted((1.0, 1.0, 1.0))
    column = Column.along(line, affine, SHAPE, (20, 20), (0.5, 0.5, 0.0))
    middle = column.positions()[10, 10]
    z = middle[:, 2]
    inner = (z >= 2) & (z <= 27)
    assert np.abs(middle[inner, 0] - (18 + 0.2 * z[inner])).max() <= 0.25 + 1e-6  # half a sample
    assert np.abs(middle[inner, 1] - (20 + 0.4 * z[inner])).max() <= 0.25 + 1e-6


def test_a_column_ends_where_its_line_ends_or_the_volume():
    line, affine = slanted((1.0, 1.0, 1.0), low=10, high=12)
    column = Column.along(line, affine, SHAPE, (20, 20), (0.5, 0.5, 0.0))
    assert (column.first, column.length) == (10, 3)
    line, affine = slanted((1.0, 1.0, 1.0), low=-10, high=60)
    column = Column.along(line, affine, SHAPE, (20, 20), (0.5, 0.5, 0.0))
    assert (column.first, column.length) == (0, 30)
    line, affine = slanted((1.0, 1.0, 1.0), low=10, high=12)
    assert Column.along(line, affine, SHAPE, (20, 20), (0.5, 0.5, 0.25)).length == 9


def test_outside_the_volume_a_column_is_empty_and_outside_the_column_the_volume_is_background():
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    line = Centerline(np.array([[0.0, 2.0, 5.0], [0.0, 2.0, 20.0]]))
    column = Column.along(line, affine, SHAPE, (32, 32), (0.5, 0.5, 0.0))
    cut = column.cut(np.ones((1, *SHAPE)))[0]
    assert cut[:15].max() == 0.0
    assert cut[17:, 17:].min() == 1.0
    box = column.box
    assert (box[0].start, box[1].start) == (0, 0)
    back = column.restore(np.zeros((1, 32, 32, column.length)), (1.0,))[0]
    assert back[0, 0].max() < 0.01
