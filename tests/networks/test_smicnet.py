"""SMICNet is the published network, and its rearranged forms are the same function."""

import onnxruntime
import pytest
import torch
from torch.nn import functional

from gracile.errors import RecipeError
from gracile.names import WINDOW_NETWORKS
from gracile.networks.smicnet import SMICNet, WindowBlock, build_window_network
from gracile.networks.smicnet_dense import dense_logits
from gracile.networks.smicnet_folded import FoldedSMICNet
from gracile.networks.smicnet_onnx import onnx_graph


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


def extremes_of(network: FoldedSMICNet, windows: torch.Tensor) -> torch.Tensor:
    """Extremes of single windows ``(batch, size, size)``, by the maps of each window as a slice of its own."""
    border, side = int(network.padded), network.side
    maps = network.extreme_maps(functional.pad(windows, [border] * 4))[..., : 2 * side : 2, : 2 * side : 2]
    if not network.padded:
        return maps[0]
    extremes = maps[0].clone()
    extremes[:, :, 0, :] = maps[1][:, :, 0, :]
    extremes[:, :, :, 0] = maps[2][:, :, :, 0]
    extremes[:, :, 0, 0] = maps[3][:, :, 0, 0]
    return extremes


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(("size", "depth"), [(81, 4), (95, 4), (21, 2)])
def test_the_rearranged_network_and_its_graph_are_the_same_function(padded, size, depth):
    torch.manual_seed(1)
    network = trained_like(SMICNet(1, 4, padded=padded, depth=depth))
    folded = FoldedSMICNet(network, size)
    with torch.inference_mode():
        windows = torch.rand(3, size, size)
        expected = network(windows[:, None])
        assert expected.std() > 0.05
        extremes = extremes_of(folded, windows)
        torch.testing.assert_close(folded.logits(extremes), expected, atol=2e-5, rtol=1e-5)
        session = onnxruntime.InferenceSession(onnx_graph(folded, 3), providers=["CPUExecutionProvider"])
        found = torch.from_numpy(session.run(None, {"extremes": extremes.numpy()})[0])
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("step", [1, 2, 4, 8])
@pytest.mark.parametrize(("size", "depth"), [(21, 2), (25, 2), (33, 2), (81, 4)])
def test_dense_answers_are_those_of_every_window_by_itself(size, depth, step):
    torch.manual_seed(2)
    network = trained_like(SMICNet(1, 3, padded=False, width=4, depth=depth, hidden=12))
    planes = torch.rand(2, size + 11, size + 18)
    with torch.inference_mode():
        found = dense_logits(FoldedSMICNet(network, size), planes, step)
        windows = planes.unfold(1, size, step).unfold(2, size, step)
        expected = network(windows.reshape(-1, 1, size, size)).reshape(*windows.shape[:3], 3)
        assert found.shape == expected.shape
        assert expected.std() > 0.01
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_network_with_padding_has_no_dense_answers():
    network = small(padded=True)
    with pytest.raises(RecipeError, match="cannot share"):
        dense_logits(FoldedSMICNet(network, 21), torch.rand(1, 40, 40))


def test_with_padding_features_do_depend_on_the_window():
    """Why the published network cannot be computed densely: the same place, seen from two windows, differs."""
    block = small(padded=True).blocks[0]
    plane = torch.rand(1, 1, 40, 40)
    with torch.inference_mode():
        here, there = block(plane[..., :21, :21]), block(plane[..., 2:23, :21])
        assert torch.allclose(here[..., 2:, 1:], there[..., 1:-1, 1:])
        assert not torch.allclose(here[..., 1, 1:], there[..., 0, 1:])
