"""The losses by hand: known values, blind outside the region, near zero for a perfect answer, finite gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from gracile.errors import RecipeError
from gracile.losses import OfRegions, build_loss, joined
from gracile.names import LOSSES

TREES = {"artery": (1, 3), "vein": (2, 3)}


def one_hot(*rows: list[int]) -> torch.Tensor:
    """Class indices by row to ``(1, 4, height, width)`` shares."""
    return torch.nn.functional.one_hot(torch.tensor(rows), 4).permute(2, 0, 1)[None].float()


def sure(truth: torch.Tensor) -> torch.Tensor:
    """Logits that are certain of a truth."""
    return 40.0 * truth - 20.0


def everywhere(truth: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(truth[:, :1])


def value(
    name: str, logits: torch.Tensor, truth: torch.Tensor, region: torch.Tensor | None = None, **options: Any
) -> float:
    region = everywhere(truth) if region is None else region
    return build_loss(name, TREES, **options)(logits, truth, region).item()


def random_truth(*size: int) -> torch.Tensor:
    """Two of soft shares that sum to one, pictures of 16 by 16 unless another size is given."""
    shape = size or (16, 16)
    return torch.rand(2, 4, *shape, generator=torch.Generator().manual_seed(0)).pow(4).softmax(dim=1)


def random_logits(seed: int, *size: int) -> torch.Tensor:
    return torch.randn(2, 4, *(size or (16, 16)), generator=torch.Generator().manual_seed(seed))


SIZES = [(16, 16), (9, 8, 11)]
"""Of pictures and of volumes."""


def skeleton_by_scipy(shares: np.ndarray, iterations: int) -> np.ndarray:
    """The paper's soft skeleton: erosion by the nearest neighbors along the axes, dilation by all neighbors."""
    cross = ndimage.generate_binary_structure(shares.ndim, 1)
    cube = np.ones((3,) * shares.ndim)

    def lost(image: np.ndarray) -> np.ndarray:
        # Beyond the border nothing counts, neither for the smallest nor for the largest.
        eroded = ndimage.grey_erosion(image, footprint=cross, mode="constant", cval=np.inf)
        opened = ndimage.grey_dilation(eroded, footprint=cube, mode="constant", cval=-np.inf)
        return np.maximum(image - opened, 0)

    skeleton = lost(shares)
    for _ in range(iterations):
        shares = ndimage.grey_erosion(shares, footprint=cross, mode="constant", cval=np.inf)
        rest = lost(shares)
        skeleton = skeleton + np.maximum(rest - skeleton * rest, 0)
    return skeleton


VESSELS = one_hot(*[[0, 1, 1, 0, 2, 2, 0, 3] for _ in range(12)])


def test_every_listed_loss_can_be_built_and_the_reverse():
    assert all(entry.load().__module__.startswith("gracile.losses.") for entry in LOSSES.values())


def test_cross_entropy_of_an_undecided_answer_is_the_logarithm_of_the_classes():
    assert value("cross-entropy", torch.zeros(1, 4, 1, 2), one_hot([0, 3])) == pytest.approx(math.log(4))


def test_cross_entropy_by_hand_with_soft_shares_and_class_weights():
    truth = torch.tensor([0.5, 0.5, 0.0, 0.0]).view(1, 4, 1, 1)
    probabilities = torch.tensor([0.7, 0.1, 0.1, 0.1]).view(1, 4, 1, 1)
    expected = -0.5 * math.log(0.7) - 0.5 * math.log(0.1)
    assert value("cross-entropy", probabilities.log(), truth) == pytest.approx(expected, rel=1e-5)
    weighted = value("cross-entropy", probabilities.log(), truth, class_weights=[1.0, 3.0, 1.0, 1.0])
    assert weighted == pytest.approx(-0.5 * math.log(0.7) - 1.5 * math.log(0.1), rel=1e-5)


