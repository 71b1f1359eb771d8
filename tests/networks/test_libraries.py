"""Networks of MONAI and segmentation-models-pytorch: any size in 2D and 3D, and what is said of wrong options."""

from typing import Any

import pytest
import torch

from gracile.errors import RecipeError
from gracile.names import MONAI_NETWORKS
from gracile.networks.libraries import _MONAI, AnySize, Needs
from gracile.networks.slices import SliceNetwork
from gracile.networks.zoo import build_network

TINY: dict[str, dict[str, Any]] = {
    "AttentionUnet": {"channels": [4, 8, 16], "strides": [2, 2]},
    "AutoEncoder": {"channels": [4, 8], "strides": [2, 2]},
    "BasicUNet": {"features": [4, 4, 8, 8, 16, 4]},
    "BasicUNetPlusPlus": {"features": [4, 4, 8, 8, 16, 4], "deep_supervision": True},
    "DynUNet": {
        "kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [4, 8, 8],
        "deep_supervision": True,
    },
    "FlexibleUNet": {"backbone": "resnet10", "decoder_channels": [8, 8, 4, 4, 4]},
    "HighResNet": {
        "layer_params": [
            {"name": "conv_0", "n_features": 4, "kernel_size": 3},
            {"name": "res_1", "n_features": 4, "kernels": [3, 3], "repeat": 1},
            {"name": "conv_1", "n_features": 8, "kernel_size": 1},
            {"name": "conv_2", "kernel_size": 1},
        ]
    },
    "MedNeXt": {
        "init_filters": 4, "kernel_size": 3, "blocks_down": [1, 1, 1, 1], "blocks_bottleneck": 1,
        "blocks_up": [1, 1, 1, 1], "deep_supervision": True,
    },
    "SegResNet": {"init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "SegResNetDS": {"init_filters": 8, "blocks_down": [1, 1, 1], "dsdepth": 2},
    "SwinUNETR": {"feature_size": 12},
    "UNETR": {"img_size": 48, "feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 2},
    "UNet": {"channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 1},
    "VNet": {},
}  # fmt: skip
"""Small ones of every class that is offered."""

DECODERS = ["Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3Plus", "UPerNet", "Segformer"]

LARGE = {"FlexibleUNet", "SwinUNETR", "UNETR", "VNet"}
"""Those that have many weights or layers at any setting; each is built once, for volumes."""


def built(name: str, dimensions: int, **more: Any) -> torch.nn.Module:
    if name in {"SwinUNETR", "UNETR"}:
        pytest.importorskip("einops", reason=f"MONAI's {name} needs the package einops")
    torch.manual_seed(0)
    return build_network(f"monai:{name}", 2, 3, dimensions=dimensions, **{**TINY[name], **more})


def test_the_list_that_one_reads_is_what_is_offered():
    assert set(MONAI_NETWORKS) == set(_MONAI) == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_an_odd_volume_comes_out_as_it_went_in(name):
    network = built(name, 3).eval()
    with torch.inference_mode():
        answer = network(torch.randn(1, 2, 19, 37, 45))
    assert isinstance(answer, torch.Tensor)
    assert answer.shape == (1, 3, 19, 37, 45)
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("name", sorted(set(TINY) - LARGE))
def test_it_learns_from_odd_volumes_and_tiny_ones_and_from_odd_pictures(name):
    for dimensions, sizes in ((3, (9, 21, 18)), (3, (4, 4, 4)), (2, (37, 45))):
        network = built(name, dimensions).train()
        answers = network(torch.randn(2, 2, *sizes))
        for answer in answers if isinstance(answers, list) else [answers]:
            assert answer.shape == (2, 3, *sizes)
        torch.stack(list(answers)).log_softmax(dim=2)[:, :, 1].mean().backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert all(torch.isfinite(g).all() for g in gradients)
        assert any(g.abs().sum() > 0 for g in gradients)


@pytest.mark.parametrize("name", ["BasicUNetPlusPlus", "DynUNet", "MedNeXt", "SegResNetDS"])
def test_of_several_answers_the_final_one_stands_last(name):
    network = built(name, 3)
    for module in network.modules():  # so that it answers alike while it trains
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm | torch.nn.modules.instancenorm._InstanceNorm):
            module.eval()
            module.train = lambda mode=True, module=module: module  # type: ignore[method-assign]
    volume = torch.randn(1, 2, 19, 37, 45)
    with torch.no_grad():
        answers = network.train()(volume)
        final = network.eval()(volume)
    assert isinstance(answers, list)
    assert len(answers) > 1
    torch.testing.assert_close(answers[-1], final)
    assert not torch.allclose(answers[0], final, atol=1e-3)


def test_no_more_is_padded_than_the_network_needs():
    strides = {"strides": [[1, 1, 1], [2, 2, 1], [2, 2, 2]], "upsample_kernel_size": [[2, 2, 1], [2, 2, 2]]}
    for name, more, multiple in (
        ("UNet", {"strides": [2, 2]}, (4,)),
        ("UNet", {"strides": [[2, 2, 1], [2, 2, 1]]}, (4, 4, 1)),
        ("DynUNet", strides, (4, 4, 2)),
        ("HighResNet", {}, (1,)),
        ("SegResNet", {}, (4,)),
        ("SegResNetDS", {}, (4, 4, 4)),
    ):
        network = built(name, 3, **more)
        assert isinstance(network, AnySize)
        assert network.needs.multiple == multiple


def test_the_coarsest_resolution_keeps_more_than_one_sample():
    assert Needs((16,), more_than_one=True).padding((16, 16, 9)) == [16, 0, 7]
    assert Needs((16,), more_than_one=True).padding((16, 17, 9)) == [0, 15, 7]


def test_a_network_of_one_size_says_how_large_it_is():
    with pytest.raises(RecipeError, match=r"48 x 48 x 48 .* 49 x 48 x 20.*img_size"):
        Needs((48,), fixed=True).padding((49, 48, 20))
    assert Needs((48,), fixed=True).padding((19, 37, 45)) == [29, 11, 3]


def test_a_size_below_the_least_is_made_up():
    assert Needs((32,), least=128).padding((53, 130)) == [75, 30]


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoders_for_pictures_take_odd_sizes(decoder):
    network = build_network(f"smp:{decoder}:mobilenet_v2", 1, 2, dimensions=2).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 53, 97)).shape == (1, 2, 53, 97)


