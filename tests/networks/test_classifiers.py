"""Any classifier of timm or torchvision by name, for any channels and classes."""

import logging

import pytest
import timm
import torch
from torchvision import models

from gracile.errors import RecipeError
from gracile.networks.classifiers import build_classifier

FAMILIES = [
    "densenet121", "densenet169", "densenet201", *(f"efficientnet_b{n}" for n in range(8)), "resnet18", "resnet152",
    "resnetv2_50", "resnetv2_101", "resnetv2_152", "resnext50_32x4d", "resnest50d", "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224", "mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv4_conv_small",
]  # fmt: skip


def test_the_families_of_the_documents_are_there():
    assert set(FAMILIES) <= set(timm.list_models())
    assert {"squeezenet1_0", "squeezenet1_1"} <= set(models.list_models(module=models))


@pytest.mark.parametrize(
    "name",
    ["resnet18", "timm:mobilenetv4_conv_small", "timm:densenet121", "timm:efficientnet_b0", "timm:resnest14d",
     "timm:vit_tiny_patch16_224", "torchvision:squeezenet1_1", "torchvision:mobilenet_v2"],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_answers_with_a_logit_for_each_class(name, channels):
    network = build_classifier(name, channels, 3).eval()
    assert network(torch.randn(2, channels, 224, 224)).shape == (2, 3)


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:squeezenet1_1"])
def test_local_weights_are_taken_for_other_channels_and_classes(name, tmp_path):
    library, _, rest = name.partition(":")
    torch.manual_seed(0)
    source = timm.create_model(rest) if library == "timm" else models.get_model(rest)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    network = build_classifier(name, 1, 2, initial=str(tmp_path / "weights.pth"))
    own, given = network.state_dict(), source.state_dict()
    alike = [k for k in given if given[k].shape == own[k].shape and given[k].dim() > 1]
    assert len(alike) >= len([k for k in given if given[k].dim() > 1]) - 2  # all but the first and the last
    assert all(torch.equal(own[k], given[k]) for k in alike)


def test_a_hub_out_of_reach_is_said_and_training_begins_from_random(monkeypatch, caplog):
    whole = timm.create_model

    def offline(name, pretrained=False, **settings):
        if pretrained:
            raise OSError("Name or service not known")
        return whole(name, **settings)

    monkeypatch.setattr(timm, "create_model", offline)
    with caplog.at_level(logging.WARNING):
        build_classifier("timm:resnet10t", 1, 2, initial="pretrained")
    assert "begins from random weights" in caplog.text


@pytest.mark.parametrize(
    ("name", "hint"),
    [("timm:densenet210", "densenet201"), ("torchvision:squeezenet", "squeezenet1"), ("keras:resnet", "timm:NAME")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(RecipeError) as caught:
        build_classifier(name, 1, 2)
    assert hint in str(caught.value)


def test_weights_that_are_not_there_or_of_another_network_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="no file"):
        build_classifier("timm:resnet10t", 1, 2, initial=str(tmp_path / "no.pth"))
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    for name in ("timm:resnet10t", "torchvision:squeezenet1_1"):
        with pytest.raises(RecipeError, match="cannot be built"):
            build_classifier(name, 1, 2, initial=str(tmp_path / "other.pth"))
