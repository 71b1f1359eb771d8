"""Every process count sees the same batches, every epoch other ones, and a resume the same as no interruption."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.data import find_cases, read_case
from gracile.learning.sampling import EpochSampler, prepared_case
from gracile.recipe import read_recipe
from gracile.transforms import prepare
from gracile.transforms.stored import StoredArray


def drawn(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


@given(
    processes=st.sampled_from([1, 2, 3, 4]), each=st.integers(1, 3), size=st.integers(1, 50), seed=st.integers(0, 99),
    epoch=st.integers(0, 5),
)  # fmt: skip
def test_the_parts_of_all_processes_make_up_one_processs_batches(processes, each, size, seed, epoch):
    batch = processes * each
    alone = drawn(EpochSampler(size, batch, 0, 1, seed), epoch)
    parts = [EpochSampler(size, batch, rank, processes, seed) for rank in range(processes)]
    shares = [drawn(part, epoch) for part in parts]
    assert [len(share) for share in shares] == [len(part) for part in parts]
    joined = [
        index for step in range(size // batch) for share in shares for index in share[step * each : (step + 1) * each]
    ]
    assert joined == alone
    assert len(set(alone)) == len(alone) == size // batch * batch


def test_epochs_draw_other_indices_in_another_order():
    sampler = EpochSampler(20, 4, 0, 1, seed=3)
    first, second = drawn(sampler, 0), drawn(sampler, 1)
    assert sorted(first) == list(range(20))
    assert sorted(second) == list(range(20, 40))
    assert [i + 20 for i in first] != second
    assert first != drawn(EpochSampler(20, 4, 0, 1, seed=4), 0)


def test_a_resumed_sampler_goes_on_as_an_uninterrupted_one():
    whole = EpochSampler(20, 4, 1, 2, seed=3)
    expected = [drawn(whole, epoch) for epoch in range(4)]
    assert drawn(EpochSampler(20, 4, 1, 2, seed=3), 3) == expected[3]


@pytest.fixture
def case_and_recipe(fundus_folder):
    recipe = read_recipe("retina-av", ["prepare.diameter=64"])
    return find_cases(fundus_folder, recipe)[0], recipe


def test_a_prepared_case_comes_from_the_cache_unchanged(case_and_recipe, tmp_path):
    files, recipe = case_and_recipe
    first = prepared_case(files, recipe, tmp_path)
    again = prepared_case(files, recipe, tmp_path)
    for name in ("image", "truth", "region"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert isinstance(getattr(again, name), StoredArray)  # many cases need no memory
    assert np.asarray(first.region).any(axis=0).sum() == pytest.approx(64, abs=1)


def test_half_a_cache_is_made_anew(case_and_recipe, tmp_path):
    files, recipe = case_and_recipe
    first = prepared_case(files, recipe, tmp_path)
    truth = np.array(first.truth)
    (tmp_path / files.id / "truth.npy").unlink()
    np.testing.assert_array_equal(prepared_case(files, recipe, tmp_path).truth, truth)


def test_what_is_trained_on_is_what_is_predicted_on(case_and_recipe, tmp_path):
    files, recipe = case_and_recipe
    trained = prepared_case(files, recipe, tmp_path)
    case = read_case(files, recipe)
    case.truth = None
    predicted, _ = prepare(case, recipe)
    np.testing.assert_array_equal(trained.image, predicted.image)