def test_dice_by_hand():
    # Two pixels, both artery; the answer is sure of artery in one and of vein in the other.
    truth, logits = one_hot([1, 1]), sure(one_hot([1, 2]))
    artery, vein, crossing = (2 * 1 + 1) / (3 + 1), 1 / (1 + 1), 1.0
    assert value("dice", logits, truth) == pytest.approx(1 - (artery + vein + crossing) / 3, rel=1e-4)


def test_dice_does_not_count_the_background():
    truth = one_hot([0] * 1000 + [1])
    assert value("dice", sure(one_hot([0] * 1001)), truth) == pytest.approx(1 - (0.5 + 1 + 1) / 3, rel=1e-4)


def test_a_crossing_counts_in_both_trees_and_once_in_the_foreground():
    shares = joined(one_hot([0, 1, 2, 3]), TREES)[0, :, 0]
    assert shares.tolist() == [[0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1]]


def test_tree_loss_by_hand():
    # One pixel that is a crossing, answered undecided: each tree at 1/2, the foreground at 3/4.
    truth, logits = one_hot([3]), torch.zeros(1, 4, 1, 1)
    entropy = -(2 * math.log(0.5) + math.log(0.75)) / 3
    dice = 1 - (2 * (2 * 0.5 + 1) / (1.5 + 1) + (2 * 0.75 + 1) / (1.75 + 1)) / 3
    assert value("tree", logits, truth, entropy=1.0, dice=0.0) == pytest.approx(entropy, rel=1e-4)
    assert value("tree", logits, truth, entropy=0.0, dice=1.0) == pytest.approx(dice, rel=1e-4)
    assert value("tree", logits, truth) == pytest.approx(entropy + 0.5 * dice, rel=1e-4)


def test_tree_loss_forgives_an_artery_in_place_of_a_crossing_more_than_background():
    truth = one_hot([3, 3])
    nearly, wrong = (value("tree", sure(one_hot([answer, 3])), truth) for answer in (1, 0))
    assert nearly < wrong


def test_centerline_dice_sees_a_gap_that_dice_hardly_sees():
    truth = torch.zeros(1, 4, 21, 40)
    truth[:, 1, 8:13] = 1
    truth[:, 0] = 1 - truth[:, 1]
    broken, thinner = truth.clone(), truth.clone()
    broken[:, 1, :, 18:24], thinner[:, 1, 8], thinner[:, 1, 12] = 0, 0, 0
    for part in (broken, thinner):
        part[:, 0] = 1 - part[:, 1]
    lines, areas = ({"gap": value(name, sure(broken), truth), "thin": value(name, sure(thinner), truth)}
                    for name in ("cldice", "dice"))  # fmt: skip
    assert lines["gap"] > lines["thin"]
    assert areas["gap"] < areas["thin"]


@pytest.mark.parametrize("size", SIZES)
def test_centerline_dice_is_the_published_one(size):
    logits, truth = random_logits(4, *size), random_truth(*size)
    p, t = (part[:, 1].double().numpy() for part in (logits.softmax(dim=1), truth))
    found, true = (np.stack([skeleton_by_scipy(one, 3) for one in part]) for part in (p, t))
    precision = ((found * t).sum() + 1) / (found.sum() + 1)
    sensitivity = ((true * p).sum() + 1) / (true.sum() + 1)
    loss = build_loss("cldice", {"first": (1,)}, iterations=3)(logits, truth, everywhere(truth))
    assert loss.item() == pytest.approx(1 - 2 * precision * sensitivity / (precision + sensitivity), rel=1e-5)


def test_centerline_dice_sees_a_gap_in_a_tube_that_dice_hardly_sees():
    truth = torch.zeros(1, 4, 11, 11, 30)
    truth[:, 1, 3:8, 3:8] = 1
    broken, thinner = truth.clone(), truth.clone()
    broken[:, 1, ..., 13:18], thinner[:, 1, 3], thinner[:, 1, :, 7] = 0, 0, 0
    for part in (truth, broken, thinner):
        part[:, 0] = 1 - part[:, 1]
    lines, shares = ({"gap": value(name, sure(broken), truth), "thin": value(name, sure(thinner), truth)}
                     for name in ("cldice", "dice"))  # fmt: skip
    assert lines["gap"] > lines["thin"]
    assert shares["gap"] < shares["thin"]


