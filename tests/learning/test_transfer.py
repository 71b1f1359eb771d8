"""What a fine-tuning takes of a bundle: rows by class name, channels by their sum, and an honest list of the rest."""

import pytest
import torch
from torch import nn

from gracile.bundle import Bundle
from gracile.errors import BundleError, RecipeError
from gracile.learning.layers import layers_of, named_layers
from gracile.learning.learners import build_learner
from gracile.learning.transfer import Transfer, begin_from
from gracile.networks.weights import tensors_of
from gracile.recipe import Recipe, TransferSpec, read_recipe

NETWORKS = {
    "refining-unet": "{widths: [8, 12, 16]}",
    "light-unet": "{width: 16}",
    "attention-unet": "{width: 8, levels: 3}",
    "double-unet": "{width: 4}",
    "smp:Unet:resnet18": "{}",
    "monai:UNet": "{spatial_dims: 2, channels: [4, 8, 16], strides: [2, 2]}",
}


def recipe_of(network: str, classes: list[str], channels: int = 1, stage: str = "segment") -> Recipe:
    colors = [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    listed = ", ".join(f"{{name: {n}, color: {c}}}" for n, c in zip(classes, colors, strict=False))
    return read_recipe(
        "structure-2d",
        [
            f"stages.0.network={{name: '{network}', options: {NETWORKS[network]}}}", f"input.channels={channels}",
            f"stages.0.name={stage}", f"classes=[{listed}]",
        ],
    )  # fmt: skip


def stage_of(recipe: Recipe, seed: int):
    torch.manual_seed(seed)
    return build_learner(recipe.stages[0], recipe).eval()


def bundle_of(recipe: Recipe) -> Bundle:
    """A bundle of random weights, whose normalizations have statistics of their own."""
    stage = stage_of(recipe, 1)
    for module in stage.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return Bundle(recipe=recipe, weights={stage.name: dict(stage.bundle_state())}, card={})


def carried(there: Recipe, here: Recipe, **spec) -> tuple[Bundle, nn.Module, Transfer]:
    source = bundle_of(there)
    stage = stage_of(here, 2)
    return source, stage, begin_from(stage, here, source, TransferSpec(**spec))


def answer(stage, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return stage.logits(image)


def reasons(transfer: Transfer) -> dict[str, tuple[str, str]]:
    return {r.layer: (r.reason, r.detail) for r in transfer.left_out}


@pytest.mark.parametrize("network", NETWORKS)
def test_equal_stages_are_taken_over_whole(network):
    recipe = recipe_of(network, ["background", "nerve", "vessel"])
    source, stage, transfer = carried(recipe, recipe)
    assert all(
        torch.equal(stage.state_dict()[name], value) for name, value in tensors_of(source.weights["segment"]).items()
    )
    assert transfer.carried == transfer.layers == len(layers_of(stage))
    assert not transfer.left_out + transfer.adapted + transfer.unused


@pytest.mark.parametrize("network", ["light-unet", "refining-unet", "attention-unet", "smp:Unet:resnet18"])
def test_a_class_keeps_its_answer_wherever_it_stands(network):
    there = recipe_of(network, ["background", "nerve", "vessel"])
    here = recipe_of(network, ["none", "vessel", "tendon", "nerve"])
    source, stage, transfer = carried(there, here)
    image = torch.randn(2, 1, 64, 64)
    before = answer(_loaded(there, source), image)
    after = answer(stage, image)
    if network != "refining-unet":  # its second step sees the first one's answer, of which one class is new
        torch.testing.assert_close(after[:, [0, 3, 1]], before)
    heads = {layer for layer in reasons(transfer) if "head" in layer or "feedback" in layer}
    assert heads
    assert reasons(transfer) == dict.fromkeys(heads, ("new class", "tendon"))
    assert transfer.carried == transfer.layers


def _loaded(recipe: Recipe, source: Bundle):
    stage = stage_of(recipe, 3)
    stage.load_bundle_state(tensors_of(source.weights[stage.name]))
    return stage


def test_equally_many_classes_in_another_order_are_not_mixed_up():
    there, here = (recipe_of("light-unet", ["background", *names]) for names in (("a", "b"), ("b", "a")))
    source, stage, transfer = carried(there, here)
    image = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(answer(stage, image)[:, [0, 2, 1]], answer(_loaded(there, source), image))
    assert not transfer.left_out


def test_a_refining_network_keeps_its_answer_when_a_class_goes():
    """The new class of its first step is read by its second: so only without new classes all stays as it was."""
    there = recipe_of("refining-unet", ["background", "a", "b"])
    source, stage, transfer = carried(there, recipe_of("refining-unet", ["background", "b"]))
    assert {r.detail for r in transfer.unused} == {"a"}
    assert {r.layer for r in transfer.unused} == {
        "network.heads.0", "network.heads.1", "network.feedback.0.0",
    }  # fmt: skip
    kept = tensors_of(source.weights["segment"])["network.feedback.0.0.weight"].unflatten(1, (3, 4))[:, [0, 2]]
    torch.testing.assert_close(stage.state_dict()["network.feedback.0.0.weight"].unflatten(1, (2, 4)), kept)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_a_gray_picture_gives_the_same_answer_in_one_channel_and_in_three(network, before, after):
    classes = ["background", "nerve"]
    there, here = (recipe_of(network, classes, channels) for channels in (before, after))
    source, stage, transfer = carried(there, here)
    image = torch.randn(1, 1, 64, 64)
    expected = answer(_loaded(there, source), image.expand(-1, before, -1, -1))
    torch.testing.assert_close(answer(stage, image.expand(-1, after, -1, -1)), expected, rtol=1e-4, atol=1e-4)
    assert {r.reason for r in transfer.adapted} == {f"{before} to {after} image channels"}
    assert not transfer.left_out


def test_parts_and_patterns_begin_anew():
    recipe = recipe_of("attention-unet", ["background", "nerve"])
    source, stage, transfer = carried(recipe, recipe, reinitialize=["bottleneck", "decoder.1", "*.he?d"])
    fresh = stage_of(recipe, 2)
    anew = {"network.encoder.2", "network.decoder.1", "network.head"}
    for name, value in stage.state_dict().items():
        other = fresh.state_dict() if name.startswith(tuple(f"{block}." for block in anew)) else None
        assert torch.equal(value, (tensors_of(source.weights["segment"]) if other is None else other)[name]), name
    assert {reason for reason, _ in reasons(transfer).values()} == {"re-initialized on request"}
    assert {detail for _, detail in reasons(transfer).values()} == {"bottleneck", "decoder.1", "*.he?d"}
    assert transfer.carried == transfer.layers - len(transfer.left_out)


@pytest.mark.parametrize("network", [name for name in NETWORKS if not name.startswith("smp")])
def test_every_part_of_our_networks_can_be_named(network):
    stage = stage_of(recipe_of(network, ["background", "nerve"]), 0)
    layers = layers_of(stage)
    parts = [set(named_layers(layers, [part])) for part in ("contracting", "bottleneck", "expanding")]
    assert all(parts)
    assert sum(len(part) for part in parts) == len(set().union(*parts)) == len(layers)


def test_a_name_that_means_nothing_is_refused_with_the_layers():
    layers = layers_of(stage_of(recipe_of("smp:Unet:resnet18", ["background", "nerve"]), 0))
    assert set(named_layers(layers, ["encoder.layer4"])) == set(
        named_layers(layers, ["network.network.encoder.layer4.*"])
    )
    with pytest.raises(RecipeError, match=r"no part 'bottleneck'.*contracting, expanding.*encoder\.layer4\.\*"):
        named_layers(layers, ["bottleneck"])
    with pytest.raises(RecipeError, match=r"Did you mean contracting.*decoder\.blocks\.\*"):
        named_layers(layers, ["contracted"])


def test_another_width_is_refused_and_a_deeper_network_keeps_what_fits():
    recipe = recipe_of("attention-unet", ["background", "nerve"])
    wide = recipe.model_copy(deep=True)
    wide.stages[0].network.options = {"width": 12, "levels": 3}
    with pytest.raises(BundleError, match="do not fit"):
        carried(recipe, wide)
    deep = recipe.model_copy(deep=True)
    deep.stages[0].network.options = {"width": 8, "levels": 4}
    _, _, transfer = carried(recipe, deep)
    assert reasons(transfer)["network.encoder.3.0"] == ("absent in the source", "")
    assert 0 < transfer.carried < transfer.layers
    _, _, back = carried(deep, recipe)
    assert {r.layer for r in back.unused} >= {"network.encoder.3.0", "network.decoder.2.0"}


def test_a_stage_of_another_name_is_taken_when_it_is_named():
    classes = ["background", "nerve"]
    there, here = recipe_of("light-unet", classes, stage="vessels"), recipe_of("light-unet", classes)
    _, _, transfer = carried(there, here)
    assert (transfer.source, transfer.carried) == ("", 0)
    assert {r.reason for r in transfer.left_out} == {"absent in the source"}
    _, _, transfer = carried(there, here, source="vessels")
    assert (transfer.source, transfer.carried) == ("vessels", transfer.layers)
    with pytest.raises(BundleError, match="It has: vessels"):
        carried(there, here, source="veins")


def test_a_gate_takes_rows_by_the_kind_of_frame_and_chooses_its_threshold_anew():
    gate = "{kind: gate, name: gate, network: {name: 'timm:resnet10t'}, structures: [structure]"
    there, here = (
        read_recipe("structure-2d", [f"stages=[{gate}, classes: [{kinds}], present: [Nerve]}}]"])
        for kinds in ("Field, Tendon, Nerve", "Nerve, Vessel, Field")
    )
    source, stage, transfer = carried(there, here)
    rows = stage.state_dict()["classifier.fc.weight"]
    torch.testing.assert_close(rows[[2, 0]], tensors_of(source.weights["gate"])["classifier.fc.weight"][[0, 2]])
    assert reasons(transfer) == {
        **dict.fromkeys(("log_prior", "temperature", "threshold"), ("chosen anew after training", "")),
        "classifier.fc": ("new class", "Vessel"),
    }


def test_a_discriminator_is_in_no_bundle_and_begins_anew():
    recipe = read_recipe(
        "retina-av-fusion",
        ["stages.0.network.options.width=8", "stages.0.discriminator.options.width=8", "stages.0.size=[64, 64]"],
    )
    _, stage, transfer = carried(recipe, recipe)
    assert {reason for reason, _ in reasons(transfer).values()} == {"not stored in a bundle"}
    assert all(layer.startswith("discriminator.") for layer in reasons(transfer))
    assert transfer.carried == transfer.layers == len(layers_of(stage))


def test_blocks_registered_twice_begin_anew_as_one():
    recipe = recipe_of("monai:UNet", ["background", "nerve"]).model_copy(deep=True)
    options = {
        "spatial_dims": 2, "kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2],
        "filters": [4, 8, 16],
    }  # fmt: skip
    recipe.stages[0].network.name, recipe.stages[0].network.options = "monai:DynUNet", options
    source, stage, transfer = carried(recipe, recipe, reinitialize=["contracting"])
    fresh = stage_of(recipe, 2)
    name = "network.network.input_block.conv1.conv.weight"
    assert torch.equal(stage.state_dict()[name], fresh.state_dict()[name])
    assert not torch.equal(stage.state_dict()[name], tensors_of(source.weights["segment"])[name])
    assert not transfer.unused


def test_a_record_reads_back_and_reads_well():
    there = recipe_of("light-unet", ["background", "a"], channels=1)
    _, _, transfer = carried(
        there, recipe_of("light-unet", ["background", "a", "b"], channels=3), reinitialize=["stem"]
    )
    assert Transfer.from_dict("segment", transfer.as_dict()) == transfer
    text = "\n".join(transfer.sentences())
    assert f"segment: {transfer.carried} of {transfer.layers} layers carried over from the bundle's segment" in text
    assert "segment, not: network.head: new class (b)" in text
    assert "re-initialized on request (stem)" in text
