"""Stored arrays: read from their files, small wherever they go."""

import pickle
import tracemalloc

import numpy as np
import pytest

from gracile.transforms.stored import StoredArray


@pytest.fixture
def stored(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3_000_000, dtype=np.float32).reshape(3, 1000, 1000))
    return StoredArray(tmp_path / "a.npy")


def test_it_reads_like_the_array_in_its_file(stored):
    whole = np.arange(3_000_000, dtype=np.float32).reshape(3, 1000, 1000)
    assert (stored.shape, stored.ndim, len(stored), stored.dtype) == (whole.shape, 3, 3, whole.dtype)
    np.testing.assert_array_equal(stored[1, 5:8, ::100], whole[1, 5:8, ::100])
    np.testing.assert_array_equal(np.asarray(stored), whole)
    assert np.array(stored, dtype=np.int64).dtype == np.int64


def test_it_goes_to_another_process_as_a_path(stored):
    again = pickle.dumps(stored)
    assert len(again) < 1000
    np.testing.assert_array_equal(pickle.loads(again)[2, 3], stored[2, 3])


def test_a_copy_can_be_written_to_and_the_file_cannot(stored):
    np.array(stored)[0] = 7.0
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(stored)[0] = 7.0
    assert stored[0, 0, 1] == 1.0


def test_reading_a_part_takes_memory_for_that_part_alone(stored):
    tracemalloc.start()
    part = np.array(stored[:, 10:20, 10:20])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert part.size == 300
    assert peak < 200_000


def test_an_empty_array_is_read_too(tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    stored = StoredArray(tmp_path / "none.npy")
    assert len(stored) == 0
    assert np.asarray(stored).shape == (0, 3)
