"""The fuse stage: its losses by hand, its probabilities, its samples and what a bundle stores of it."""

import math

import numpy as np
import pytest
import torch

from gracile.errors import BundleError, RecipeError
from gracile.learning.learners import build_learner
from gracile.learning.learners.fuse import map_losses, realness_loss, shrunk_truth
from gracile.networks.fusion import BranchAnswer, FusionAnswer, Realness
from gracile.recipe import read_recipe
from gracile.samples.frames import WholeImageSamples
from gracile.stages import Finding
from gracile.stages.fuse import NETWORK_SIZE
from gracile.transforms import Placement, Prepared
from gracile.transforms.frames import Frame

TINY = [
    "stages.vessels.network.options.width=4",
    "stages.vessels.discriminator.options.width=4",
    "stages.vessels.size=[64, 64]",
]


def fuse_stage(*settings: str):
    torch.manual_seed(0)
    recipe = read_recipe("retina-av-fusion", [*TINY, *settings])
    return build_learner(recipe.stages[0], recipe)


def prepared_case(height: int = 60, width: int = 64, seed: int = 0) -> Prepared:
    random = np.random.default_rng(seed)
    classes = random.integers(0, 4, (height, width))
    region = np.ones((height, width), dtype=bool)
    region[:, :3] = False
    return Prepared(
        image=random.normal(size=(3, height, width)).astype(np.float32) * region,
        region=region,
        placement=Placement((height, width), (0, 0, height, width), (height, width)),
        truth=np.stack([classes == c for c in range(4)]).astype(np.float32),
    )


