"""The fused generators and the discriminator: shapes, gradients, and the same answer after saving and loading."""

import pytest
import torch
from safetensors.torch import load, save

from gracile.networks.fusion import BranchUNet, FusionAnswer, FusionGenerator, UNetDiscriminator
from gracile.networks.zoo import build_network

ODD_SIZES = [(64, 64), (50, 71), (33, 16)]


def rounded_up(size: tuple[int, int], factor: int) -> tuple[int, int]:
    return -(-size[0] // factor), -(-size[1] // factor)


@pytest.mark.parametrize("size", ODD_SIZES)
def test_training_answer_has_three_side_maps_of_every_generator(size):
    answer = FusionGenerator(3, 4, width=4)(torch.randn(2, 3, *size))
    assert isinstance(answer, FusionAnswer)
    assert answer.logits.shape == (2, 4, *size)
    assert [s.shape for s in answer.sides] == [(2, 4, *rounded_up(size, f)) for f in (2, 4, 8)]
    assert list(answer.branches) == ["artery", "vein"]
    for branch in answer.branches.values():
        assert branch.logits is not None
        assert branch.logits.shape == (2, 1, *size)
        assert [s.shape for s in branch.sides] == [(2, 1, *rounded_up(size, f)) for f in (2, 4, 8)]


@pytest.mark.parametrize("size", ODD_SIZES)
def test_evaluation_answer_is_the_class_logits_alone(size):
    answer = FusionGenerator(1, 3, width=4).eval()(torch.randn(1, 1, *size))
    assert isinstance(answer, torch.Tensor)
    assert answer.shape == (1, 3, *size)


def test_evaluation_and_training_agree_on_the_class_logits():
    torch.manual_seed(0)
    network = FusionGenerator(3, 4, width=4, norm="group")
    image = torch.randn(1, 3, 40, 56)
    torch.testing.assert_close(network.eval()(image), network.train()(image).logits)


def test_fusion_is_the_mean_of_the_last_features():
    torch.manual_seed(0)
    network = FusionGenerator(3, 4, width=4).eval()
    image = torch.randn(1, 3, 32, 32)
    parts = [network.all_classes, network.branches["artery"], network.branches["vein"]]
    mean = torch.stack([part.features(image) for part in parts]).mean(dim=0)
    torch.testing.assert_close(network(image), network.classify(mean))


def test_the_final_map_alone_teaches_every_branch():
    network = FusionGenerator(3, 4, width=4)
    network(torch.randn(2, 3, 32, 32)).logits.square().mean().backward()
    for part in (network.all_classes, *network.branches.values()):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.body.encoder[0].parameters())


def test_backward_reaches_every_parameter():
    torch.manual_seed(0)
    network = FusionGenerator(3, 4, width=4)
    answer = network(torch.randn(2, 3, 48, 48))
    maps = [answer.logits, *answer.sides]
    for branch in answer.branches.values():
        maps += [branch.logits, *branch.sides]
    sum(part.square().mean() for part in maps).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_branches_have_the_names_they_are_given():
    answer = FusionGenerator(3, 3, width=2, branches=["nerve"])(torch.randn(2, 3, 32, 32))
    assert list(answer.branches) == ["nerve"]


def test_a_branch_without_head_gives_no_map_of_its_own():
    answer = BranchUNet(3, 2, width=4, head=False)(torch.randn(2, 3, 32, 32))
    assert answer.logits is None
    assert answer.features.shape == (2, 4, 32, 32)


@pytest.mark.parametrize("size", ODD_SIZES)
def test_discriminator_judges_each_pixel_and_the_whole(size):
    realness = UNetDiscriminator(9, width=4)(torch.randn(2, 9, *size))
    assert realness.pixels.shape == (2, 1, *size)
    assert realness.whole.shape == (2, 1)


def test_discriminator_judges_each_sample_by_itself():
    torch.manual_seed(0)
    network = UNetDiscriminator(5, width=4)
    batch = torch.randn(3, 5, 32, 32)
    torch.testing.assert_close(network(batch).pixels[:1], network(batch[:1]).pixels)
    torch.testing.assert_close(network(batch).whole[:1], network(batch[:1]).whole)


def test_backward_reaches_every_parameter_of_the_discriminator():
    network = UNetDiscriminator(5, width=4)
    realness = network(torch.randn(2, 5, 32, 32))
    (realness.pixels.square().mean() + realness.whole.square().mean()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_loaded_weights_give_the_same_answer():
    torch.manual_seed(0)
    network = build_network("fusion-av", 3, 4, width=4)
    network(torch.randn(2, 3, 32, 32))  # moves the running statistics, which must be saved too
    other = build_network("fusion-av", 3, 4, width=4)
    other.load_state_dict(load(save(dict(network.state_dict()))))
    image = torch.randn(1, 3, 45, 38)
    assert torch.equal(network.eval()(image), other.eval()(image))
