"""The same tests for every network by name: any size, finite gradients, the same answer when loaded.

That they answer alike when exported is tested in `test_export.py`.
"""

import inspect
from typing import Any, ClassVar

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load, save, save_file

from gracile.errors import RecipeError
from gracile.learning.learners import build_learner
from gracile.names import NETWORKS, RECIPES, WINDOW_NETWORKS
from gracile.networks.attention import AttentionGate, AttentionUNet
from gracile.networks.light_unet_3d import convolve_and_normalize_3d
from gracile.networks.zoo import build_network
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
    volumes: ClassVar[bool] = False

    def images(self, batch: int, channels: int, *size: int) -> torch.Tensor:
        """Random pictures of a size or, for a network of volumes, volumes of a third of it and 13 slices."""
        shape = [max(9, n // 3) for n in size] + [13] if self.volumes else size
        return torch.randn(batch, channels, *shape)

    def build(self, in_channels: int = 3, out_channels: int = 4) -> torch.nn.Module:
        torch.manual_seed(0)
        return build_network(self.name, in_channels, out_channels, **self.options)

    @pytest.mark.parametrize("size", [(64, 64), (97, 131), (33, 70)])
    def test_any_size_comes_out_as_it_went_in(self, size):
        network = self.build().eval()
        images = self.images(1, 3, *size)
        with torch.inference_mode():
            answer = network(images)
        assert isinstance(answer, torch.Tensor)
        assert answer.shape == (1, 4, *images.shape[2:])
        assert torch.isfinite(answer).all()

    @pytest.mark.parametrize(("in_channels", "out_channels"), [(1, 2), (5, 3)])
    def test_any_number_of_channels_and_classes(self, in_channels, out_channels):
        network = self.build(in_channels, out_channels).eval()
        images = self.images(1, in_channels, 64, 64)
        with torch.inference_mode():
            assert network(images).shape == (1, out_channels, *images.shape[2:])

    def test_training_gives_logits_of_the_size_and_finite_gradients(self):
        network = self.build().train()
        images = self.images(2, 3, 50, 71)
        logits = last_logits(network(images))
        assert logits.shape == (2, 4, *images.shape[2:])
        logits.log_softmax(dim=1)[:, 1].mean().backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(g).all() for g in gradients)
        assert any(g.abs().sum() > 0 for g in gradients)

    def test_loaded_weights_give_the_same_answer(self):
        network = self.build()
        network(self.images(2, 3, 64, 64))  # moves running statistics, which must be kept too
        torch.manual_seed(1)
        other = build_network(self.name, 3, 4, **self.options)
        other.load_state_dict(load(save({k: v.contiguous() for k, v in network.state_dict().items()})))
        image = self.images(1, 3, 65, 38)
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


class TestUNet(NetworkTester):
    name = "unet"
    options: ClassVar = {"width": 4}
    largest = 150_000

    def test_it_has_the_23_convolutions_of_the_paper(self):
        kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
        assert sum(isinstance(m, kinds) for m in build_network("unet", 1, 2, width=2).modules()) == 23


class TestAttentionUNet(NetworkTester):
    name = "attention-unet"
    options: ClassVar = {"width": 4}
    largest = 150_000

    def test_every_level_answers_while_it_trains(self):
        answers = self.build().train()(torch.randn(2, 3, 40, 56))
        assert [tuple(a.shape) for a in answers] == [(2, 4, 40, 56)] * 4

    def test_without_deep_supervision_it_answers_once(self):
        network = build_network(self.name, 3, 4, width=2, deep_supervision=False).train()
        assert network(torch.randn(2, 3, 40, 56)).shape == (2, 4, 40, 56)

    def test_a_closed_gate_lets_nothing_through_and_an_open_one_everything(self):
        gate = AttentionGate(4, 8)
        skip, coarser = torch.randn(1, 4, 16, 12), torch.randn(1, 8, 8, 6)
        torch.nn.init.zeros_(gate.weight.weight)
        torch.nn.init.constant_(gate.weight.bias, -100.0)
        assert not gate(skip, coarser).any()
        torch.nn.init.constant_(gate.weight.bias, 100.0)
        torch.testing.assert_close(gate(skip, coarser), skip)


class TestR2UNet(NetworkTester):
    name = "r2u-net"
    options: ClassVar = {"width": 4}
    largest = 100_000

    def test_more_steps_add_no_convolution(self):
        counts = []
        for steps in (1, 3):
            network = build_network(self.name, 3, 4, width=4, steps=steps)
            counts.append(sum(p.numel() for p in network.parameters() if p.ndim == 4))
        assert counts[0] == counts[1]


class TestR2AttentionUNet(NetworkTester):
    name = "r2-attention-unet"
    options: ClassVar = {"width": 4}
    largest = 100_000


class TestResUNet(NetworkTester):
    name = "res-unet"
    options: ClassVar = {"width": 4}
    largest = 50_000


class TestMultiResUNet(NetworkTester):
    name = "multires-unet"
    options: ClassVar = {"width": 4}
    largest = 150_000


class TestLightUNet3d(NetworkTester):
    name = "light-unet-3d"
    options: ClassVar = {"width": 8}
    largest = 100_000
    volumes = True

    def test_it_may_compute_at_every_resolution(self):
        network = build_network(self.name, 1, 2, width=4, stride=[1, 1, 1])
        assert network(torch.zeros(2, 1, 9, 10, 11)).shape == (2, 2, 9, 10, 11)


class TestUNet3d(NetworkTester):
    name = "unet-3d"
    options: ClassVar = {"width": 4}
    largest = 400_000
    volumes = True

    def test_it_has_the_weights_of_the_paper(self):
        # 19 069 955 in the paper, whose convolutions have a bias as well as a normalization or not: 0.02 % apart.
        network = build_network(self.name, 3, 3, width=32)
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(19_069_955, rel=3e-4)


class TestDoubleUNet(NetworkTester):
    name = "double-unet"
    options: ClassVar = {"width": 2}
    largest = 150_000

    def test_both_networks_answer_while_it_trains(self):
        answers = self.build().train()(torch.randn(2, 3, 40, 56))
        assert [tuple(a.shape) for a in answers] == [(2, 4, 40, 56)] * 2

    def test_the_second_answer_teaches_the_first_network(self):
        network = self.build().train()
        network(torch.randn(2, 3, 32, 32))[1].square().mean().backward()
        assert network.first_decoder.head.weight.grad.abs().sum() > 0

    def test_where_the_first_network_finds_nothing_the_second_sees_nothing(self):
        network = self.build().eval()
        torch.nn.init.zeros_(network.first_decoder.head.weight)
        network.first_decoder.head.bias.data = torch.tensor([200.0, 0.0, 0.0, 0.0])
        seen = []
        network.encoder[0].register_forward_hook(lambda _, images, __: seen.append(images[0]))
        network(torch.randn(1, 3, 32, 32))
        assert not seen[0].any()

    @pytest.mark.parametrize("in_channels", [1, 3])
    def test_the_trunk_takes_local_weights(self, tmp_path, in_channels):
        weights = {f"features.{k}": v for k, v in self.build().trunk.state_dict().items()}
        save_file(weights, tmp_path / "vgg.safetensors")
        torch.save(weights, tmp_path / "vgg.pth")
        for name in ("vgg.safetensors", "vgg.pth"):
            network = build_network(self.name, in_channels, 2, width=2, initial=str(tmp_path / name))
            torch.testing.assert_close(network.trunk[3].weight, weights["features.3.weight"])
            first = network.trunk[0].weight.sum(dim=1)  # the answer to a gray image must not change
            torch.testing.assert_close(first, weights["features.0.weight"].sum(dim=1))

    def test_weights_that_are_absent_or_of_another_network_are_refused(self, tmp_path):
        with pytest.raises(RecipeError, match=r"no\.pth"):
            build_network(self.name, 3, 2, width=2, initial=str(tmp_path / "no.pth"))
        torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "other.pth")
        with pytest.raises(RecipeError, match="vgg19_bn"):
            build_network(self.name, 3, 2, width=2, initial=str(tmp_path / "other.pth"))