def zero_answer(size: int = 16) -> FusionAnswer:
    def maps(channels: int) -> list[torch.Tensor]:
        return [torch.zeros(1, channels, size // f, size // f) for f in (1, 2, 4, 8)]

    branches = {}
    for name in ("artery", "vein"):
        own = maps(1)
        branches[name] = BranchAnswer(torch.zeros(1, 4, size, size), own[0], own[1:])
    whole = maps(4)
    return FusionAnswer(whole[0], whole[1:], branches)


def background_batch(size: int = 16) -> dict[str, torch.Tensor]:
    truth = torch.zeros(1, 4, size, size)
    truth[:, 0] = 1.0
    return {"image": torch.zeros(1, 3, size, size), "truth": truth, "region": torch.ones(1, 1, size, size)}


class Undecided(torch.nn.Module):
    def forward(self, pair):
        return Realness(torch.zeros_like(pair[:, :1]), torch.zeros(len(pair), 1))


@pytest.mark.parametrize(
    ("activation", "entropy_all", "error_all"),
    [
        # Four equal classes: entropy log 4, squared error (0.75^2 + 3 * 0.25^2) / 4.
        ("softmax", math.log(4), 0.1875),
        # Each class by itself at one half: entropy log 2, squared error 0.25.
        ("sigmoid", math.log(2), 0.25),
    ],
)
def test_loss_terms_have_the_published_weights(activation, entropy_all, error_all):
    stage = fuse_stage(f"stages.vessels.activation={activation}")
    stage.discriminator = Undecided()
    terms = stage.generator_losses(zero_answer(), background_batch())
    heads = 1 + 1 / 2 + 1 / 4 + 1 / 8
    assert terms["adversarial"].item() == pytest.approx(0.08 * math.log(2))
    assert terms["cross-entropy"].item() == pytest.approx(1.1 * heads * (entropy_all + 2 * math.log(2)), rel=1e-5)
    assert terms["mse"].item() == pytest.approx(0.5 * heads * (error_all + 2 * 0.25), rel=1e-5)
    assert stage.discriminator_loss(zero_answer(), background_batch()).item() == pytest.approx(math.log(2))


def test_one_side_weight_changes_only_its_share():
    with_sides = fuse_stage("stages.vessels.side_weights=[0, 0, 2]")
    without = fuse_stage("stages.vessels.side_weights=[0, 0, 0]")
    difference = [
        stage.generator_losses(zero_answer(), background_batch())["cross-entropy"].item()
        for stage in (with_sides, without)
    ]
    assert difference[0] == pytest.approx(3 * difference[1], rel=1e-5)


def test_realness_is_judged_against_what_it_is():
    sure = Realness(torch.full((1, 1, 4, 4), 20.0), torch.full((1, 1), 20.0))
    region = torch.ones(1, 1, 4, 4)
    assert realness_loss(sure, 1.0, region).item() == pytest.approx(0.0, abs=1e-6)
    assert realness_loss(sure, 0.0, region).item() == pytest.approx(20.0, rel=1e-5)


def test_losses_do_not_see_pixels_outside_the_region():
    logits, truth = torch.randn(1, 4, 8, 8), torch.rand(1, 4, 8, 8)
    region = torch.ones(1, 1, 8, 8)
    region[..., :4] = 0
    changed = torch.where(region > 0, logits, torch.randn(1, 4, 8, 8))
    for exclusive in (True, False):
        before, after = map_losses(logits, truth, region, exclusive), map_losses(changed, truth, region, exclusive)
        torch.testing.assert_close(before, after)


def test_shrunk_truth_holds_the_shares_inside_the_region():
    truth = torch.tensor([[[[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]]])
    region = torch.tensor([[[[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]]])
    shares, weights = shrunk_truth(truth, region, 2)
    torch.testing.assert_close(shares[0, 0], torch.tensor([[2 / 3, 1.0], [0.5, 0.0]]))
    torch.testing.assert_close(weights[0, 0], torch.tensor([[0.75, 1.0], [1.0, 0.0]]))


def test_a_crossing_belongs_to_both_branches():
    stage = fuse_stage()
    truth = torch.eye(4).reshape(1, 4, 2, 2)  # one pixel of each class
    assert stage.branch_truth(truth, "artery").flatten().tolist() == [0, 1, 0, 1]
    assert stage.branch_truth(truth, "vein").flatten().tolist() == [0, 0, 1, 1]


def test_the_discriminator_leaves_the_generators_alone_in_its_own_loss():
    stage = fuse_stage()
    batch = {k: v[None] for k, v in stage.samples([prepared_case()], seed=0)[0].items()}
    batch = {k: torch.cat((v, v)) for k, v in batch.items()}
    stage.discriminator_loss(stage.network(batch["image"]), batch).backward()
    assert all(p.grad is None for p in stage.network.parameters())
    assert all(p.grad is not None for p in stage.discriminator.parameters())


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_sum_to_one_with_either_activation(activation):
    stage = fuse_stage(f"stages.vessels.activation={activation}", "stages.vessels.flips=true").eval()
    case = prepared_case(60, 51)
    finding = stage.applied().find(case, Finding())
    assert finding.probabilities.shape == (4, 60, 51)
    np.testing.assert_allclose(finding.probabilities.sum(axis=0), 1.0, atol=1e-5)
    assert finding.extras == {}
    assert stage.applied().decide(finding.probabilities).shape == (60, 51)


def test_sigmoid_probabilities_are_scaled_not_exponentiated():
    stage = fuse_stage("stages.vessels.activation=sigmoid").eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        each = stage.network(image).sigmoid()
        torch.testing.assert_close(stage.logits(image).softmax(dim=1), each / each.sum(dim=1, keepdim=True))


def test_the_map_at_network_size_is_kept_when_asked_for():
    stage = fuse_stage("stages.vessels.keep_network_size=true").eval()
    finding = stage.applied().find(prepared_case(60, 51), Finding())
    kept = finding.extras[NETWORK_SIZE]
    assert kept.shape == (4, 64, 64)
    np.testing.assert_array_equal(kept[:, 2:62, 6:57], finding.probabilities)


@pytest.mark.parametrize("shape", [(64, 64), (60, 51), (7, 64), (128, 100), (65, 30)])
def test_a_frame_gives_back_what_was_placed(shape):
    frame = Frame.around(shape, (64, 64))
    rows, columns = np.meshgrid(np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1]), indexing="ij")
    maps = np.stack([rows, columns])[None].astype(np.float32)
    placed = frame.place(maps)
    assert placed.shape == (1, 2, 64, 64)
    back = frame.restore(placed)
    assert back.shape == maps.shape
    exact = shape[0] <= 64 and shape[1] <= 64
    assert np.array_equal(back, maps) if exact else np.abs(back - maps).max() < 0.05


@pytest.mark.parametrize("shape", [(64, 64), (60, 51), (128, 100)])
def test_an_unvaried_sample_is_the_picture_as_it_is_predicted(shape):
    case = prepared_case(*shape)
    stage = fuse_stage("stages.vessels.augment.rotation=0", "stages.vessels.augment.flip=false")
    sample = stage.samples([case], seed=3)[0]
    frame = Frame.around(shape, (64, 64))
    inside = sample["region"][0].numpy() > 0
    image, truth = frame.place(case.image), frame.place(case.truth)
    np.testing.assert_allclose(sample["image"][:, inside], image[:, inside], atol=1e-4)
    np.testing.assert_allclose(sample["truth"][:, inside], truth[:, inside], atol=1e-4)
    assert inside.sum() > 0.9 * frame.inner[0] * frame.inner[1]


def test_samples_depend_on_seed_and_index_alone():
    cases = [prepared_case(seed=0), prepared_case(seed=1)]
    augment = fuse_stage().spec.augment
    samples = WholeImageSamples(cases, (64, 64), augment, seed=5)
    assert len(samples) == 2
    samples[0]
    again = WholeImageSamples(cases, (64, 64), augment, seed=5)
    assert torch.equal(samples[3]["image"], again[3]["image"])
    assert not torch.equal(samples[3]["image"], samples[1]["image"])
    assert not torch.equal(samples[3]["image"], WholeImageSamples(cases, (64, 64), augment, seed=6)[3]["image"])


def test_a_bundle_stores_no_discriminator_and_gives_the_same_answer():
    stage = fuse_stage().eval()
    weights = {k: v.clone() for k, v in stage.bundle_state().items()}
    assert weights
    assert not any(k.startswith("discriminator") for k in weights)
    torch.manual_seed(1)
    recipe = read_recipe("retina-av-fusion", TINY)
    other = build_learner(recipe.stages[0], recipe).eval()
    other.load_bundle_state(weights)
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(stage.logits(image), other.logits(image))


def test_weights_of_another_width_are_refused():
    other = fuse_stage("stages.vessels.network.options.width=2")
    with pytest.raises(BundleError, match="do not fit"):
        fuse_stage().load_bundle_state(other.bundle_state())


def test_a_branch_of_an_unknown_class_is_refused():
    with pytest.raises(RecipeError, match="capillary"):
        fuse_stage("stages.vessels.branches.vein=[vein, capillary]")


def test_another_network_without_branches_is_refused():
    with pytest.raises(RecipeError, match="refining-unet"):
        fuse_stage("stages.vessels.network.name=refining-unet")
