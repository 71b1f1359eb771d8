"""Windows are cut straight from the volume: where they should be, turned as asked, the same for a seed."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gracile.recipe import WindowSamplerSpec
from gracile.samples.window_samples import WindowSamples, WindowSource, turned_window
from gracile.transforms.intensity import IntensityRange

SPACING = np.array([0.5, 0.5, 1.0])
LANDMARKS = np.array([[30.0, 40.0, 15.0], [44.0, 22.0, 18.0]])
STILL = WindowSamplerSpec(rotation=(0, 0, 0), shift=0, gap=6, reach=15, anywhere=0)


def source(image: np.ndarray | None = None, spacing: np.ndarray = SPACING) -> WindowSource:
    image = np.random.default_rng(0).random((64, 60, 30)).astype(np.float32) if image is None else image
    return WindowSource(image[None], IntensityRange(0.0, 1.0), SPACING, spacing, LANDMARKS)


def coordinates() -> np.ndarray:
    """Three volumes whose values are the voxel's own indices."""
    return np.stack(np.meshgrid(*[np.arange(n) for n in (64, 60, 30)], indexing="ij")).astype(np.float32)


def places_of(samples: WindowSamples, index: int) -> np.ndarray:
    """``(3, size, size)`` voxels that a window was cut from, read from volumes that hold their own indices."""
    own = samples.sources[0]
    cuts = []
    for axis in range(3):
        shown = IntensityRange(-1.0, 99.0)
        other = WindowSource(coordinates()[axis, None], shown, own.voxel_mm, own.spacing_mm, own.landmarks)
        again = WindowSamples([other], samples.size, samples.normals, samples.sampler, samples.seed)
        cuts.append(again[index]["image"][0].numpy() * 100.0 - 1.0)
    return np.stack(cuts)


def test_index_and_seed_decide_a_window_whatever_was_drawn_before():
    first, again, other = (WindowSamples([source()] * 2, 21, [0, 1, 2], WindowSamplerSpec(), s) for s in (1, 1, 2))
    for index in (9, 4, 7):
        before = first[index]
        for key in before:
            assert torch.equal(before[key], again[index][key])
        assert not torch.equal(before["image"], other[index]["image"])


def test_every_class_is_drawn_equally_often_from_every_case():
    samples = WindowSamples([source(), source()], 5, [2], WindowSamplerSpec(per_case=30, gap=3), 0)
    targets = np.array([int(samples[index]["target"]) for index in range(len(samples))])
    assert len(samples) == 60
    for case in (0, 1):
        assert np.bincount(targets[case::2]).tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("normal", "cut"), [(0, np.s_[30, 36:45, 11:20]), (1, np.s_[26:35, 40, 11:20]), (2, np.s_[26:35, 36:45, 15])]
)
def test_without_turn_and_shift_a_window_is_the_slice_around_its_landmark(normal, cut):
    own = source()
    item = WindowSamples([source(spacing=SPACING)], 9, [normal], STILL, 0)[0]
    assert int(item["target"]) == 0
    assert item["image"].shape == (1, 9, 9)
    np.testing.assert_allclose(item["image"][0].numpy(), own.image[0][cut], atol=1e-5)


def test_windows_of_another_spacing_are_cut_at_it():
    places = places_of(WindowSamples([source(spacing=np.array([1.0, 1.0, 1.0]))], 9, [2], STILL, 0), 0)
    np.testing.assert_allclose(places[0][:, 0], 30 + 2.0 * np.arange(-4, 5), atol=1e-3)
    np.testing.assert_allclose(places[1][0], 40 + 2.0 * np.arange(-4, 5), atol=1e-3)


def test_landmark_windows_lie_as_near_as_asked_and_background_keeps_away():
    sampler = WindowSamplerSpec(rotation=(10, 10, 330), shift=3, gap=6, reach=12, anywhere=0.3, per_case=90)
    samples = WindowSamples([source()], 5, [0, 1, 2], sampler, 3)
    near, far = [], []
    for index in range(90):
        middle = places_of(samples, index)[:, 2, 2]
        away = np.linalg.norm((LANDMARKS - middle) * SPACING / SPACING, axis=1)
        target = int(samples[index]["target"])
        if target < 2:
            near.append(away[target])
        else:
            far.append(away.min())
    assert max(near) < 3.01
    assert max(near) > 2.4
    assert min(near) < 0.6
    assert min(far) >= 5.99
    assert min(far) < 8.0
    assert max(far) > 12.0


def test_a_turned_window_stays_flat_and_keeps_its_size():
    generator = torch.Generator().manual_seed(0)
    for normal in range(3):
        for _ in range(10):
            places = turned_window(11, np.ones(3), normal, (10, 10, 330), generator).double()
            assert torch.allclose(places[5, 5], torch.zeros(3).double(), atol=1e-6)
            across, down = places[5, 10] - places[5, 0], places[10, 5] - places[0, 5]
            assert float(across.norm()) == pytest.approx(10.0, abs=1e-4)
            assert float(down.norm()) == pytest.approx(10.0, abs=1e-4)
            assert abs(float(across @ down)) < 1e-3
            tilt = torch.linalg.cross(down, across)
            assert abs(float(tilt[normal] / tilt.norm())) >= np.cos(np.radians(10)) ** 2 - 1e-6


def test_only_the_ranges_that_are_given_turn_a_window():
    generator = torch.Generator().manual_seed(1)
    flat = turned_window(5, np.ones(3), 2, (0, 0, 330), generator)
    assert float(flat[..., 2].abs().max()) < 1e-6
    assert float((flat[..., 0] - turned_window(5, np.ones(3), 2, (0, 0, 0), generator)[..., 0]).abs().max()) > 0.1
    about_rows = turned_window(5, np.ones(3), 2, (45, 0, 0), generator)
    np.testing.assert_allclose(about_rows[..., 0], np.arange(-2, 3)[:, None].repeat(5, 1), atol=1e-6)


def test_beyond_the_volume_a_window_is_dark():
    own = source(np.ones((64, 60, 30), dtype=np.float32))
    own.landmarks = np.array([[1.0, 1.0, 1.0]])
    item = WindowSamples([own], 21, [2], STILL, 0)[0]["image"][0]
    assert float(item[:9].abs().max()) == 0.0
    assert float(item[12:, 12:].min()) > 0.99


@pytest.mark.parametrize("distances", [{"shift": 7, "gap": 6}, {"gap": 30, "reach": 20}])
def test_distances_that_contradict_each_other_are_refused(distances):
    with pytest.raises(ValidationError, match="gap"):
        WindowSamplerSpec(**distances)


class Watched(np.ndarray):
    """A volume that notes how many of its voxels are read at once."""

    largest = 0

    def __getitem__(self, index):
        part = super().__getitem__(index)
        Watched.largest = max(Watched.largest, int(np.size(part)))
        return part


def test_a_turned_window_reads_only_the_voxels_around_it():
    """Turning a volume would read all of it."""
    Watched.largest = 0
    image = np.random.default_rng(0).random((1, 200, 180, 160)).astype(np.float32).view(Watched)
    own = WindowSource(image, IntensityRange(0.0, 1.0), np.ones(3), np.ones(3), np.array([[90.0, 80.0, 70.0]]))
    sampler = WindowSamplerSpec(rotation=(10, 10, 330), anywhere=0, gap=3, reach=10)
    samples = WindowSamples([own], 21, [2], sampler, 0)
    for index in range(20):
        assert samples[index]["image"].shape == (1, 21, 21)
    assert 21 * 21 <= Watched.largest < image.size / 50