class TestLightUNet(NetworkTester):
    name = "light-unet"
    options: ClassVar = {"width": 16}
    largest = 300_000


def weight_count(name: str, in_channels: int, out_channels: int, **options: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build_network(name, in_channels, out_channels, **options).parameters())


# The tolerance is how far from it ours is: for what the papers leave open, see the networks' docstrings.
@pytest.mark.parametrize(
    ("name", "channels", "options", "stated", "tolerance"),
    [
        ("unet", 1, {"width": 32, "batch_norm": False}, 7_759_521, 0.0),
        ("r2u-net", 1, {}, 841_000, 0.19),
        ("res-unet", 3, {}, 7_800_000, 0.06),
        ("multires-unet", 1, {}, 7_262_750, 0.003),
        ("double-unet", 3, {}, 29_290_000, 0.001),
    ],
)
def test_the_published_size_has_as_many_weights_as_published(name, channels, options, stated, tolerance):
    assert weight_count(name, channels, 1, **options) == pytest.approx(stated, rel=tolerance)


# The figures are those that the docstrings give for ours; they are to the last digit that is written there.
@pytest.mark.parametrize(
    ("name", "channels", "options", "said", "digit"),
    [
        ("unet", (1, 2), {"batch_norm": False}, 31.0, 0.1),
        ("attention-unet", (3, 4), {}, 33.5, 0.1),
        ("r2u-net", (1, 1), {}, 0.996, 0.001),
        ("res-unet", (3, 1), {}, 8.2, 0.1),
        ("multires-unet", (1, 1), {}, 7.244559, 1e-9),
        ("double-unet", (3, 1), {}, 29.30, 0.01),
        ("light-unet", (3, 4), {}, 0.78, 0.01),
    ],
)
def test_a_network_has_as_many_weights_as_its_docstring_says(name, channels, options, said, digit):
    assert weight_count(name, *channels, **options) / 1e6 == pytest.approx(said, abs=digit / 2)


