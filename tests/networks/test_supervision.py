"""Coarser answers while a network trains: their sizes, what they are compared with, and that nothing of them stays."""

import pytest
import torch

from gracile.errors import RecipeError
from gracile.learning.learners import build_learner
from gracile.learning.learners.segment import pooled_truth, weighted_losses
from gracile.networks.zoo import build_network
from gracile.recipe import LossSpec, read_recipe

NETWORKS = {
    "light-unet": ({"width": 16}, (70, 45), [(3, 2), (5, 3), (9, 6), (70, 45)]),
    "refining-unet": ({"widths": [4, 6, 8, 8], "steps": 1}, (70, 45), [(5, 3), (9, 6), (18, 12), (70, 45)]),
    "light-unet-3d": ({"width": 4}, (21, 10, 7), [(3, 2, 2), (6, 3, 4), (21, 10, 7)]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_coarser_answers_come_first_and_only_while_it_trains(name):
    options, size, sizes = NETWORKS[name]
    network = build_network(name, 1, 3, **options, supervised=len(sizes) - 1)
    images = torch.zeros(2, 1, *size)
    answers = network.train()(images)
    assert [tuple(answer.shape) for answer in answers] == [(2, 3, *shape) for shape in sizes]
    assert network.eval()(images).shape == (2, 3, *size)


@pytest.mark.parametrize("name", NETWORKS)
def test_supervision_changes_nothing_in_use(name):
    options, size, _ = NETWORKS[name]
    torch.manual_seed(0)
    plain = build_network(name, 1, 3, **options).eval()
    other = build_network(name, 1, 3, **options, supervised=1).eval()
    other.load_state_dict(plain.state_dict(), strict=False)
    images = torch.randn(2, 1, *size)
    assert torch.equal(plain(images), other(images))


@pytest.mark.parametrize("name", NETWORKS)
def test_more_resolutions_than_there_are_is_refused(name):
    options, _, sizes = NETWORKS[name]
    with pytest.raises(RecipeError, match=f"`supervised` is from 0 to {len(sizes) - 1}"):
        build_network(name, 1, 3, **options, supervised=len(sizes))


def test_a_refining_network_s_earlier_steps_stay_behind_the_coarser_answers():
    network = build_network("refining-unet", 1, 2, widths=[4, 6, 8], steps=2, supervised=1).train()
    assert [tuple(answer.shape[2:]) for answer in network(torch.zeros(2, 1, 32, 32))] == [(8, 8), (32, 32), (32, 32)]


class Taken(torch.nn.Module):
    """Keeps what it is called with, and costs 1."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, logits, truth, region):
        self.seen.append((truth, region))
        return logits.new_ones(())


def test_coarser_answers_count_half_for_each_step_down_and_earlier_ones_half():
    truth = torch.rand(1, 2, 16, 16)
    batch = {"truth": truth, "region": torch.ones(1, 1, 16, 16)}
    answers = [torch.zeros(1, 2, side, side) for side in (2, 4, 8, 16, 16)]
    for count, wanted in ((1, 1.0), (2, 1.5), (3, 2.0), (5, 2.375)):
        total = weighted_losses(answers[-count:], batch, [(LossSpec(name="dice", weight=2), Taken())])["dice"]
        assert float(total) == pytest.approx(2 * wanted)


def test_the_truth_of_a_coarser_answer_is_the_mean_of_what_counts():
    truth, region = torch.zeros(1, 2, 5, 4), torch.ones(1, 1, 5, 4)
    truth[:, 1, :2, :2], truth[:, 1, 4, :2] = 1, 1
    truth[:, 0] = 1 - truth[:, 1]
    region[..., 0, :] = 0
    pooled, share = pooled_truth(truth, region, (2, 1))
    # The first sample stands for 16 pixels, 12 of them in the region, 2 of these foreground; the second for 4, 2 of it.
    torch.testing.assert_close(pooled[0, 1, :, 0], torch.tensor([2 / 12, 2 / 4]))
    torch.testing.assert_close(share[0, 0, :, 0], torch.tensor([12 / 16, 1.0]))
    assert pooled_truth(truth, region, (5, 4))[0] is truth


def test_steps_may_differ_by_axis_and_odd_ones_are_refused():
    truth, region = torch.rand(1, 2, 12, 8, 3), torch.ones(1, 1, 12, 8, 3)
    pooled, _ = pooled_truth(truth, region, (3, 4, 3))
    assert pooled.shape == (1, 2, 3, 4, 3)
    torch.testing.assert_close(pooled[0, 0, 0, 0, 0], truth[0, 0, :4, :2, 0].mean())
    with pytest.raises(ValueError, match="by no power of two"):
        pooled_truth(truth, region, (4, 8, 3))


SUPERVISED = "{width: 16, supervised: 2}"
RECIPES = {
    "pictures": ("structure-2d", [f"stages.segment.network={{name: light-unet, options: {SUPERVISED}}}"]),
    "volumes": ("spinal-cord", ["stages.cord.network.options={width: 4, supervised: 1}"]),
    "slices": (
        "spinal-cord",
        ["stages.cord.slices=3", f"stages.cord.network={{name: light-unet, options: {SUPERVISED}}}"],
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_bundle_keeps_nothing_of_it_and_is_read_back(name):
    recipe = read_recipe(*RECIPES[name])
    spec = recipe.stages[-1]
    learner = build_learner(spec, recipe)
    size = (40, 40) if name == "pictures" else (16, 16, 8)
    channels = recipe.input.channels
    classes = len(recipe.classes)
    batch = {
        "image": torch.randn(2, channels, *size),
        "truth": torch.rand(2, classes, *size).softmax(dim=1),
        "region": torch.ones(2, 1, *size),
    }
    sum(learner.train().losses(batch).values()).backward()
    heads = [parameter for key, parameter in learner.named_parameters() if "coarse" in key]
    assert len(heads) > 1
    assert all(head.grad is not None and head.grad.abs().sum() > 0 for head in heads)
    stored = learner.bundle_state()
    assert len(stored) == len(learner.state_dict()) - len(heads)
    assert not any("coarse" in key for key in stored)
    again = build_learner(spec, recipe)
    again.load_bundle_state({key: value.numpy() for key, value in stored.items()})
    assert torch.equal(again.eval().logits(batch["image"]), learner.eval().logits(batch["image"]))
