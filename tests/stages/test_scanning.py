"""Scanning: exact and dense answers agree with window by window, and pruning leaves out only what it says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gracile.geometry.islands import largest_island
from gracile.learning.learners import TorchRunner
from gracile.networks.smicnet import SMICNet
from gracile.networks.smicnet_dense import EveryWindow
from gracile.networks.smicnet_exact import FromExtremes
from gracile.runners import Runner
from gracile.stages.scanning import VolumeWindows, search
from gracile.stages.window_extremes import Extremes
from gracile.stages.windows import DenseWindows, ExactWindows, cut_padded
from gracile.transforms.column import Box
from tests.networks.test_smicnet import small, state_of, trained_like

SIZE = 21


class Learnt(torch.nn.Module):
    """Stands in for a learner: a network alone."""

    def __init__(self, network: SMICNet) -> None:
        super().__init__()
        self.network = network
        self.device = torch.device("cpu")
        self.logits = network


def computed_by_torch(network: SMICNet, module: torch.nn.Module) -> Runner:
    return TorchRunner(Learnt(network).eval(), "float32", 2, module)


def exact_windows(network: SMICNet, size: int = SIZE) -> ExactWindows:
    run = computed_by_torch(network, FromExtremes(network))
    return ExactWindows(run, Extremes(state_of(network), network.padded), size, network.classes.out_features)


def dense_windows(network: SMICNet, size: int = SIZE) -> DenseWindows:
    runs = {step: computed_by_torch(network, EveryWindow(network, size, step)) for step in (1, 2, 4, 8)}
    return DenseWindows(runs, size, network.classes.out_features)


def one_by_one(network: SMICNet, planes: np.ndarray, places: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Probabilities by one call of the network for each window."""
    half = size // 2
    padded = np.pad(planes, [(0, 0), (half, half), (half, half)])
    answers = []
    with torch.inference_mode():
        for plane, row, column in places:
            window = torch.from_numpy(padded[plane, row : row + size, column : column + size].copy())[None, None]
            answers.append(network(window)[0].softmax(dim=0).numpy())
    return np.stack(answers)


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(5, 34, 29)), (0, 2, 2))
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def every_place(planes: np.ndarray, step: int = 1) -> np.ndarray:
    axes = [np.arange(0, n, step) for n in planes.shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("padded", [True, False])
def test_exact_is_window_by_window(planes, padded):
    network = small(padded)
    places = every_place(planes)[::7]
    found = exact_windows(network).at(planes, places)
    expected = one_by_one(network, planes, places)
    assert np.ptp(expected, axis=0).max() > 0.05
    assert np.abs(found - expected).max() < 1e-5


def test_exact_is_window_by_window_for_the_published_network_and_size(planes):
    torch.manual_seed(3)
    network = trained_like(SMICNet())
    places = every_place(planes)[:: planes.size // 20]
    found = exact_windows(network, 81).at(planes, places)
    expected = one_by_one(network, planes, places, 81)
    assert np.ptp(expected, axis=0).max() > 0.01
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_exact_and_dense_agree(planes, step):
    network = small(padded=False)
    box: Box = (slice(1, 5), slice(3, 33), slice(0, 29))
    exact = exact_windows(network).grid(planes, box, step)
    dense = dense_windows(network).grid(planes, box, step)
    assert exact.shape == dense.shape
    assert np.abs(exact - dense).max() < 1e-5
    places = every_place(planes)[::11]
    assert np.abs(exact_windows(network).at(planes, places) - dense_windows(network).at(planes, places)).max() < 1e-5


def test_tiles_and_groups_of_slices_leave_no_seam(planes, monkeypatch):
    network = small(padded=False)
    box: Box = (slice(0, 5), slice(0, 34), slice(0, 29))
    whole = dense_windows(network).grid(planes, box, 1)
    exact = exact_windows(network).grid(planes, box, 1)
    monkeypatch.setattr("gracile.stages.windows.TILE", 8)
    monkeypatch.setattr("gracile.stages.windows.LARGEST_MAPS", 30_000)
    assert np.allclose(dense_windows(network).grid(planes, box, 1), whole, atol=1e-6)
    assert np.allclose(exact_windows(network).grid(planes, box, 1), exact, atol=1e-6)


def test_three_planes_are_averaged(planes):
    network = small(padded=False)
    volume = np.ascontiguousarray(planes)
    voxels = every_place(volume)[::13]
    found = VolumeWindows(exact_windows(network), volume, [0, 1, 2]).at(voxels)
    parts = [
        one_by_one(network, volume.transpose(order), voxels[:, order]) for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1])
    ]
    assert np.abs(found - np.mean(parts, axis=0)).max() < 1e-5
    grid = VolumeWindows(dense_windows(network), volume, [0, 1, 2]).grid((slice(0, 5), slice(0, 34), slice(0, 29)), 1)
    assert np.abs(grid[:, *voxels.T].T - found).max() < 1e-5


