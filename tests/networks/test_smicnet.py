"""SMICNet is the published network, and its rearranged forms are the same function."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from gracile.errors import RecipeError
from gracile.names import WINDOW_NETWORKS
from gracile.networks.smicnet import SLOPE, SMICNet, WindowBlock, build_window_network
from gracile.networks.smicnet_dense import EveryWindow
from gracile.networks.smicnet_exact import FromExtremes
from gracile.stages.window_extremes import Extremes, gathered_extremes
from gracile.stages.windows import side_of_extremes


def trained_like(network: SMICNet, seed: int = 0) -> SMICNet:
    """With statistics in its batch norms as after a training, and answers that differ from window to window."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for block in network.blocks:
            assert isinstance(block, WindowBlock)
            norm = block.norm
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(0.1 * torch.randn(norm.running_mean.shape, generator=generator))
            norm.running_var.copy_(0.02 + 0.2 * torch.rand(norm.running_var.shape, generator=generator))
            norm.weight.copy_(1.0 + 0.3 * torch.randn(norm.weight.shape, generator=generator))
            norm.bias.copy_(0.1 * torch.randn(norm.bias.shape, generator=generator))
        network.classes.weight.mul_(5.0)
    return network.eval()


def small(padded: bool, out_channels: int = 3, seed: int = 0) -> SMICNet:
    """A network for windows of 21 samples."""
    torch.manual_seed(seed)
    network = SMICNet(1, out_channels, padded=padded, width=4, depth=2, hidden=12)
    return trained_like(network, seed)


def test_it_has_as_many_weights_as_the_published_one():
    network = SMICNet(1, 4)
    trained = sum(p.numel() for p in network.parameters())
    statistics = sum(b.norm.running_mean.numel() + b.norm.running_var.numel() for b in network.blocks)
    assert trained + statistics == 191_634
    assert network.sides(81) == [40, 20, 10, 5, 2]


