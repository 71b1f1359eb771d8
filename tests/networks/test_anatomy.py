"""A network says of itself what is true: its blocks hold all its weights, and its axes are those that really move."""

import pytest
import torch

from gracile.names import NETWORKS, WINDOW_NETWORKS
from gracile.networks.anatomy import anatomy_of
from gracile.networks.classifiers import build_classifier
from gracile.networks.smicnet import build_window_network
from gracile.networks.zoo import build_network

SMALL = {
    "refining-unet": {"widths": [8, 12, 16]},
    "fusion-av": {"width": 8},
    "r2u-net": {"width": 4},
    "r2-attention-unet": {"width": 4},
    "light-unet": {"width": 16},
    "light-unet-3d": {"width": 8},
    "unet-3d": {"width": 4, "levels": 3},
    "unet": {"width": 8, "levels": 3},
    "attention-unet": {"width": 8, "levels": 4},
    "res-unet": {"width": 8},
    "multires-unet": {"width": 8},
    "double-unet": {"width": 4},
    "smp:Unet:resnet18": {},
    "smp:DeepLabV3Plus:timm-mobilenetv3_small_minimal_100": {},
    "monai:UNet": {"spatial_dims": 2, "channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 1},
    "monai:BasicUNet": {"spatial_dims": 3, "features": [4, 4, 8, 8, 16, 4]},
    "monai:SegResNet": {"spatial_dims": 2},
    "monai:DynUNet": {
        "spatial_dims": 3, "kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2],
        "filters": [4, 8, 16],
    },
}  # fmt: skip
JUDGES = {"unet-discriminator"}


def shapes(name: str, channels: int, classes: int) -> dict[str, tuple[int, ...]]:
    return {n: tuple(w.shape) for n, w in build_network(name, channels, classes, **SMALL[name]).state_dict().items()}


def test_every_network_of_ours_is_tested_here():
    assert set(NETWORKS) - JUDGES == {name for name in SMALL if ":" not in name}


@pytest.mark.parametrize("name", [name for name in SMALL if ":" not in name])
def test_the_axes_are_those_that_move_and_as_long_as_said(name):
    plain = shapes(name, 3, 4)
    moved = {}
    for of, count, other in (("channels", 3, shapes(name, 5, 4)), ("classes", 4, shapes(name, 3, 7))):
        for weight, shape in plain.items():
            for dimension, length in enumerate(shape):
                if other[weight][dimension] != length:
                    moved[weight, of, dimension] = length // count
    anatomy = build_network(name, 3, 4, **SMALL[name]).anatomy()
    assert {(a.weight, a.of, a.dimension): a.each for a in anatomy.axes if a.weight in plain} == moved


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_lies_in_one_block_and_the_flow_ends_in_the_expanding_part(name):
    network = build_network(name, 3, 4, **SMALL[name])
    blocks = anatomy_of(network).blocks
    assert len({block for block, _ in blocks}) == len(blocks)
    for weight, _ in network.named_parameters():
        assert sum(weight.startswith(f"{block}.") for block, _ in blocks) == 1, weight
    assert (blocks[0][1], blocks[-1][1]) == ("contracting", "expanding")


@pytest.mark.parametrize(
    ("name", "size"), [("light-unet", (64, 64)), ("refining-unet", (64, 64)), ("light-unet-3d", (16, 16, 8))]
)
def test_the_rows_of_a_class_move_that_class_alone(name, size):
    torch.manual_seed(0)
    network = build_network(name, 1, 3, **SMALL[name]).eval()
    image = torch.randn(1, 1, *size)
    (bias,) = [a for a in network.anatomy().axes if a.weight in ("head.bias", "heads.1.bias")]
    before = network(image)
    with torch.no_grad():
        dict(network.named_parameters())[bias.weight][bias.each : 2 * bias.each] += 1.0
    difference = network(image) - before
    torch.testing.assert_close(difference[:, 1], torch.ones_like(difference[:, 1]))
    assert difference[:, [0, 2]].abs().max() == 0


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("smp:Unet:resnet18", "network.encoder.conv1.weight", "network.segmentation_head.0.weight"),
        ("monai:BasicUNet", "network.conv_0.conv_0.conv.weight", "network.final_conv.weight"),
    ],
)
def test_a_library_s_axes_are_found(name, first, last):
    found = {a.weight: (a.of, a.dimension, a.each) for a in anatomy_of(build_network(name, 3, 4, **SMALL[name])).axes}
    assert (found[first], found[last]) == (("channels", 1, 1), ("classes", 0, 1))


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("timm:resnet10t", "conv1.0.weight", "fc.weight"),
        ("timm:vit_tiny_patch16_224", "patch_embed.proj.weight", "head.weight"),
        ("torchvision:squeezenet1_1", "features.0.weight", "classifier.1.weight"),
    ],
)
def test_a_classifier_s_first_and_last_layers_are_found(name, first, last):
    axes = {a.weight: (a.of, a.dimension) for a in anatomy_of(build_classifier(name, 3, 2)).axes}
    assert axes == {first: ("channels", 1), last: ("classes", 0), last.replace("weight", "bias"): ("classes", 0)}


def test_a_map_s_classifier_has_the_parts_of_its_network_and_no_row_for_a_class():
    anatomy = build_classifier("map:light-unet", 3, 2).anatomy()
    assert {axis.of for axis in anatomy.axes} == {"channels"}
    assert anatomy.blocks[0] == ("network.stem", "contracting")


@pytest.mark.parametrize("name", WINDOW_NETWORKS)
def test_a_window_network_answers_in_the_rows_of_its_last_layer(name):
    plain, other = (dict(build_window_network(name, classes).state_dict()) for classes in (3, 5))
    moved = {weight for weight in plain if plain[weight].shape != other[weight].shape}
    assert {axis.weight for axis in build_window_network(name, 3).anatomy().axes} == moved
    assert {plain[weight].shape[0] for weight in moved} == {3}


def test_building_a_library_s_network_again_draws_no_random_numbers():
    torch.manual_seed(0)
    network = build_network("monai:BasicUNet", 1, 2, **SMALL["monai:BasicUNet"])
    state = torch.random.get_rng_state()
    anatomy_of(network)
    assert torch.equal(state, torch.random.get_rng_state())
