"""A fine-tuning on other channels takes each channel's weights by its name."""

import pytest
import torch

from gracile.bundle import Bundle
from gracile.learning.channels import moves_of
from gracile.learning.learners import build_learner
from gracile.learning.transfer import Transfer, begin_from
from gracile.recipe import InputSpec, Recipe, TransferSpec
from tests.two_channels import recipe_of


def of(kind: str, *names: str, network: str = "") -> Recipe:
    more = []
    if network == "slices":
        more = ["stages.segment.slices=3", "stages.segment.network={name: light-unet, options: {width: 16}}"]
    elif network:
        more = [f"stages.segment.network={{name: '{network}'}}"]
    return recipe_of(kind, *more, channels=len(names), names=names)


def stage_of(recipe: Recipe, seed: int):
    torch.manual_seed(seed)
    return build_learner(recipe.stages[0], recipe).eval()


def carried(there: Recipe, here: Recipe):
    before, after = stage_of(there, 1), stage_of(here, 2)
    bundle = Bundle(recipe=there, weights={"segment": dict(before.bundle_state())}, card={})
    return before, after, begin_from(after, here, bundle, TransferSpec())


def image(recipe: Recipe, channels: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([channels[name] for name in recipe.input.channel_names])[None]


def said(transfer: Transfer) -> set[tuple[str, str]]:
    return {(r.reason, r.detail) for r in (*transfer.left_out, *transfer.adapted, *transfer.unused)}


NETWORKS = [
    ("volume", ""),
    ("volume", "slices"),
    ("image", ""),
    ("image", "refining-unet"),
    ("image", "smp:Unet:resnet18"),
]


@pytest.mark.parametrize(("kind", "network"), NETWORKS)
@pytest.mark.parametrize("names", [("t1", "t2"), ("t2", "t1"), ("flair", "T1", "t2")])
def test_a_model_of_one_channel_answers_as_before_until_it_learns_what_the_new_ones_add(kind, network, names):
    there, here = of(kind, "t1", network=network), of(kind, *names, network=network)
    before, after, transfer = carried(there, here)
    size = (16, 16, 8) if kind == "volume" else (64, 64)
    channels = {name: torch.randn(size) for name in ("flair", "t1", "T1", "t2")}
    channels["T1"] = channels["t1"]
    with torch.inference_mode():
        expected, answer = before.logits(image(there, channels)), after.logits(image(here, channels))
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
    assert transfer.carried == transfer.layers
    new = [here.input.channel(number) for number, name in enumerate(names) if name.casefold() != "t1"]
    assert ("new channel", ", ".join(new)) in said(transfer)
    assert transfer.fresh, "layers of a new channel learn, whatever is frozen"


@pytest.mark.parametrize(("kind", "network"), NETWORKS)
def test_reordered_channels_are_reordered(kind, network):
    there, here = of(kind, "t1", "t2", network=network), of(kind, "t2", "t1", network=network)
    before, after, transfer = carried(there, here)
    size = (16, 16, 8) if kind == "volume" else (64, 64)
    channels = {name: torch.randn(size) for name in ("t1", "t2")}
    with torch.inference_mode():
        expected, answer = before.logits(image(there, channels)), after.logits(image(here, channels))
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
    assert said(transfer) == {("channels go by name", "t2, t1")}


def test_a_channel_that_is_gone_is_said():
    _, _, transfer = carried(of("volume", "t1", "t2"), of("volume", "t2"))
    assert ("channel that is not here", "channel 1 (t1)") in said(transfer)


@pytest.mark.parametrize(
    ("there", "here", "sources"),
    [
        ({"channels": 2}, {"channels": 4}, (0, 1, None, None)),
        ({"channels": 4}, {"channels": 2}, (0, 1)),
        ({"channels": 1, "kind": "volume"}, {"channels": 2, "kind": "volume"}, (0, None)),
        ({"channels": 2, "channel_names": ["a", "b"]}, {"channels": 2}, (0, 1)),
        ({"channels": 2, "channel_names": ["a", "b"]}, {"channels": 2, "channel_names": ["c", "d"]}, (0, 1)),
        ({"channels": 1}, {"channels": 3}, ()),
        ({"channels": 3}, {"channels": 1}, ()),
    ],
)
def test_without_common_names_channels_go_by_number_and_gray_and_color_share(there, here, sources):
    assert moves_of(InputSpec(**there), InputSpec(**here)).sources == sources


def test_strange_names_are_told_though_they_go_by_number():
    there, here = (InputSpec(channels=2, channel_names=names) for names in (["a", "b"], ["c", "d"]))
    assert [remark[1] for remark in moves_of(there, here).remarks] == [
        "no channel has its name here: they go by number"
    ]