@pytest.mark.parametrize("name", LOSSES)
def test_a_volume_of_one_slice_costs_what_its_picture_does(name):
    logits, truth = random_logits(5), random_truth()
    region = (torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(6)) > 0.3).float()
    flat = value(name, logits, truth, region)
    for axis in (2, 3, 4):
        volume = value(name, *(part.unsqueeze(axis) for part in (logits, truth, region)))
        assert volume == pytest.approx(flat, rel=1e-5)


def test_binary_entropy_and_dice_by_hand():
    # One pixel that is a crossing, answered undecided: each tree at 1/2.
    truth, logits = one_hot([3]), torch.zeros(1, 4, 1, 1)
    entropy, dice = math.log(2), 1 - (2 * 0.5 + 1) / (1.5 + 1)
    assert value("bce-dice", logits, truth, dice=0.0) == pytest.approx(entropy, rel=1e-5)
    assert value("bce-dice", logits, truth, entropy=0.0) == pytest.approx(dice, rel=1e-5)
    assert value("bce-dice", logits, truth) == pytest.approx(entropy + dice, rel=1e-5)


def test_binary_entropy_of_an_answer_that_is_sure_and_wrong_can_still_be_mended():
    logits = sure(one_hot([0])).requires_grad_()
    truth = one_hot([1])
    build_loss("bce-dice", TREES, dice=0.0)(logits, truth, everywhere(truth)).backward()
    assert logits.grad[0, 1, 0, 0] == pytest.approx(-0.25, rel=1e-3)  # half of one of two structures


def test_focal_by_hand_and_without_focus_cross_entropy():
    truth = torch.tensor([0.5, 0.5, 0.0, 0.0]).view(1, 4, 1, 1)
    logits = torch.tensor([0.7, 0.1, 0.1, 0.1]).view(1, 4, 1, 1).log()
    easy, hard = -0.5 * math.log(0.7) * 0.3**2, -0.5 * math.log(0.1) * 0.9**2
    assert value("focal", logits, truth) == pytest.approx(easy + hard, rel=1e-4)
    assert value("focal", logits, truth, class_weights=[1, 3, 1, 1]) == pytest.approx(easy + 3 * hard, rel=1e-4)
    assert value("focal", logits, truth, gamma=0.0) == pytest.approx(value("cross-entropy", logits, truth), rel=1e-6)


def test_tversky_by_hand_and_half_and_half_is_dice():
    # Four pixels of artery: two found, two called vein; there is no vein, so that it has false positives alone.
    truth, logits = one_hot([1, 1, 1, 1]), sure(one_hot([1, 1, 2, 2]))
    artery, vein = 1 - 2.5 / (2 + 0.7 * 2 + 0.5), 1 - 0.5 / (0.3 * 2 + 0.5)
    assert value("tversky", logits, truth) == pytest.approx((artery + vein) / 2, rel=1e-4)
    other = build_loss("dice", TREES)
    classes = {name: (index,) for index, name in enumerate("abc", start=1)}
    soft = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    halves = build_loss("tversky", classes, false_negatives=0.5, false_positives=0.5)
    shares = random_truth()
    torch.testing.assert_close(halves(soft, shares, everywhere(shares)), other(soft, shares, everywhere(shares)))


@pytest.mark.parametrize("name", ["tversky", "focal-tversky"])
def test_what_was_missed_costs_more_than_what_was_too_much(name):
    truth = one_hot([0, 0, 1, 1])
    missed, extra = (value(name, sure(one_hot(row)), truth) for row in ([0, 0, 0, 1], [0, 1, 1, 1]))
    assert missed > 1.3 * extra
    turned = {"false_negatives": 0.3, "false_positives": 0.7}
    assert value(name, sure(one_hot([0, 0, 0, 1])), truth, **turned) < missed


