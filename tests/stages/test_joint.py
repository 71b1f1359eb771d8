"""What members of an ensemble find is averaged before anything is decided."""

import numpy as np
import pytest

from gracile.geometry import Centerline
from gracile.recipe import read_recipe
from gracile.result import Landmark
from gracile.stages import Finding
from gracile.stages.joint import Joint, joined

SHAPE = (6, 8, 10)


@pytest.fixture(scope="module")
def recipe():
    return read_recipe("spinal-cord")


def maps(value: float, shape=SHAPE) -> np.ndarray:
    cord = np.full(shape, value, np.float32)
    return np.stack([1 - cord, cord])


def decided(probabilities: np.ndarray) -> np.ndarray:
    return probabilities.argmax(axis=0).astype(np.uint8)


def together(recipe, *findings: Finding) -> Finding:
    joint = Joint(recipe, SHAPE, decided)
    for own in findings:
        joint.add(own)
    return joint.finding(Finding())


def test_probabilities_are_averaged(recipe):
    found = together(recipe, *(Finding(maps(value)) for value in (0.2, 0.4, 0.9)))
    np.testing.assert_allclose(found.probabilities, maps(0.5), atol=1e-6)
    assert found.box is None


def test_boxes_are_joined_and_what_a_member_did_not_look_at_is_background_to_it(recipe):
    first = (slice(1, 4), slice(2, 6), slice(0, 5))
    second = (slice(2, 6), slice(1, 5), slice(3, 10))
    sizes = [tuple(side.stop - side.start for side in box) for box in (first, second)]
    found = together(
        recipe, Finding(maps(0.8, sizes[0]), first), Finding(maps(0.6, sizes[1]), second), Finding(closed={1: "none"})
    )
    assert found.box == (slice(1, 6), slice(1, 6), slice(0, 10))
    whole = np.zeros(SHAPE)
    whole[found.box] = found.probabilities[1]
    expected = np.zeros(SHAPE)
    expected[first] += 0.8 / 3
    expected[second] += 0.6 / 3
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(axis=0), 1.0, atol=1e-6)
    assert found.closed == {}


def test_a_class_is_closed_where_all_members_close_it(recipe):
    found = together(recipe, Finding(closed={1: "no line"}), Finding(closed={1: "no line either"}))
    assert found.probabilities is None
    assert found.closed == {1: "no line"}
    assert found.agreement == 1.0


def test_agreement_is_the_mean_dice_of_pairs(recipe):
    box = (slice(0, 2), slice(0, 8), slice(0, 10))
    one, half, none = Finding(maps(0.9)), Finding(maps(0.9, (2, 8, 10)), box), Finding(maps(0.1))
    part = 2 * (2 / 6) / (1 + 2 / 6)
    assert together(recipe, one, half).agreement == pytest.approx(part)
    assert together(recipe, *(Finding(maps(0.1)) for _ in range(2))).agreement == 1.0
    found = together(recipe, Finding(maps(0.9)), Finding(maps(0.9, (2, 8, 10)), box), none)
    assert found.agreement == pytest.approx(part / 3)
    assert together(recipe, Finding(maps(0.9))).agreement is None


def test_the_line_is_that_of_the_first_that_has_one_and_words_come_once(recipe):
    lines = [Centerline(np.array([[0.0, 0.0, z], [0.0, z, 9.0]])) for z in (1.0, 2.0)]
    members = [
        Finding(maps(0.9), lines={"centerline": line}, flags=["dark"], notes=["note"], gates={"centerline": sure},
                decisions={"centerline": True})
        for line, sure in zip(lines, (0.5, 0.7), strict=True)
    ]  # fmt: skip
    found = together(recipe, *members)
    assert found.lines["centerline"] is lines[0]
    assert (found.flags, found.notes) == (["dark"], ["note"])
    assert found.gates["centerline"] == pytest.approx(0.6)
    assert found.decisions == {"centerline": True}


def point(x: float, probability: float, uncertainty: float | None = 0.5) -> Landmark:
    return Landmark("apex", np.array([x, 0.0, 0.0]), probability, uncertainty)


def test_a_point_is_the_mean_weighted_by_probabilities():
    landmark, farthest = joined([point(0.0, 0.9), point(3.0, 0.3)])
    np.testing.assert_allclose(landmark.point_mm, [0.75, 0, 0])
    assert landmark.probability == pytest.approx(0.6)
    assert farthest == pytest.approx(2.25)
    spread = np.sqrt(0.25 + (0.9 * 0.75**2 + 0.3 * 2.25**2) / 1.2)
    assert landmark.uncertainty_mm == pytest.approx(spread)


def test_a_point_needs_half_of_the_members():
    gone = Landmark("apex", None, 0.1, None, "out of sight")
    landmark, _ = joined([point(1.0, 0.9), gone])
    np.testing.assert_allclose(landmark.point_mm, [1, 0, 0])
    landmark, _ = joined([point(1.0, 0.9), gone, gone])
    assert landmark.point_mm is None
    assert landmark.note == "1 of 3 members found it: out of sight"


def test_members_that_disagree_are_flagged(recipe):
    near, far = ([Finding(landmarks=[point(0.0, 0.8)]), Finding(landmarks=[point(x, 0.8)])] for x in (2.0, 9.0))
    assert together(recipe, *near).flags == []
    assert together(recipe, *far).flags == ["apex: the members disagree by up to 4.5 mm from their mean"]


def test_maps_of_landmarks_are_averaged_when_they_are_asked_for(recipe):
    asked = []

    def member(value: float) -> Finding:
        def make(number: int) -> np.ndarray:
            asked.append(value)
            return np.full(SHAPE, value + number, np.float32)

        return Finding(landmarks=[point(0.0, 0.8)], landmark_maps=make)

    found = together(recipe, member(0.2), member(0.6))
    assert asked == []
    np.testing.assert_allclose(found.landmark_maps(1), 1.4)
