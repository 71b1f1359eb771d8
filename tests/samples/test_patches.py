"""Training patches: the same for a seed whatever was drawn before, and image and truth warped as one."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.recipe import AugmentSpec, SamplerSpec
from gracile.samples.patches import PatchSamples, WholeSamples, cut_patch, vary_intensities
from gracile.transforms import Placement, Prepared

NONE = AugmentSpec(
    rotation=0, flip=False, scale=0, shear=0, elastic=0, gain=0, channel_gain=0, bias=0, channel_bias=0, curve=0,
    illumination=0, noise=0, blur=0,
)  # fmt: skip
WARP_ONLY = NONE.model_copy(
    update={"rotation": 180, "flip": True, "scale": 0.4, "shear": 0.2, "elastic": 8.0, "blur": 0}
)


def prepared_case(seed: int = 0, height: int = 70, width: int = 90) -> Prepared:
    """Four classes in blocks; the image's channels are the shares of the foreground classes."""
    random = np.random.default_rng(seed)
    classes = np.kron(random.integers(0, 4, (height // 10, width // 10)), np.ones((10, 10), dtype=int))
    region = np.ones((height, width), dtype=bool)
    region[:, :5] = False
    truth = np.stack([classes == c for c in range(4)]).astype(np.float32)
    return Prepared(
        image=truth[1:].copy(),
        region=region,
        placement=Placement((height, width), (0, 0, height, width), (height, width)),
        truth=truth,
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


CASES = [prepared_case(0), prepared_case(1), prepared_case(2, 50, 60)]


def samples(seed: int = 7, augment: AugmentSpec | None = None, **sampler: Any) -> PatchSamples:
    return PatchSamples(CASES, SamplerSpec(patch=(32, 40), per_case=4, **sampler), augment or AugmentSpec(), seed)


def test_a_sample_holds_image_truth_and_region_of_the_patch_size():
    drawn = samples()
    assert len(drawn) == 12
    shapes = {name: tuple(part.shape) for name, part in drawn[0].items()}
    assert shapes == {"image": (3, 32, 40), "truth": (4, 32, 40), "region": (1, 32, 40)}
    assert all(part.dtype == torch.float32 for part in drawn[0].values())


@settings(max_examples=15)
@given(st.lists(st.integers(0, 40), max_size=4), st.integers(0, 40))
def test_sample_i_is_the_same_whatever_was_drawn_before(before, index):
    drawn = samples()
    for other in before:
        drawn[other]
    torch.rand(3)  # nor does the global state matter
    fresh = samples()[index]
    for name, part in drawn[index].items():
        assert torch.equal(part, fresh[name])


def test_other_indices_seeds_and_epochs_give_other_patches():
    drawn = samples()
    assert not torch.equal(drawn[0]["image"], drawn[3]["image"])  # both of the first case
    assert not torch.equal(drawn[0]["image"], drawn[12]["image"])  # the same place in the next epoch
    assert not torch.equal(drawn[0]["image"], samples(seed=8)[0]["image"])


def test_an_epoch_shows_each_case_equally_often():
    region, truth = np.ones((20, 20), bool), np.ones((2, 20, 20), np.float32)
    flat = [Prepared(np.full((1, 20, 20), n, np.float32), region, None, truth) for n in range(3)]
    drawn = PatchSamples(flat, SamplerSpec(patch=(8, 8), per_case=5), NONE, 0)
    middles = [int(drawn[i]["image"].amax()) for i in range(len(drawn))]
    assert [middles.count(n) for n in range(3)] == [5, 5, 5]


@pytest.mark.parametrize("patch", [(16, 16), (15, 16), (16, 15)])
def test_a_sample_without_variation_is_not_blurred(patch):
    case = Prepared(np.random.default_rng(0).random((3, 40, 40), np.float32), np.ones((40, 40), bool), None,
                    np.ones((2, 40, 40), np.float32))  # fmt: skip
    image = PatchSamples([case], SamplerSpec(patch=patch), NONE, 0)[0]["image"].numpy()
    middle = image[:, 4:-4, 4:-4]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(case.image, ((0, 0), (9, 9), (9, 9))), middle.shape)
    assert np.abs(windows[0] - middle).max(axis=(-3, -2, -1)).min() < 1e-4


@pytest.mark.parametrize(
    ("center", "shape", "rows", "columns"),
    [
        ((30, 40), (21, 33), (20, 41), (24, 57)),
        ((30.5, 40.5), (20, 32), (21, 41), (25, 57)),
        ((10, 79), (21, 21), (0, 21), (69, 90)),
    ],
)
def test_without_variation_a_patch_is_the_crop_itself(center, shape, rows, columns):
    case = CASES[0]
    patch = cut_patch(case, np.array(center), shape, NONE, generator()).numpy()
    window = (slice(None), slice(*rows), slice(*columns))
    np.testing.assert_allclose(patch[:3], case.image[window], atol=1e-4)
    np.testing.assert_allclose(patch[3:7], case.truth[window], atol=1e-4)
    np.testing.assert_allclose(patch[7:], case.region[None][window], atol=1e-4)
    image = torch.from_numpy(patch[:3])
    assert torch.equal(vary_intensities(image, NONE, generator()), image)


def test_beyond_the_picture_a_patch_is_empty_and_outside_the_region():
    patch = cut_patch(CASES[0], np.array([0, 89]), (21, 21), NONE, generator())
    assert (patch[:, :10] == 0).all()
    assert (patch[:, :, 11:] == 0).all()
    np.testing.assert_allclose(patch[3:7, 10:, :11].sum(dim=0), 1.0, atol=1e-4)


def test_a_patch_larger_than_its_picture_holds_all_of_it():
    case = CASES[2]
    patch = cut_patch(case, np.array([24.5, 29.5]), (100, 120), NONE, generator()).numpy()
    np.testing.assert_allclose(patch[:3, 25:75, 30:90], case.image, atol=1e-4)
    assert patch[7].sum() == pytest.approx(case.region.sum(), abs=0.1)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_image_and_truth_are_warped_as_one(seed):
    patch = cut_patch(CASES[0], np.array([35, 45]), (48, 48), WARP_ONLY, generator(seed))
    torch.testing.assert_close(patch[:3], patch[4:7])
    assert patch.min() >= -1e-5
    assert patch[3:7].sum(dim=0).max() <= 1 + 1e-4
    assert (patch[7] <= patch[3:7].sum(dim=0) + 1e-4).all()


def test_every_warp_does_something():
    plain = cut_patch(CASES[0], np.array([35, 45]), (32, 32), NONE, generator())
    for name, strength in (("rotation", 90), ("scale", 0.5), ("shear", 0.3), ("elastic", 5.0)):
        varied = cut_patch(
            CASES[0], np.array([35, 45]), (32, 32), NONE.model_copy(update={name: strength}), generator()
        )
        assert (varied - plain).abs().mean() > 0.005, name
    flips = [cut_patch(CASES[0], np.array([35, 45]), (31, 31), NONE.model_copy(update={"flip": True}), generator(seed))
             for seed in range(8)]  # fmt: skip
    center = cut_patch(CASES[0], np.array([35, 45]), (31, 31), NONE, generator())
    mirrored = [torch.allclose(flip, center.flip(-1), atol=1e-4) for flip in flips]
    assert {torch.allclose(flip, center, atol=1e-4) for flip in flips} == {True, False}
    assert any(mirrored)


def test_every_change_of_intensity_does_something_and_spares_the_surround():
    image = torch.randn(3, 24, 24, generator=generator(3))
    for name in ("gain", "channel_gain", "bias", "channel_bias", "curve", "illumination", "noise"):
        varied = vary_intensities(image, NONE.model_copy(update={name: 0.3}), generator())
        assert (varied - image).abs().mean() > 0.01, name
        assert torch.isfinite(varied).all()
    blurred = vary_intensities(image, NONE.model_copy(update={"blur": 1.0}), generator())
    assert blurred.std() < 0.9 * image.std()
    for index in range(6):
        sample = samples(augment=AugmentSpec())[index]
        assert (sample["image"][:, sample["region"][0] == 0] == 0).all()


def test_patches_are_centered_on_the_foreground_as_often_as_asked():
    case = prepared_case()
    case.truth[0], case.truth[1:] = 1.0, 0.0
    case.truth[:, 33, 44] = 0, 1, 0, 0  # a single pixel of vessel
    for share, low, high in ((0.0, 0, 2), (0.5, 10, 30), (1.0, 40, 40)):
        drawn = PatchSamples([case], SamplerSpec(patch=(9, 9), per_case=40, foreground=share), NONE, 0)
        centered = sum(float(drawn[i]["truth"][1, 4, 4]) > 0.99 for i in range(len(drawn)))
        assert low <= centered <= high


def test_a_case_without_foreground_still_gives_patches_inside_the_region():
    case = prepared_case()
    case.truth[0], case.truth[1:] = 1.0, 0.0
    drawn = PatchSamples([case], SamplerSpec(patch=(9, 9), per_case=20, foreground=1.0), NONE, 0)
    assert all(drawn[i]["region"][0, 4, 4] == 1 for i in range(20))


def test_validation_sees_each_case_as_it_is():
    whole = WholeSamples(CASES)
    assert len(whole) == 3
    for case, sample in zip(CASES, (whole[i] for i in range(3)), strict=True):
        np.testing.assert_array_equal(sample["image"], case.image)
        np.testing.assert_array_equal(sample["truth"], case.truth)
        np.testing.assert_array_equal(sample["region"][0] > 0.5, case.region)
