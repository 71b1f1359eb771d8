"""Frames for classification: varied by a seed alone, the identity at magnitude 0, and each operation as it says."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.errors import RecipeError
from gracile.samples.frame_augment import TONES, WARPS, augment_frame, warped


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frame(channels: int = 3, height: int = 24, width: int = 31) -> torch.Tensor:
    return torch.randn(channels, height, width, generator=generator(5))


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(0, 6), st.floats(0, 10), st.sampled_from([(1, 1, 1), (3, 2, 9), (1, 40, 17)]))
def test_any_frame_stays_finite_and_keeps_its_shape(seed, n, magnitude, shape):
    image = frame(*shape)
    before = image.clone()
    answer = augment_frame(image, n, magnitude, generator(seed))
    assert answer.shape == image.shape
    assert answer.dtype == torch.float32
    assert torch.isfinite(answer).all()
    assert torch.equal(image, before), "the frame that was given must not change"


def test_a_seed_gives_one_frame_and_another_seed_another():
    one, same, other = (augment_frame(frame(), 3, 9, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_randomness_comes_from_the_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    augment_frame(frame(), 8, 9, generator())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", range(20))
def test_magnitude_zero_and_no_operations_leave_a_frame_as_it_is(seed):
    assert torch.equal(augment_frame(frame(), 4, 0, generator(seed)), frame())
    assert torch.equal(augment_frame(frame(), 0, 10, generator(seed)), frame())


@pytest.mark.parametrize("name", [*WARPS, *TONES])
def test_every_operation_does_the_less_the_smaller_its_strength(name):
    image = torch.nn.functional.avg_pool2d(frame(1, 100, 100)[None], 31, stride=1)[0]
    image = (image - image.mean()) / image.std()

    def change(strength: float) -> float:
        total = 0.0
        for seed in range(40):
            if name in WARPS:
                answer = warped(image, WARPS[name](strength, generator(seed)))
            else:
                answer = TONES[name](image, strength, generator(seed))
            total += float((answer - image).abs().mean())
        return total

    assert 0 <= change(0.05) < change(0.5) < change(1.0)


def test_every_operation_is_drawn():
    drawn = set()
    for seed in range(200):
        answer = augment_frame(frame(1, 16, 16), 1, 10, generator(seed))
        drawn.add(round(float((answer - frame(1, 16, 16)).square().mean()), 4))
    assert len(drawn) > 20  # each operation and sign leaves another mark


def test_a_flip_mirrors_to_the_pixel():
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    torch.testing.assert_close(warped(frame(), mirror), frame().flip(-1), atol=1e-5, rtol=0)


def test_a_quarter_turn_of_a_square_and_of_a_longer_frame_keeps_angles():
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    square = frame(3, 20, 20)
    torch.testing.assert_close(warped(square, turn), square.rot90(-1, (1, 2)).flip((1, 2)), atol=1e-4, rtol=0)
    longer = frame(1, 20, 40)
    inner = longer[:, :, 10:30].rot90(-1, (1, 2)).flip((1, 2))
    torch.testing.assert_close(warped(longer, turn)[:, :, 10:30], inner, atol=1e-4, rtol=0)


def test_a_translation_moves_by_half_the_longer_side_times_its_amount():
    image = torch.zeros(1, 20, 40)
    image[0, 10, 25] = 1.0
    move = torch.eye(3)
    move[0, 2], move[1, 2] = 0.25, -0.1  # 5 pixels from the right, 2 from above
    assert warped(image, move)[0].argmax().item() == 12 * 40 + 20


def test_a_posterized_frame_has_few_tones_and_a_tone_curve_keeps_their_order():
    image = frame(1, 50, 50)
    assert len(TONES["posterize"](image, 1.0, generator()).unique()) < 20
    ramp = torch.linspace(-3, 3, 100).view(1, 1, 100)
    for seed in range(4):
        assert (TONES["tone-curve"](ramp, 1.0, generator(seed)).diff(dim=-1) >= 0).all()


def test_noise_and_contrast_have_the_size_that_they_say():
    image = frame(1, 100, 100)
    assert float((TONES["noise"](image, 1.0, generator()) - image).std()) == pytest.approx(0.5, rel=0.05)
    ratios = {round(float(TONES["contrast"](image, 1.0, generator(s)).std() / image.std()), 3) for s in range(20)}
    assert ratios == {0.5, 2.0}


def test_a_cutout_is_no_larger_than_half_the_shorter_side():
    for seed in range(30):
        hidden = (TONES["cutout"](torch.ones(2, 20, 30), 1.0, generator(seed)) == 0).all(dim=0)
        assert 0 < hidden.sum() <= 100
        rows, columns = hidden.any(dim=1).sum(), hidden.any(dim=0).sum()
        assert hidden.sum() == rows * columns


@pytest.mark.parametrize(("n", "magnitude"), [(-1, 5), (2, -1), (2, 11), (2, math.nan)])
def test_values_that_make_no_sense_are_refused(n, magnitude):
    with pytest.raises(RecipeError, match="magnitude"):
        augment_frame(frame(), n, magnitude, generator())