def test_attention_adds_7_percent_of_weights_and_recurrence_hardly_any():
    gated = AttentionUNet(3, 4, width=16)
    gates = sum(p.numel() for p in gated.gates.parameters())
    assert gates / (sum(p.numel() for p in gated.parameters()) - gates) == pytest.approx(0.07, abs=0.005)
    two, three = (weight_count("r2u-net", 1, 1, steps=steps) for steps in (2, 3))
    assert two < three < 1.005 * two


def test_the_light_network_has_under_a_million_weights():
    assert sum(p.numel() for p in build_network("light-unet", 3, 4).parameters()) < 1_000_000


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


def test_first_weights_are_asked_for_when_training_begins_and_never_to_apply(monkeypatch):
    asked = []
    unet = smp.Unet

    class Noting(unet):
        def __init__(self, encoder_weights=None, **more):
            asked.append(encoder_weights)
            super().__init__(encoder_weights=None, **more)

    Noting.__init__.__signature__ = inspect.signature(unet.__init__)
    monkeypatch.setattr(smp, "Unet", Noting)
    network = "{name: 'smp:Unet:resnet18', initial: imagenet}"
    recipe = read_recipe("structure-2d", [f"stages.0.network={network}"])
    build_learner(recipe.stages[0], recipe, initialize=True)
    build_learner(recipe.stages[0], recipe)
    assert asked == ["imagenet", None]


def test_a_network_without_first_weights_says_so():
    with pytest.raises(RecipeError, match="no first weights"):
        build_network("unet", 3, 2, initial="imagenet")


def test_every_listed_network_is_there():
    assert all(entry.load().__module__ == entry.place.partition(":")[0] for entry in NETWORKS.values())
    for name in RECIPES:
        spec = read_recipe(name).stages[-1].network
        assert spec.name in {**NETWORKS, **WINDOW_NETWORKS}


def test_gradients_over_two_voxels_are_the_same_each_time():
    layer = convolve_and_normalize_3d(24, 24).to(memory_format=torch.channels_last_3d)
    volumes = torch.randn(4, 24, 2, 2, 2).to(memory_format=torch.channels_last_3d)
    gradients = []
    for _ in range(20):
        torch.full((1_000_000,), torch.nan)  # what memory that is not written to would hold
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answer = layer(volumes)
        answer.float().square().sum().backward()
        gradients.append(layer[0].weight.grad.clone())
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