@pytest.mark.parametrize(("name", "options"), [("light-unet-3d", {"width": 8}), ("unet-3d", {"width": 4})])
def test_our_networks_for_volumes_take_odd_sizes(name, options):
    network = build_network(name, 1, 2, dimensions=3, **options).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 19, 37, 45)).shape == (1, 2, 19, 37, 45)


def test_slices_are_answered_at_every_depth_that_their_network_answers_at():
    network = SliceNetwork(built("DynUNet", 2), 1).train()
    network.network._build = None
    answers = network(torch.randn(1, 2, 21, 18, 5))
    assert [tuple(answer.shape) for answer in answers] == [(1, 3, 21, 18, 5)] * 2


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("monai:UNet", {"channels": [4, 8]}, "needs strides"),
        ("monai:UNet", {"chanels": [4, 8], "strides": [2]}, "no option 'chanels'.*channels"),
        ("monai:UNet", {**TINY["UNet"], "spatial_dims": 2}, "spatial_dims is 2.*3 axes"),
        ("monai:UNet", {**TINY["UNet"], "in_channels": 2}, "no option 'in_channels'"),
        ("monai:UNet", {"channels": [4], "strides": []}, "cannot be built"),
        ("monai:DynUNet", {**TINY["DynUNet"], "strides": [1, 2]}, "cannot be built"),
        ("monai:DenseNet121", {}, "not offered"),
        ("monai:SegResNet2", {}, "SegResNet"),
        ("monai:SwinUNETR", {"feature_size": 13}, "einops|divisible"),
        ("unet", {}, "does not take volumes.*light-unet-3d"),
        ("smp:Unet:resnet18", {}, "does not take volumes"),
        ("unet-3d", {"widht": 3}, "no option 'widht'.*width"),
    ],
)
def test_what_cannot_be_built_says_why(name, options, said):
    with pytest.raises(RecipeError, match=said):
        build_network(name, 1, 2, dimensions=3, **options)


def test_a_network_for_volumes_is_refused_for_pictures_and_a_second_head_anywhere():
    with pytest.raises(RecipeError, match="does not take pictures"):
        build_network("unet-3d", 1, 2, dimensions=2)
    with pytest.raises(RecipeError, match="aux_params"):
        build_network("smp:Unet:resnet18", 1, 2, aux_params={"classes": 2})


def test_another_spelling_of_monais_is_the_same_network():
    assert isinstance(build_network("monai:Unet", 1, 2, dimensions=3, **TINY["UNet"]), AnySize)
