"""A pipeline answers on the input's own grid, only inside the region, and says when it found nothing."""

import numpy as np
import pytest
import torch

from gracile.api import load
from gracile.case import Case
from gracile.errors import DataError, GracileError
from gracile.inference.answering import answer
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.stages import Finding
from gracile.trust import Unlike, sampled
from gracile.trust.appearance import appearance
from gracile.trust.unlike import Likeness
from tests.conftest import draw_fundus


@pytest.fixture(scope="module")
def pipeline(tiny_bundle):
    return load(tiny_bundle, device="cpu").pipeline


def with_settings(tiny_bundle, *settings):
    return load(tiny_bundle, settings=settings, device="cpu").pipeline


def drawn_case(height: int, width: int, size: int = 120) -> Case:
    """A drawn fundus, its frame cut or widened to a size."""
    image, _, region = draw_fundus(1, size)
    wide = np.zeros((height, width, 3), dtype=np.uint8)
    seen = np.zeros((height, width), dtype=bool)
    rows, columns = min(height, size), min(width, size)
    wide[:rows, :columns] = image[:rows, :columns]
    seen[:rows, :columns] = region[:rows, :columns]
    return Case.from_array(wide, region=seen)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(120, 120, 120), (113, 131, 120), (251, 240, 240), (65, 63, 60), (301, 407, 300)]
)
def test_the_mask_lies_on_the_inputs_grid_and_inside_the_region(pipeline, height, width, size):
    case = drawn_case(height, width, size)
    result = pipeline(case)
    assert result.status == "found"
    assert result.mask.shape == (height, width)
    assert result.mask.dtype == np.uint8
    assert set(np.unique(result.mask)) == {0, 1, 2, 3}
    assert not result.mask[~case.region].any()
    assert result.probabilities is None
    np.testing.assert_array_equal(result.region, case.region)
    assert {"prepare", "vessels", "restore"} <= set(result.seconds)


@pytest.mark.parametrize("settings", [(), ("stages.vessels.flips=true",), ("stages.vessels.largest_input=4096",)])
def test_kept_probabilities_sum_to_one_and_decide_the_mask(tiny_bundle, settings):
    case = drawn_case(131, 127)
    result = with_settings(tiny_bundle, *settings)(case, keep_probabilities=True)
    assert result.probabilities.shape == (4, 131, 127)
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1.0, atol=1e-4)
    assert result.probabilities.min() >= 0
    np.testing.assert_array_equal(result.mask, np.where(case.region, result.probabilities.argmax(axis=0), 0))
    assert (result.probabilities[0, -4:] == 1).all()  # below the drawn frame


def test_flips_make_the_answer_of_a_mirrored_picture_the_mirrored_answer(tiny_bundle):
    pipeline = with_settings(tiny_bundle, "stages.vessels.flips=true")
    image, _, region = draw_fundus(2)
    plain = pipeline(Case.from_array(image, region=region), keep_probabilities=True).probabilities
    mirrored = Case.from_array(image[:, ::-1].copy(), region=region[:, ::-1].copy())
    turned = pipeline(mirrored, keep_probabilities=True).probabilities
    np.testing.assert_allclose(turned[..., ::-1], plain, atol=0.02)


def test_the_threshold_of_foreground_first_is_obeyed(tiny_bundle):
    shares = []
    for threshold in (0.1, 0.5, 0.9):
        settings = ("stages.vessels.decision.rule=foreground-first", f"stages.vessels.decision.threshold={threshold}")
        result = with_settings(tiny_bundle, *settings)(drawn_case(120, 120), keep_probabilities=True)
        expected = (1 - result.probabilities[0] >= threshold) & result.region
        np.testing.assert_array_equal(result.mask > 0, expected)
        shares.append(expected.mean())
    assert shares[0] > shares[1] > shares[2]


def test_small_islands_are_dropped_when_asked_for(tiny_bundle):
    result = with_settings(tiny_bundle, "stages.vessels.decision.smallest=100000")(drawn_case(120, 120))
    assert not result.mask.any()
    assert result.status == "absent"


