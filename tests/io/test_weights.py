"""Weights come back from safetensors with every value, whatever their number format."""

import numpy as np
import pytest
import torch
from safetensors.torch import save

from gracile.errors import DataError
from gracile.io.weights import read_weights, stored_weights, weights_content, with_values

WEIGHTS = {
    "norm.num_batches_tracked": np.array(2**40 + 1, dtype=np.int64),
    "b.weight": np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32),
    "half": np.arange(5, dtype=np.float16),
    "flag": np.array([True, False]),
    "empty": np.zeros((0, 3), dtype=np.float32),
}


def test_every_format_survives():
    found = read_weights(weights_content(WEIGHTS))
    assert found.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        np.testing.assert_array_equal(found[name], value)


def test_tensors_are_written_as_pytorch_s_own_writer_does():
    tensors = {name: torch.from_numpy(value.copy()) for name, value in WEIGHTS.items()}
    assert weights_content(tensors) == save(tensors) == weights_content(WEIGHTS)


def test_tensors_that_lie_channels_last_are_written_in_their_own_order():
    tensor = torch.arange(24.0).reshape(1, 2, 3, 4)
    content = weights_content({"w": tensor.contiguous(memory_format=torch.channels_last)})
    np.testing.assert_array_equal(read_weights(content)["w"], tensor.numpy())


def test_bfloat16_keeps_its_values():
    tensor = torch.randn(7, 3).bfloat16()
    for content in (save({"w": tensor}), weights_content({"w": tensor})):
        np.testing.assert_array_equal(read_weights(content)["w"], tensor.float().numpy())


def test_a_weight_lies_where_it_is_said_to():
    content = weights_content(WEIGHTS)
    for name, place in stored_weights(content).items():
        assert content[place.offset : place.offset + place.length] == WEIGHTS[name].tobytes()
        assert place.shape == WEIGHTS[name].shape


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 64, weights_content(WEIGHTS)[:-1]])
def test_damaged_files_are_refused(content):
    with pytest.raises(DataError):
        read_weights(content)


def test_a_format_that_numpy_lacks_is_named():
    with pytest.raises(DataError, match="w is stored as F8"):
        read_weights(save({"w": torch.zeros(3).to(torch.float8_e4m3fn)}))


def test_some_values_change_in_place_and_nothing_else():
    content = weights_content({**WEIGHTS, "threshold": np.float32(0.5), "memory": np.zeros(3, np.float32)})
    changed = with_values(content, {"threshold": 0.25, "memory": np.array([1.0, 2.0, 3.0])})
    assert stored_weights(changed) == stored_weights(content)
    after = read_weights(changed)
    assert float(after.pop("threshold")) == 0.25
    assert after.pop("memory").tolist() == [1, 2, 3]
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(after[name], value)


@pytest.mark.parametrize("values", [{"absent": 1.0}, {"b.weight": 1.0}, {"half": np.zeros(5)}])
def test_values_of_another_size_or_kind_are_refused(values):
    with pytest.raises(DataError, match="of that size"):
        with_values(weights_content(WEIGHTS), values)