class Drawn:
    """Stands in for windows: a drawn field of probabilities, and what was asked of it."""

    def __init__(self, field: np.ndarray) -> None:
        self.field = np.stack([field, 1.0 - field]).astype(np.float32)
        self.classes = 2
        self.asked = np.zeros(field.shape, dtype=int)

    def grid(self, box, step):
        part = tuple(slice(s.start, s.stop, step) for s in box)
        self.asked[part] += 1
        return self.field[(slice(None), *part)]

    def at(self, voxels):
        self.asked[tuple(voxels.T)] += 1
        return self.field[(slice(None), *voxels.T)].T


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 4, 8]), st.floats(0.05, 0.5))
def test_pruning_sees_every_island_with_a_cube_of_the_step_in_it_as_a_whole(seed, step, keep):
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.integers(9, 30, 3))
    smooth = ndimage.gaussian_filter(random.normal(size=shape), random.uniform(0.5, 4.0))
    field = (smooth - smooth.min()) / np.ptp(smooth)
    field = field ** random.uniform(1, 8)
    windows = Drawn(field)
    box = tuple(slice(0, n) for n in shape)
    scan = search(windows, box, step, keep)
    assert windows.asked.max() <= 1
    assert np.array_equal(scan.looked, windows.asked > 0)
    assert np.array_equal(scan.probabilities[:, scan.looked], windows.field[:, scan.looked])
    assert (scan.probabilities[-1][~scan.looked] == 1).all()
    warm = 1.0 - windows.field[-1] >= keep
    labels, count = ndimage.label(warm, structure=np.ones((3, 3, 3)))
    on_grid = np.zeros(shape, dtype=bool)
    on_grid[::step, ::step, ::step] = True
    cubes = ndimage.binary_erosion(warm, np.ones((step,) * 3))
    for label in range(1, count + 1):
        island = labels == label
        if (island & on_grid).any():
            assert scan.looked[island].all()
        elif (cubes & island).any():
            pytest.fail("a cube of the step's side misses the coarse grid")


def test_a_cold_volume_is_only_looked_at_coarsely():
    windows = Drawn(np.zeros((33, 33, 33)))
    scan = search(windows, (slice(0, 33),) * 3, 4, 0.1)
    assert scan.looked.sum() == 9**3
    assert (scan.probabilities[-1] == 1).all()


def test_a_search_of_a_part_is_the_whole_search_cut(planes):
    network = small(padded=True)
    windows = VolumeWindows(exact_windows(network), planes, [0])
    whole = search(windows, (slice(0, 5), slice(0, 34), slice(0, 29)), 1, 0.1)
    part = search(windows, (slice(1, 4), slice(5, 20), slice(9, 29)), 1, 0.1)
    assert part.looked.all()
    assert np.abs(part.probabilities - whole.probabilities[:, 1:4, 5:20, 9:29]).max() < 1e-6


def test_points_of_the_two_modes_agree_to_a_tenth_of_a_voxel(planes):
    network = small(padded=False)
    box: Box = (slice(0, 5), slice(0, 34), slice(0, 29))
    points = []
    for windows in (exact_windows(network), dense_windows(network)):
        probability = search(VolumeWindows(windows, planes, [0]), box, 2, 0.05).probabilities[0]
        island = largest_island(probability, float(np.quantile(probability, 0.9)), np.ones(3))
        assert island is not None
        points.append(island.center)
    assert np.abs(points[0] - points[1]).max() < 0.1


def test_what_lies_outside_of_a_slice_is_zero():
    planes = np.arange(24, dtype=np.float32).reshape(2, 3, 4) + 1
    part = cut_padded(planes, np.array([1]), slice(-1, 4), slice(2, 6))
    assert part.shape == (1, 5, 4)
    assert part[0, 1].tolist() == [15, 16, 0, 0]
    assert not part[0, 0].any()
    assert not part[0, 4].any()
    assert not cut_padded(planes, np.array([0]), slice(7, 9), slice(0, 2)).any()