def test_a_picture_without_structures_is_absent_with_the_reason(tiny_recipe):
    stage = build_learner(tiny_recipe.stages[0], tiny_recipe)
    for weight in stage.parameters():
        torch.nn.init.zeros_(weight)
    result = Pipeline(tiny_recipe, [stage.applied()])(drawn_case(120, 120))
    assert (result.status, result.mask.any()) == ("absent", False)
    assert result.reason


class Gate:
    """A stage that says that there is nothing."""

    name = "gate"

    def find(self, prepared, finding):
        return Finding(gates={"gate": 0.1}, closed=dict.fromkeys((1, 2, 3), "the gate saw no vessel"))


class Unreachable(Gate):
    name = "unreachable"

    def find(self, prepared, finding):
        raise AssertionError


def test_a_gate_that_says_absent_ends_the_cascade(tiny_recipe):
    result = Pipeline(tiny_recipe, [Gate(), Unreachable()])(drawn_case(120, 121))
    assert (result.status, result.reason) == ("absent", "the gate saw no vessel")
    assert result.gates == {"gate": 0.1}
    assert result.mask.shape == (120, 121)
    assert not result.mask.any()


def test_a_picture_of_the_wrong_kind_is_refused_or_flagged(tiny_bundle):
    noise = Case.from_array(np.random.default_rng(0).integers(0, 255, (90, 80, 3)).astype(np.uint8), id="noise")
    with pytest.raises(DataError, match="noise is no fundus photograph"):
        with_settings(tiny_bundle)(noise)
    result = with_settings(tiny_bundle, "input.wrong_kind=flag")(noise)
    assert result.mask.shape == (90, 80)
    assert any("no fundus" in flag for flag in result.flags)


class Far(Unlike):
    """Takes every input for one of another kind."""

    def likeness(self, samples):
        return Likeness(9.0, True, True, "its colors")


def test_a_picture_far_from_the_training_images_is_refused_where_the_recipe_refuses_other_kinds(tiny_bundle):
    known = Unlike.of(
        [appearance(sampled(drawn_case(100 + n, 120), None)) for n in range(5)], list("abcde"), False
    ).known
    refusing, flagging = with_settings(tiny_bundle), with_settings(tiny_bundle, "input.wrong_kind=flag")
    refusing.unlike = flagging.unlike = Far(known)
    with pytest.raises(
        DataError, match="of another kind than the images that the model learned from: its colors"
    ) as told:
        refusing(drawn_case(120, 120))
    assert "input.wrong_kind=flag" in told.value.remedy
    result = answer(flagging, drawn_case(120, 120))
    assert result.unlike == 9
    assert "the input may be of another kind than the training images: its colors" in result.flags


def test_what_the_reader_says_comes_out_with_the_result(pipeline):
    case = drawn_case(120, 120)
    case.notes.append("16-bit image scaled to 8 bits")
    case.flags.append("the file has 3 pages; the first was read")
    result = pipeline(case)
    assert result.notes == ["16-bit image scaled to 8 bits"]
    assert result.flags == ["the file has 3 pages; the first was read"]


def test_an_unknown_device_is_refused(tiny_bundle):
    with pytest.raises(GracileError, match="toaster"):
        load(tiny_bundle, device="toaster")


class VeinGate(Gate):
    """A stage that says that there is no vein."""

    def find(self, prepared, finding):
        return Finding(closed={2: "the gate saw no vein"})


def test_the_share_of_a_closed_class_becomes_background(tiny_bundle):
    open_for_all = with_settings(tiny_bundle)
    case = drawn_case(120, 120)
    before = open_for_all(case, keep_probabilities=True)
    result = Pipeline(open_for_all.recipe, [VeinGate(), *open_for_all.stages])(case, keep_probabilities=True)
    assert (before.mask == 2).any()
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1.0, atol=1e-4)
    np.testing.assert_allclose(result.probabilities[0], before.probabilities[[0, 2]].sum(axis=0), atol=1e-4)
    np.testing.assert_allclose(result.probabilities[[1, 3]], before.probabilities[[1, 3]], atol=1e-4)
    assert not (result.mask == 2).any()
    assert ((result.mask > 0) <= (before.mask > 0)).all()
    assert "vein: the gate saw no vein" in result.flags