def test_focal_tversky_takes_the_root_that_its_gamma_says():
    truth, logits = one_hot([1, 1, 1, 1]), sure(one_hot([1, 1, 2, 2]))
    artery, vein = 1 - 2.5 / (2 + 0.7 * 2 + 0.5), 1 - 0.5 / (0.3 * 2 + 0.5)
    assert value("focal-tversky", logits, truth) == pytest.approx((artery**0.75 + vein**0.75) / 2, rel=1e-4)
    assert value("focal-tversky", logits, truth, gamma=1.0) == pytest.approx(value("tversky", logits, truth), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_structure_that_is_neither_there_nor_found_costs_nothing(name):
    truth = one_hot(*[[0, 0, 1, 1, 1, 0, 0, 0] for _ in range(8)])
    logits = sure(truth).requires_grad_()
    loss = build_loss(name, TREES)(logits, truth, everywhere(truth))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ["bce-dice", "focal", "tversky", "focal-tversky"])
def test_two_blobs_are_learned(name):
    truth = torch.zeros(1, 4, 24, 24)
    truth[:, 1, 3:9, 4:10], truth[:, 2, 14:20, 12:19] = 1, 1
    truth[:, 0] = 1 - truth.sum(dim=1)
    generator = torch.Generator().manual_seed(0)
    image = truth[:, 1:2] - truth[:, 2:3] + 0.2 * torch.randn(1, 1, 24, 24, generator=generator)
    weights = (0.3 * torch.randn(4, 1, 3, 3, generator=generator)).requires_grad_()
    biases = torch.zeros(4, requires_grad=True)
    optimizer, loss = torch.optim.Adam([weights, biases], lr=0.1), build_loss(name, TREES)
    course = []
    for _ in range(60):
        logits = torch.nn.functional.conv2d(image, weights, biases, padding=1)
        course.append(loss(logits, truth, everywhere(truth)))
        optimizer.zero_grad()
        course[-1].backward()
        optimizer.step()
    assert course[-1] < 0.5 * course[0]
    assert (logits.argmax(dim=1) == truth.argmax(dim=1)).float().mean() > 0.95


@pytest.mark.parametrize(("name", "gamma"), [("focal", -1.0), ("focal-tversky", 0.0)])
def test_a_gamma_that_makes_no_sense_is_refused(name, gamma):
    with pytest.raises(RecipeError, match="gamma"):
        build_loss(name, TREES, gamma=gamma)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_answer_costs_nearly_nothing_and_a_wrong_one_much(name):
    for truth in (VESSELS, VESSELS.unsqueeze(2).repeat(1, 1, 7, 1, 1)):
        assert value(name, sure(truth), truth) == pytest.approx(0, abs=1e-3)
        assert value(name, sure(truth.flip(-1)), truth) > 0.3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LOSSES)
