"""A volume on another grid of the same patient says the same at the same place."""

import numpy as np
import SimpleITK as sitk
from hypothesis import given, settings

from gracile.geometry import Grid
from gracile.transforms.regrid import onto_grid
from tests.volumes_on_disk import LPS, oblique_affines

PLANE = np.array([0.3, -0.7, 1.1])


def positions(grid: Grid) -> np.ndarray:
    """``(*shape, 3)`` RAS+ mm."""
    assert grid.affine is not None
    return np.moveaxis(np.indices(grid.shape), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]


@settings(max_examples=25)
@given(oblique_affines(), oblique_affines())
def test_what_is_linear_in_the_patient_stays_so_on_any_grid(first, second):
    spacing = np.linalg.norm(second[:3, :3], axis=0)
    first[:3, :3] *= spacing.min() / np.linalg.norm(first[:3, :3], axis=0).max()  # finer: nothing is smoothed
    source, target = Grid((9, 8, 7), affine=second), Grid((6, 7, 8), affine=first)
    first[:3, 3] = (positions(source)[4, 4, 3] - first[:3, :3] @ (3, 3, 4)).ravel()
    values = positions(source) @ PLANE
    moved, outside = onto_grid(values.astype(np.float32), source, target)
    places = (positions(target) - second[:3, 3]) @ np.linalg.inv(second[:3, :3]).T
    inner = ((places >= 0) & (places <= np.array(source.shape) - 1)).all(axis=-1)
    assert inner.any()
    np.testing.assert_allclose(moved[inner], (positions(target) @ PLANE)[inner], rtol=1e-4, atol=0.05)
    lies_out = ((places < -0.6) | (places > np.array(source.shape) - 0.4)).any(axis=-1)
    assert (moved[lies_out] == 0).all()
    assert lies_out.mean() - 1e-9 <= outside <= 1 - inner.mean() + 1e-9


def to_itk(values: np.ndarray, affine: np.ndarray) -> sitk.Image:
    image, to_lps = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose())), LPS @ affine
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(to_lps[:3, 3].tolist())
    return image


@settings(max_examples=10)
@given(oblique_affines())
def test_it_agrees_with_the_resampling_of_another_library(affine):
    values = np.random.default_rng(0).normal(size=(12, 11, 10)).astype(np.float32)
    finer = affine.copy()
    finer[:3, :3] = affine[:3, :3] * 0.7
    moved, _ = onto_grid(values, Grid(values.shape, affine=affine), Grid((14, 13, 12), affine=finer))
    onto = to_itk(np.zeros((14, 13, 12), np.float32), finer)
    other = sitk.Resample(to_itk(values, affine), onto, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear)
    np.testing.assert_allclose(moved, sitk.GetArrayFromImage(other).transpose(), atol=2e-3)


def test_turned_axes_are_turned_and_not_interpolated():
    values = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    affine = np.diag([1.0, 2, 3, 1])
    mirrored = affine.copy()
    mirrored[0, 0], mirrored[0, 3] = -1, 4
    moved, outside = onto_grid(values, Grid((5, 6, 7), affine=affine), Grid((5, 6, 7), affine=mirrored))
    np.testing.assert_array_equal(moved, values[::-1])
    assert outside == 0


def test_a_coarser_grid_takes_means_so_that_noise_goes_down():
    noise = np.random.default_rng(0).normal(size=(48, 48, 48)).astype(np.float32)
    coarse = np.diag([4.0, 4, 4, 1])
    coarse[:3, 3] = 1.5
    moved, _ = onto_grid(noise, Grid(noise.shape, affine=np.eye(4)), Grid((12, 12, 12), affine=coarse))
    assert moved.std() < 0.3
    assert abs(moved.mean()) < 0.05
