"""A tube in a volume of any axes, spacing, obliquity and size comes back where it was, through the whole cascade."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

import gracile
from gracile.bundle import Bundle, write_bundle
from gracile.case import Case
from gracile.evaluation.metrics import dice
from gracile.geometry import Grid
from gracile.geometry.centerline import centerline_from_mask
from gracile.learning.learners import build_learner
from gracile.recipe import read_recipe
from gracile.transforms import prepare
from gracile.transforms.column import Column
from gracile.transforms.volume import Orientation
from tests.geometry.volumes import ORIENTATIONS, oriented, tube

RADIUS_MM = 5.0


class Drawn(nn.Module):
    """A network without weights but for one, which says on which device it is."""

    def __init__(self) -> None:
        super().__init__()
        self.here = nn.Parameter(torch.zeros(1))


class Warm(Drawn):
    """Stands in for the locator's network: warm where much is bright."""

    def forward(self, volumes: Tensor) -> Tensor:
        around = nn.functional.avg_pool3d(volumes, (3, 3, 1), 1, (1, 1, 0), count_include_pad=False)
        return 12 * around / around.max() - 6


class Bright(Drawn):
    """Stands in for the delineator's: the cord is what is brighter than half way."""

    def forward(self, volumes: Tensor) -> Tensor:
        low, high = volumes.min(), volumes.max()
        cord = 40 * (volumes - (low + high) / 2) / (high - low)
        return torch.cat([-cord / 2, cord / 2], dim=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> gracile.Model:
    recipe = read_recipe("spinal-cord", ["stages.cord.flips=true"])
    weights = {spec.name: build_learner(spec, recipe).bundle_state() for spec in recipe.stages}
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    loaded = gracile.load(write_bundle(Bundle(recipe=recipe, weights=weights, card={}), folder))
    for stage, network in zip(loaded.pipeline.stages, (Warm(), Bright()), strict=True):
        stage.run.learner.network = network
    return loaded


def drawn(code: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares of a bent tube in a volume whose size, spacing and tilt follow from the code, and its affine."""
    random = np.random.default_rng(ORIENTATIONS.index(code))
    spacing = np.array([*random.uniform(0.5, 1.5, 2), random.uniform(0.6, 3.0)])
    shape = tuple(int(n) for n in np.array([44.0, 52.0, 60.0]) / spacing + random.integers(0, 4, 3))
    tilt = Rotation.from_euler("xyz", random.uniform(-15, 15, 3), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = tilt @ np.diag(spacing)
    affine[:3, 3] = random.uniform(-100, 100, 3)
    middle = affine[:3, :3] @ (np.array(shape) / 2 - 0.5) + affine[:3, 3]
    slope, bend = random.uniform(-0.15, 0.15, 2), random.uniform(1, 3)

    def course(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        up = z - middle[2]
        return middle[0] + slope[0] * up, middle[1] + slope[1] * up + bend * np.sin(up / 15)

    def inside(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return x**2 + y**2 < RADIUS_MM**2

    return oriented(tube(shape, affine, course, inside, finer=3), affine, code)


def shift_voxels(true: np.ndarray, found: np.ndarray) -> float:
    """Largest shift of the center of mass along an axis."""
    return float(np.abs(np.argwhere(true).mean(axis=0) - np.argwhere(found).mean(axis=0)).max())


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_a_tube_comes_back_from_the_cascade_where_it_was(code: str, model: gracile.Model, tmp_path: Path) -> None:
    share, affine = drawn(code)
    noise = np.random.default_rng(1).normal(0, 5, share.shape)
    image = nib.Nifti1Image((200 * share + noise + 100).astype(np.int16), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nib.save(image, tmp_path / "tube.nii.gz")
    summary = gracile.predict(model, tmp_path / "tube.nii.gz", tmp_path / "out", report=False)
    assert not summary.failed

    written = nib.load(tmp_path / "out" / "tube.nii.gz")
    found, true = np.asarray(written.dataobj) > 0, share > 0.5
    assert dice(true, found) >= 0.97
    assert shift_voxels(true, found) <= 0.5
    source = nib.load(tmp_path / "tube.nii.gz")
    assert written.shape == source.shape
    np.testing.assert_array_equal(written.affine, source.affine)
    for field in ("sform_code", "qform_code", "pixdim", "srow_x", "srow_y", "srow_z", "quatern_b"):
        np.testing.assert_array_equal(written.header[field], source.header[field])
    by_itk = [sitk.ReadImage(str(path)) for path in (tmp_path / "tube.nii.gz", tmp_path / "out" / "tube.nii.gz")]
    for say in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(by_itk[0], say)() == getattr(by_itk[1], say)()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_itk[1]).T > 0, found)


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_a_mask_comes_back_from_preparing_and_the_column_alone(code: str) -> None:
    share, affine = drawn(code)
    true = (share > 0.5).astype(np.uint8)
    recipe = read_recipe("spinal-cord")
    case = Case("tube", share[None].astype(np.float32), Grid(share.shape, affine=affine), truth=true)
    prepared, _ = prepare(case, recipe)
    assert prepared.affine is not None
    tube = prepared.where([1]).astype(np.float32)
    line = centerline_from_mask(tube, prepared.affine)
    column = Column.along(line, prepared.affine, prepared.region.shape, (64, 64), (0.5, 0.5, 0))
    back = np.zeros(prepared.region.shape, dtype=np.float32)
    back[column.box] = column.restore(column.cut(tube[None]), (0.0,))[0]
    assert isinstance(prepared.placement, Orientation)
    found = prepared.placement.restore(back) > 0.5
    assert dice(true > 0, found) >= 0.97
    assert shift_voxels(true, found) <= 0.5