def test_what_lies_outside_the_region_is_ignored(name, size):
    truth, logits = random_truth(*size), random_logits(1, *size)
    region = torch.ones(2, 1, *size)
    region[..., :6] = 0
    other = torch.where(region > 0, logits, 7.0 - 5.0 * logits)
    other_truth = torch.where(region > 0, truth, truth.flip(1))
    assert value(name, other, other_truth, region) == pytest.approx(value(name, logits, truth, region), rel=1e-5)
    assert value(name, other, truth) != pytest.approx(value(name, logits, truth), rel=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_region_gives_a_finite_loss(name, size):
    truth = random_truth(*size)
    assert math.isfinite(value(name, torch.zeros_like(truth), truth, torch.zeros(2, 1, *size)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 50.0, 1e4])
def test_gradients_are_finite_for_logits_of_half_precision(name, scale, size):
    logits = (scale * random_logits(2, *size)).bfloat16().requires_grad_()
    truth = random_truth(*size)
    loss = build_loss(name, TREES)(logits.float(), truth, everywhere(truth))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert scale > 1 or logits.grad.abs().max() > 0


def test_an_unknown_loss_or_option_is_refused_by_name():
    with pytest.raises(RecipeError, match="dice"):
        build_loss("dyce", TREES)
    with pytest.raises(RecipeError, match="sharpness"):
        build_loss("dice", TREES, sharpness=2)


def lines(*rows: int, height: int = 12, width: int = 20) -> torch.Tensor:
    """Lines of artery one pixel wide across a picture."""
    return one_hot(*[[int(row in rows)] * width for row in range(height)])


def test_centerline_dice_by_hand_of_a_line_too_much_and_of_one_too_few():
    # Of artery 20 pixels are found of 40, or 40 of which 20 are right; of vein there is nothing. One is added to each.
    half, whole = 21 / 41, 1.0
    expected = (1 - 2 * half * whole / (half + whole)) / 2
    assert value("cldice", sure(lines(3)), lines(3, 8)) == pytest.approx(expected, rel=1e-4)
    assert value("cldice", sure(lines(3, 8)), lines(3)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("iterations", "widest"), [(1, 3), (3, 7), (5, 11)])
def test_centerline_dice_finds_the_middle_of_vessels_twice_as_wide_as_its_iterations(iterations, widest):
    expected = (1 - 2 * (1 / 21) / (1 / 21 + 1)) / 2  # of the middle line's 20 pixels nothing is found
    truth = lines(*range(1, 1 + widest), height=widest + 2)
    answer = sure(lines(height=widest + 2))
    assert value("cldice", answer, truth, iterations=iterations) == pytest.approx(expected, rel=1e-3)
    wider = lines(*range(1, 3 + widest), height=widest + 4)
    assert value("cldice", sure(lines(height=widest + 4)), wider, iterations=iterations) == pytest.approx(0, abs=1e-3)


def test_centerline_dice_finds_the_middle_of_vessels_of_eleven_pixels_unless_told_otherwise():
    truth = lines(*range(1, 12), height=13)
    assert value("cldice", sure(lines(height=13)), truth) == pytest.approx(
        value("cldice", sure(lines(height=13)), truth, iterations=5)
    )
    assert value("cldice", sure(lines(height=13)), truth) > 0.4


# --- skeletons of the truth


def bar(width: int, length: int = 12) -> torch.Tensor:
    """``(1, 2, 24, 24)`` truth: a bar in the middle."""
    structure = torch.zeros(24, 24)
    structure[12 - width // 2 : 12 - width // 2 + width, 6 : 6 + length] = 1
    return torch.stack([1 - structure, structure])[None]


def skeleton_recall(found: torch.Tensor, truth: torch.Tensor, **options: Any) -> float:
    loss = build_loss("skeleton-recall", {"bar": (1,)}, **options)
    logits = 40.0 * torch.stack([1 - found, found], dim=1) - 20.0
    return loss(logits, truth, everywhere(truth)).item()


def test_the_skeleton_is_recalled_by_its_length_not_by_the_area():
    truth = bar(7)
    line = torch.zeros(1, 24, 24)
    line[:, 12, 6:18] = 1
    assert skeleton_recall(line, truth, tube=0) < 0.2
    half = line.clone()
    half[..., :12] = 0
    assert skeleton_recall(half, truth, tube=0) == pytest.approx(0.5, abs=0.12)
    assert skeleton_recall(torch.zeros(1, 24, 24), truth, tube=0) > 0.8


def test_a_tube_lies_within_the_structure_and_grows_with_its_option():
    truth = bar(7)
    thin = torch.zeros(1, 24, 24)
    thin[:, 12, 6:18] = 1
    costs = [skeleton_recall(thin, truth, tube=tube) for tube in (0, 1, 2)]
    assert costs[0] < costs[1] < costs[2]
    # Whatever the tube, a structure that is found costs nothing, and what is beside it does not matter.
    assert skeleton_recall(truth[:, 1], truth, tube=9) == pytest.approx(0.0, abs=1e-5)
    assert skeleton_recall(torch.ones(1, 24, 24), truth, tube=2) == pytest.approx(0.0, abs=1e-5)


def test_a_structure_that_the_batch_does_not_show_costs_and_teaches_nothing():
    truth = torch.zeros(1, 2, 16, 16)
    truth[:, 0] = 1
    logits = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    cost = build_loss("skeleton-recall", {"bar": (1,)})(logits, truth, everywhere(truth))
    cost.backward()
    assert cost.item() == pytest.approx(0.0, abs=1e-6)
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) == 0.0


def test_a_thin_line_weighs_as_much_as_the_tube_of_a_thick_bar():
    assert skeleton_recall(torch.zeros(1, 24, 24), bar(1)) == pytest.approx(12 / 13, abs=1e-5)


def test_a_skeleton_cannot_be_widened_by_less_than_nothing():
    with pytest.raises(RecipeError, match="cannot widen a skeleton by -1"):
        build_loss("skeleton-recall", TREES, tube=-1)


# --- classes that a batch does not show


@pytest.mark.parametrize("name", ["dice", "bce-dice"])
def test_a_class_that_the_batch_does_not_show_is_left_out_of_the_mean_where_asked(name):
    truth = one_hot([0, 1, 1, 0], [0, 1, 0, 0])
    logits = random_logits(0, 2, 4)[:1]
    options = {"entropy": 0.0} if name == "bce-dice" else {}
    structures = {"a": (1,), "b": (2,), "c": (3,)}
    skipped = build_loss(name, structures, absent="skip", **options)(logits, truth, everywhere(truth)).item()
    found = logits.softmax(dim=1)[0, 1]
    overlap, total = float((found * truth[0, 1]).sum()), float((found + truth[0, 1]).sum())
    assert skipped == pytest.approx(1 - (2 * overlap + 1) / (total + 1), rel=1e-5)
    counted = build_loss(name, structures, **options)(logits, truth, everywhere(truth)).item()
    assert counted != pytest.approx(skipped, rel=1e-2)


def test_where_nothing_is_shown_dice_that_skips_costs_nothing_and_has_a_gradient():
    truth = one_hot([0, 0, 0, 0])
    logits = random_logits(0, 1, 4)[:1].requires_grad_()
    cost = build_loss("dice", TREES, absent="skip")(logits, truth, everywhere(truth))
    cost.backward()
    assert cost.item() == 0.0
    assert torch.isfinite(logits.grad).all()


def test_absent_has_two_words():
    with pytest.raises(RecipeError, match="There are: count, skip"):
        build_loss("dice", TREES, absent="no")


# --- regions


REGIONS = {"whole": (1, 2), "core": (2,)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_compares_regions_that_overlap(name, size):
    truth = random_truth(*size)[:, :3]
    truth = truth / truth.sum(dim=1, keepdim=True)
    loss = OfRegions(REGIONS, build_loss(name, {"region": (1,)}))
    sure_of_it = 20.0 * (2.0 * joined((truth > 0.5).float(), REGIONS)[:, :-1] - 1.0)
    hard = (truth > 0.5).float()
    hard[:, 0] = 1 - hard[:, 1:].sum(dim=1)
    logits = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    cost = loss(logits, hard, everywhere(hard))
    cost.backward()
    assert torch.isfinite(logits.grad).all()
    assert loss(sure_of_it, hard, everywhere(hard)).item() < 0.02 < cost.item()


def test_a_region_s_cross_entropy_is_that_of_its_sigmoid():
    truth = one_hot([0, 1, 2, 0])[:, :3]
    logits = torch.randn(1, 2, 1, 4, generator=torch.Generator().manual_seed(1))
    cost = OfRegions(REGIONS, build_loss("cross-entropy", {"region": (1,)}))(logits, truth, everywhere(truth))
    targets = torch.tensor([[[[0.0, 1, 1, 0]], [[0, 0, 1, 0]]]])
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(cost, wanted)
