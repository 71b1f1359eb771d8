"""Explanations point at what a network's answer hangs on, and leave the network as it was."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gracile.errors import UsageError
from gracile.explain import METHODS, explain, explainable_layers, feature_maps, find_layer, guided_gradients


class CornerNetwork(nn.Module):
    """Class 1 is the brightness of the upper left quarter, class 0 that of the lower right one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Flatten()
        with torch.no_grad():
            self.first.weight.zero_()
            self.first.weight[:, 0, 1, 1] = 1

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps = self.relu(self.first(image))
        half = maps.shape[-1] // 2
        ends = torch.stack([maps[:, 0, half:, half:].mean((1, 2)), maps[:, 1, :half, :half].mean((1, 2))], dim=1)
        return self.head(ends)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) + 0.1


@pytest.mark.parametrize("method", ["guided", "saliency"])
def test_pixels_that_the_answer_hangs_on_are_found(image, method):
    found = explain(CornerNetwork(), image, 1, method)
    assert found.shape == (32, 32)
    assert found.dtype == np.float32
    assert (found[:16, :16] > 0).all()
    assert (found[16:] == 0).all()
    assert (explain(CornerNetwork(), image, 0, method)[:16] == 0).all()


def test_grad_cam_weighs_the_maps_of_its_layer():
    image = torch.zeros(1, 1, 32, 32)
    image[..., 4:10, 4:10] = 1
    found = explain(CornerNetwork(), image, 1, "gradcam", "relu")
    assert found.shape == (32, 32)
    assert (found[4:10, 4:10] > 0).all()
    assert found.sum() == pytest.approx(found[4:10, 4:10].sum())


def resnet(channels: int) -> nn.Module:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("resnet18", in_chans=channels, num_classes=3)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_method_works_on_a_network_of_timm_and_leaves_it_as_it_was(channels):
    network = resnet(channels).train()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.randn(1, channels, 64, 48, generator=torch.Generator().manual_seed(1))
    for method in METHODS:
        found = explain(network, image, 2, method)
        assert found.shape == (64, 48)
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() > 0 or method == "gradcam"
    assert all(module.training for module in network.modules())
    assert any(getattr(module, "inplace", False) for module in network.modules())
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert not any(module._backward_hooks or module._forward_hooks for module in network.modules())


def test_grad_cam_is_that_of_its_formula():
    network, image = resnet(1), torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    network.eval()
    kept = []
    handle = network.layer3.register_forward_hook(lambda _m, _i, answer: kept.append(answer))
    logits = network(image)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[0, 1], kept[0])
    coarse = functional.relu((gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True))
    expected = functional.interpolate(coarse, (64, 64), mode="bilinear", align_corners=False)[0, 0].detach().numpy()
    np.testing.assert_allclose(explain(network, image, 1, "gradcam", "layer3"), expected, rtol=1e-4, atol=1e-6)


def test_it_works_where_gradients_are_off(image):
    network = CornerNetwork()
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            assert explain(network, image * 1, 1, "saliency").any()


def test_layers_are_named_in_order_and_typos_met_with_the_nearest():
    network, image = resnet(1), torch.zeros(1, 1, 64, 64)
    names = explainable_layers(network, image)
    assert names.index("conv1") < names.index("layer1") < names.index("layer4")
    assert names[-1] == "layer4"
    assert "fc" not in names
    assert find_layer(network, image)[0] == "layer4"
    with pytest.raises(UsageError, match=r"Did you mean .*layer3"):
        find_layer(network, image, "layr3")
    with pytest.raises(UsageError, match="answers no maps"):
        find_layer(network, image, "fc")


def test_a_transformers_tokens_are_told_from_maps():
    import timm

    network = timm.create_model("vit_tiny_patch16_224", in_chans=1, num_classes=2, depth=2)
    image = torch.randn(1, 1, 224, 224, generator=torch.Generator().manual_seed(3))
    assert explainable_layers(network, image) == ["patch_embed.proj"]
    with pytest.raises(UsageError, match=r"answers no maps.*1 x 197 x 192.*patch_embed\.proj"):
        explain(network, image, 1, "gradcam", "blocks.1")
    assert explain(network, image, 1, "saliency").shape == (224, 224)
    with pytest.raises(UsageError, match="ReLU"):
        guided_gradients(network, image, 1)


@pytest.mark.parametrize(
    ("target", "method", "layer", "message"),
    [(2, "saliency", "", "no class 2"), (-1, "gradcam", "", "no class -1"), (0, "lime", "", "There are: gradcam"),
     (0, "guided", "first", "Leave --layer out")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(image, target, method, layer, message):
    with pytest.raises(UsageError, match=message):
        explain(CornerNetwork(), image, target, method, layer)


def test_feature_maps_are_the_layers_answer_before_anything_overwrites_it(image):
    image = image - 0.6
    maps = feature_maps(CornerNetwork(), image, "first")
    np.testing.assert_allclose(maps, image[0].expand(2, -1, -1).numpy(), atol=1e-6)
    assert feature_maps(CornerNetwork(), image, "relu").min() == 0
