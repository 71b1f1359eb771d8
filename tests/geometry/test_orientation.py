"""Axes are named as nibabel names them, and turned without a voxel changing its place."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.errors import GeometryError
from gracile.geometry import Grid, axis_codes, change_between
from tests.volumes_on_disk import oblique_affines

SHAPE = (4, 5, 6)


@given(oblique_affines())
def test_axes_are_named_as_nibabel_names_them(affine):
    codes = axis_codes(affine)
    theirs = nib.aff2axcodes(affine)
    cosines = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    if np.partition(cosines, -2, axis=0)[-2].max() < 0.6:  # else two names are about as good
        assert codes == "".join(theirs)
    assert sorted("LR".find(c) >= 0 or 2 * ("AP".find(c) >= 0) or 3 for c in codes) == [1, 2, 3]


def turned(array: np.ndarray, affine: np.ndarray, axes, flips) -> tuple[np.ndarray, Grid]:
    """The array with other axes, by nibabel, and where it then lies."""
    orientation = np.column_stack([axes, np.where(flips, -1, 1)])
    grid = affine @ nib.orientations.inv_ornt_aff(orientation, array.shape)
    changed = nib.orientations.apply_orientation(array, orientation)
    return changed, Grid(changed.shape, grid)


@given(oblique_affines(), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.integers(0, 2**32 - 1))
def test_any_other_order_of_axes_is_turned_back_to_the_voxel(affine, axes, flips, seed):
    random = np.random.default_rng(seed)
    array = random.integers(0, 1000, SHAPE)
    other, grid = turned(array, affine, axes, flips)
    grid.affine[:3, 3] += random.uniform(-0.05, 0.05, 3) * min(grid.spacing_mm) / 2  # rounding of other programs
    change = change_between(grid, Grid(SHAPE, affine))
    np.testing.assert_array_equal(change.apply(other), array)
    assert change.is_turn != (tuple(axes) == (0, 1, 2) and not any(flips))
    assert change.shape is None


@given(
    oblique_affines(), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3),
    st.tuples(*[st.tuples(st.integers(-2, 2), st.integers(-2, 2))] * 3),
)  # fmt: skip
def test_a_cropped_or_padded_part_is_put_in_its_place(affine, axes, flips, sides):
    array = np.random.default_rng(0).integers(1, 1000, SHAPE)
    wide = np.pad(array, 2)
    ends = [(2 - before, 2 + size + after) for (before, after), size in zip(sides, SHAPE, strict=True)]
    part = wide[tuple(slice(first, last) for first, last in ends)]
    own = affine.copy()
    own[:3, 3] += affine[:3, :3] @ [-before for before, _ in sides]
    other, grid = turned(part, own, axes, flips)
    mixed = any(before * after < 0 for before, after in sides)
    if mixed:  # cut off at one end and longer at the other: as likely a shifted one
        with pytest.raises(GeometryError):
            change_between(grid, Grid(SHAPE, affine))
        return
    kept = np.zeros(SHAPE, array.dtype)
    inner = tuple(
        slice(max(0, -before), size - max(0, -after)) for (before, after), size in zip(sides, SHAPE, strict=True)
    )
    kept[inner] = array[inner]
    np.testing.assert_array_equal(change_between(grid, Grid(SHAPE, affine)).apply(other), kept)


def grid(shape=SHAPE, scale=(1.0, 1.0, 1.0), shift=(0.0, 0.0, 0.0), turn=0.0) -> Grid:
    affine = np.eye(4)
    cosine, sine = np.cos(turn), np.sin(turn)
    affine[:2, :2] = [[cosine, -sine], [sine, cosine]]
    affine[:3, :3] *= scale
    affine[:3, 3] = shift
    return Grid(shape, affine)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (grid(shape=(4, 5, 7), shift=(0.0, 0.0, 0.5)), "4 x 5 x 7 voxels, not 4 x 5 x 6"),
        (grid(shape=(4, 5, 7), shift=(0.0, 0.0, 2.0)), "4 x 5 x 7 voxels, not 4 x 5 x 6"),
        (grid(scale=(1.0, 1.0, 1.5)), r"voxels are 1 x 1 x 1\.5 mm"),
        (grid(shift=(0.0, 0.0, 2.0)), r"middle lies 2\.0 mm away"),
        (grid(shift=(0.5, 0.0, 0.0)), r"middle lies 0\.5 mm away"),
    ],
)
def test_another_grid_is_named_by_what_differs(other, reason):
    with pytest.raises(GeometryError, match=reason):
        change_between(other, grid())


def test_a_turned_grid_is_another_grid():
    tilted = grid(turn=0.2)
    middle = (np.array(SHAPE) - 1) / 2
    tilted.affine[:3, 3] = middle - tilted.affine[:3, :3] @ middle
    with pytest.raises(GeometryError, match="another angle"):
        change_between(tilted, grid())


def test_equal_grids_are_equal_and_can_be_keys():
    assert grid() == grid()
    assert len({grid(), grid(), grid(shift=(1, 0, 0))}) == 2
    assert grid() != Grid(SHAPE)