def test_a_block_is_what_the_description_says():
    torch.manual_seed(0)
    block = WindowBlock(2, 3, padded=True, pooled=True, shortcut_stride=2).eval()
    with torch.no_grad():
        block.norm.running_var.fill_(0.25)
        features = torch.randn(1, 2, 6, 6)
        padded = functional.pad(features, (1, 1, 1, 1))
        expected = torch.zeros(1, 3, 3, 3)
        scale = 1.0 / (0.25 + 0.001) ** 0.5
        for row in range(3):
            for column in range(3):
                answers = []
                for y, x in ((2 * row + a, 2 * column + b) for a in (0, 1) for b in (0, 1)):
                    patch = padded[0, :, y : y + 3, x : x + 3]
                    inner = (patch * block.depthwise.weight[:, 0]).sum(dim=(1, 2)) + block.depthwise.bias
                    inner = functional.leaky_relu(inner * scale, 0.3)
                    outer = block.pointwise.weight[:, :, 0, 0] @ inner + block.pointwise.bias
                    answers.append(functional.leaky_relu(outer, 0.3))
                beside = block.shortcut.weight[:, :, 0, 0] @ features[0, :, 2 * row, 2 * column] + block.shortcut.bias
                expected[0, :, row, column] = torch.stack(answers).amax(dim=0) + beside
        torch.testing.assert_close(block(features), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", WINDOW_NETWORKS)
@pytest.mark.parametrize("classes", [2, 46])
def test_any_number_of_classes_with_finite_gradients(name, classes):
    network = build_window_network(name, classes)
    logits = network(torch.rand(2, 1, 81, 81))
    assert logits.shape == (2, classes)
    (functional.cross_entropy(logits, torch.tensor([0, 1])) + network.penalty()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_penalty_is_that_of_the_hidden_layer_alone():
    network = small(True)
    weights = network.hidden.weight
    expected = sum(1e-5 * abs(w) + 1e-4 * w * w for w in weights.detach().flatten().tolist())
    assert float(network.penalty()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("padded", "size"), [(True, 97), (True, 31), (False, 77), (False, 3)])
def test_a_window_that_does_not_fit_is_refused_with_its_size(padded, size):
    with pytest.raises(RecipeError, match=f"no windows of {size} samples"):
        SMICNet(padded=padded).sides(size)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(RecipeError, match="smicnet-unpadded"):
        build_window_network("smicnet-dense", 4)
    with pytest.raises(RecipeError, match="wobble"):
        build_window_network("smicnet", 4, wobble=1)
    with pytest.raises(ValueError, match="one channel"):
        SMICNet(3, 4)


def state_of(network: SMICNet) -> dict[str, np.ndarray]:
    """Its weights as a bundle names them."""
    return {f"network.{name}": values.numpy() for name, values in network.state_dict().items()}


def extremes_of(network: SMICNet, windows: np.ndarray) -> np.ndarray:
    """Extremes of single windows ``(batch, size, size)``, each a slice of its own."""
    border, side = int(network.padded), side_of_extremes(windows.shape[-1], network.padded)
    maps = Extremes(state_of(network), network.padded).maps(np.pad(windows, [(0, 0), (border,) * 2, (border,) * 2]))
    return gathered_extremes(maps, np.array([(number, 0, 0) for number in range(len(windows))]), side)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(("size", "depth"), [(81, 4), (95, 4), (21, 2)])
def test_from_extremes_on_it_is_the_same_function_of_a_window(padded, size, depth):
    torch.manual_seed(1)
    network = trained_like(SMICNet(1, 4, padded=padded, depth=depth))
    with torch.inference_mode():
        windows = torch.rand(3, size, size)
        expected = network(windows[:, None])
        assert expected.std() > 0.05
        extremes = extremes_of(network, windows.numpy())
        assert extremes.shape[-1] == network.sides(size)[0]
        found = FromExtremes(network)(torch.from_numpy(extremes))
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("padded", [True, False])
def test_the_extremes_are_those_of_the_first_layer(padded):
    """To 1e-5 of what PyTorch makes of single windows, whichever way the kernel's signs go."""
    network = small(padded)
    block = network.blocks[0]
    windows = torch.rand(4, 21, 21)
    with torch.inference_mode():
        z = functional.leaky_relu(block.norm(block.depthwise(windows[:, None])), SLOPE)
        expected = torch.cat([functional.max_pool2d(z, 2), -functional.max_pool2d(-z, 2)], dim=1).numpy()
    assert np.ptp(expected) > 0.3
    np.testing.assert_allclose(extremes_of(network, windows.numpy()), expected, atol=1e-5)


@pytest.mark.parametrize("step", [1, 2, 4, 8])
@pytest.mark.parametrize(("size", "depth"), [(21, 2), (25, 2), (33, 2), (81, 4)])
def test_dense_answers_are_those_of_every_window_by_itself(size, depth, step):
    torch.manual_seed(2)
    network = trained_like(SMICNet(1, 3, padded=False, width=4, depth=depth, hidden=12))
    planes = torch.rand(2, 1, size + 11, size + 18)
    with torch.inference_mode():
        found = EveryWindow(network, size, step)(planes)
        windows = planes[:, 0].unfold(1, size, step).unfold(2, size, step)
        expected = network(windows.reshape(-1, 1, size, size)).reshape(*windows.shape[:3], 3).permute(0, 3, 1, 2)
        assert all(a >= b for a, b in zip(found.shape, expected.shape, strict=True))
        assert expected.std() > 0.01
        found = found[..., : expected.shape[-2], : expected.shape[-1]]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_network_with_padding_has_no_dense_answers():
    with pytest.raises(RecipeError, match="cannot share"):
        EveryWindow(small(padded=True), 21, 1)


def test_with_padding_features_do_depend_on_the_window():
    """Why the published network cannot be computed densely: the same place, seen from two windows, differs."""
    block = small(padded=True).blocks[0]
    plane = torch.rand(1, 1, 40, 40)
    with torch.inference_mode():
        here, there = block(plane[..., :21, :21]), block(plane[..., 2:23, :21])
        assert torch.allclose(here[..., 2:, 1:], there[..., 1:-1, 1:])
        assert not torch.allclose(here[..., 1, 1:], there[..., 0, 1:])
