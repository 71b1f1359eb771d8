"""The same tests for every network by name: any size, finite gradients, and the same answer when loaded again."""

from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load, save

from gracile.errors import RecipeError
from gracile.names import NETWORKS, RECIPES
from gracile.networks.zoo import OWN, build_network
from gracile.recipe import read_recipe


def last_logits(answer: Any) -> torch.Tensor:
    """The final logits of whatever a network gives while it trains."""
    answer = getattr(answer, "logits", answer)
    return answer[-1] if isinstance(answer, list | tuple) else answer


class NetworkTester:
    """What holds for every network; a subclass names one."""

    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    largest: ClassVar[int]

    def build(self, in_channels: int = 3, out_channels: int = 4) -> torch.nn.Module:
        torch.manual_seed(0)
        return build_network(self.name, in_channels, out_channels, **self.options)

    @pytest.mark.parametrize("size", [(64, 64), (97, 131), (33, 70)])
    def test_any_size_comes_out_as_it_went_in(self, size):
        network = self.build().eval()
        with torch.inference_mode():
            answer = network(torch.randn(1, 3, *size))
        assert isinstance(answer, torch.Tensor)
        assert answer.shape == (1, 4, *size)
        assert torch.isfinite(answer).all()

    @pytest.mark.parametrize(("in_channels", "out_channels"), [(1, 2), (5, 3)])
    def test_any_number_of_channels_and_classes(self, in_channels, out_channels):
        network = self.build(in_channels, out_channels).eval()
        with torch.inference_mode():
            assert network(torch.randn(1, in_channels, 64, 64)).shape == (1, out_channels, 64, 64)

    def test_training_gives_logits_of_the_size_and_finite_gradients(self):
        network = self.build().train()
        logits = last_logits(network(torch.randn(2, 3, 50, 71)))
        assert logits.shape == (2, 4, 50, 71)
        logits.log_softmax(dim=1)[:, 1].mean().backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(g).all() for g in gradients)
        assert any(g.abs().sum() > 0 for g in gradients)

    def test_loaded_weights_give_the_same_answer(self):
        network = self.build()
        network(torch.randn(2, 3, 64, 64))  # moves running statistics, which must be kept too
        torch.manual_seed(1)
        other = build_network(self.name, 3, 4, **self.options)
        other.load_state_dict(load(save({k: v.contiguous() for k, v in network.state_dict().items()})))
        image = torch.randn(1, 3, 65, 38)
        with torch.inference_mode():
            assert torch.equal(network.eval()(image), other.eval()(image))

    def test_it_stays_small(self):
        assert sum(p.numel() for p in self.build().parameters()) < self.largest

    def test_an_unknown_option_is_refused(self):
        with pytest.raises(RecipeError, match="wobble"):
            build_network(self.name, 3, 4, **{**self.options, "wobble": 1})


class TestRefiningUNet(NetworkTester):
    name = "refining-unet"
    options: ClassVar = {"widths": [8, 12, 16]}
    largest = 100_000

    def test_every_step_answers_while_it_trains_and_the_last_one_counts(self):
        torch.manual_seed(0)
        network = build_network("refining-unet", 3, 4, widths=[8, 12, 16], steps=3, dropout=0.0)
        answers = network.train()(torch.randn(2, 3, 40, 56))
        assert [tuple(a.shape) for a in answers] == [(2, 4, 40, 56)] * 3
        assert not torch.allclose(answers[0], answers[2])

    def test_the_last_answer_teaches_the_first_step(self):
        network = self.build().train()
        network(torch.randn(2, 3, 32, 32))[-1].square().mean().backward()
        first = network.get_submodule("heads.0")
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in first.parameters())

    def test_the_default_network_of_the_retina_recipe_has_under_two_million_weights(self):
        spec = read_recipe("retina-av").stages[0].network
        network = build_network(spec.name, 3, 4, **spec.options)
        assert sum(p.numel() for p in network.parameters()) < 2_000_000


class TestFusionGenerator(NetworkTester):
    name = "fusion-av"
    options: ClassVar = {"width": 4}
    largest = 1_000_000


class TestLibraryUnet(NetworkTester):
    name = "smp:Unet:resnet18"
    options: ClassVar = {"decoder_channels": [16, 8, 8, 4, 4]}
    largest = 15_000_000


class TestLibraryDecoderOfFixedSteps(NetworkTester):
    name = "smp:Linknet:mobilenet_v2"
    largest = 5_000_000


class TestMonaiUNet(NetworkTester):
    name = "monai:UNet"
    options: ClassVar = {"spatial_dims": 2, "channels": [4, 8, 16], "strides": [2, 2]}
    largest = 100_000


def test_the_encoder_has_a_default_and_takes_no_weights_from_the_network():
    assert last_logits(build_network("smp:Unet", 3, 2).eval()(torch.zeros(1, 3, 32, 32))).shape == (1, 2, 32, 32)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("refining-unit", "refining-unet"),
        ("monai:Unett", "UNet"),
        ("smp:Unett:resnet18", "Unet"),
        ("smp:Unet:resnet81", "resnet"),
        ("timm:resnet18", "smp:Unet:resnet18"),
        ("", "refining-unet"),
    ],
)
def test_an_unknown_network_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(RecipeError, match=nearest):
        build_network(name, 3, 4)


def test_every_listed_network_is_there():
    assert set(NETWORKS) <= set(OWN)
    for name in RECIPES:
        spec = read_recipe(name).stages[0].network
        assert spec.name in NETWORKS
