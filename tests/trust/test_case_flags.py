"""Each flag of inputs and answers is raised by what it is about, and by nothing ordinary."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from gracile.case import Case
from gracile.recipe import read_recipe
from gracile.result import Landmark, Result
from gracile.trust import Ordinary, case_figures, case_flags
from gracile.trust.figures import FIGURES
from gracile.trust.unlike import Likeness

SIDE = 200
TOOL = read_recipe("surgical-tool", ["stages.presence.enabled=false"])
POINTS = read_recipe("skull-landmarks")


def texture(seed: int, detail: float = 1.5) -> np.ndarray:
    """``(height, width)`` with a mean of 120 and a deviation of 30 or so."""
    random = np.random.default_rng(seed)
    fine, wide = (ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), s) for s in (detail, 8))
    return 120 + random.normal(0, 3) + 18 * fine / fine.std() + 24 * wide / wide.std()


def picture(values: np.ndarray, tint: tuple[float, float, float] = (1.2, 1.0, 0.8)) -> Case:
    image = np.stack([values * channel for channel in tint], axis=-1)
    return Case.from_array(np.clip(np.rint(image), 0, 255).astype(np.uint8))


def answered(case: Case, *boxes: tuple[slice, slice], **more: object) -> Result:
    mask = np.zeros(case.grid.shape, np.uint8)
    for box in boxes:
        mask[box] = 1
    return Result(case.id, "found" if boxes else "absent", case.grid, TOOL.class_names, mask=mask, **more)


BOX = slice(80, 120), slice(90, 130)


@pytest.fixture(scope="module")
def ordinary() -> Ordinary:
    figures = []
    for seed in range(12):
        case = picture(texture(seed))
        figures.append(case_figures(case, answered(case, (slice(80, 115 + seed), BOX[1])), TOOL))
    return Ordinary.of(figures)


SPOILED = {
    "the input is dark": lambda values: picture(values * 0.1),
    "the input is bright": lambda values: picture(values * 3),
    "the input is nearly constant": lambda values: picture(120 + (values - 120) * 0.01),
    "the input has harder contrast than ordinary ones": lambda values: picture(120 + (values - 120) * 6),
    "much of the input is clipped at its dark end": lambda values: picture(values - 130),
    "much of the input is clipped at its bright end": lambda values: picture(values * 3),
    "the input is blurred": lambda values: picture(ndimage.gaussian_filter(values, 5)),
    "the input is noisy": lambda values: picture(values + np.random.default_rng(0).normal(0, 60, values.shape)),
    "the texture of the input is unlike that of ordinary ones": lambda values: picture(
        ndimage.gaussian_filter(values, 5)
    ),
    "the colors of the input are unlike those of ordinary ones": lambda values: picture(values, (0.8, 1.0, 1.2)),
}


@pytest.mark.parametrize("flag", SPOILED)
def test_a_spoiled_input_is_flagged(flag: str, ordinary: Ordinary) -> None:
    case = SPOILED[flag](texture(20))
    assert flag in case_flags(case, answered(case, BOX), TOOL, ordinary)


@pytest.mark.parametrize("seed", [20, 21, 22, 23])
def test_an_ordinary_case_is_not_flagged_with_ranges_or_without(seed: int, ordinary: Ordinary) -> None:
    case = picture(texture(seed))
    assert case_flags(case, answered(case, BOX), TOOL, ordinary) == []
    assert case_flags(case, answered(case, BOX), TOOL, Ordinary()) == []


@pytest.mark.parametrize(
    ("flag", "boxes"),
    [
        ("tool: nothing of it was found", []),
        ("tool: next to nothing of it was found", [(slice(80, 82), slice(90, 92))]),
        ("tool: far more of it was found than in ordinary cases", [(slice(10, 190), slice(10, 190))]),
        ("tool: it is broken in pieces", [BOX, (slice(20, 50), slice(20, 50)), (slice(150, 180), slice(20, 50))]),
        ("tool: it lies at the border and may be cut off there", [(slice(0, 20), slice(40, 120))]),
    ],
)
def test_an_unusual_answer_is_flagged(flag: str, boxes: list[tuple[slice, slice]], ordinary: Ordinary) -> None:
    case = picture(texture(20))
    assert flag in case_flags(case, answered(case, *boxes), TOOL, ordinary)


def test_what_spoils_a_picture_at_all_is_flagged_by_fixed_rules() -> None:
    for values, flag in (
        (np.full((SIDE, SIDE), 90.0), "the input is nearly constant"),
        (texture(0) * 0.01, "the input is dark"),
        (texture(0) * 4, "much of the input is clipped at its bright end"),
    ):
        case = picture(values)
        assert flag in case_flags(case, answered(case, BOX), TOOL, Ordinary())


def test_what_a_gate_looks_for_may_be_absent() -> None:
    case = picture(texture(0))
    gated = read_recipe("surgical-tool")
    assert case_flags(case, answered(case), gated, Ordinary()) == []
    assert case_flags(case, answered(case), TOOL, Ordinary()) == ["tool: nothing of it was found"]


def test_a_structure_that_is_often_absent_may_be_absent() -> None:
    case = picture(texture(0))
    some = [case_figures(case, answered(case, *([BOX] * (seed % 2))), TOOL) for seed in range(10)]
    assert case_flags(case, answered(case), TOOL, Ordinary.of(some)) == []


def test_where_a_measurement_told_the_place_of_a_break_it_is_not_said_twice() -> None:
    case = picture(texture(0))
    boxes = [(slice(20 * k, 20 * k + 5), slice(50, 55)) for k in range(1, 10)] * 2
    boxes += [(slice(20 * k, 20 * k + 5), slice(100, 105)) for k in range(1, 10)]
    result = answered(case, *boxes)
    assert "tool: it is broken in pieces" in case_flags(case, result, TOOL, Ordinary())
    result.flags = ["tool: a gap of the mask, at slice 3"]
    assert case_flags(case, result, TOOL, Ordinary()) == []


def volume(side: int = 40, spacing: float = 1.0) -> Case:
    values = np.random.default_rng(side).normal(100, 20, (side, side, side))
    return Case.from_volume(values, np.diag([spacing, spacing, spacing, 1.0]))


def pointed(case: Case, missed: int = 0, probability: float = 0.9, spread: float = 0.5, at: float = 20.0) -> Result:
    some = [Landmark(name, np.full(3, at), probability, spread) for name in "abcd"[missed:]]
    none = [Landmark(name, None, 0.1, note="not found") for name in "abcd"[:missed]]
    return Result(case.id, "found", case.grid, POINTS.class_names, landmarks=none + some)


@pytest.mark.parametrize(
    ("flag", "case", "changes"),
    [
        ("landmarks: many were not found", volume(), {"missed": 3}),
        ("landmarks: they are found with less certainty than in ordinary cases", volume(), {"probability": 0.3}),
        ("landmarks: their places are less certain than in ordinary cases", volume(), {"spread": 4.0}),
        ("landmarks: some lie at the border of the volume or beyond it", volume(), {"at": -3.0}),
        ("the input shows a far smaller part of a body than ordinary ones", volume(spacing=0.1), {"at": 2.0}),
        ("the input shows a far larger part of a body than ordinary ones", volume(spacing=5.0), {"at": 100.0}),
    ],
)
def test_unusual_volumes_and_landmarks_are_flagged(flag: str, case: Case, changes: dict[str, float]) -> None:
    usual = volume()
    some = [case_figures(usual, pointed(usual, spread=0.5 + k / 50, probability=0.9), POINTS) for k in range(8)]
    ordinary = Ordinary.of(some)
    assert case_flags(usual, pointed(usual), POINTS, ordinary) == []
    assert flag in case_flags(case, pointed(case, **changes), POINTS, ordinary)


def test_every_figure_that_may_be_flagged_is_one_that_is_measured(ordinary: Ordinary) -> None:
    case, points = picture(texture(0)), volume()
    measured = case_figures(case, answered(case, BOX), TOOL) | case_figures(points, pointed(points), POINTS)
    assert {name for _, name in measured} == set(FIGURES)


def test_flags_hold_no_numbers_so_that_they_can_be_counted(ordinary: Ordinary) -> None:
    texts = [text for figure in FIGURES.values() for text in (figure.low, figure.high)]
    assert not any(character.isdigit() for text in texts for character in text)


def test_an_input_that_is_unlike_as_a_whole_is_flagged_once_for_it(ordinary: Ordinary) -> None:
    case = SPOILED["the colors of the input are unlike those of ordinary ones"](texture(20))
    result = answered(case, BOX)
    before = case_flags(case, result, TOOL, ordinary)
    unlike = case_flags(case, result, TOOL, ordinary, Likeness(1.3, False, False, "its colors"))
    assert unlike[0] == "the input is unlike the training images: its colors"
    assert set(before) - set(unlike) == {"the colors of the input are unlike those of ordinary ones"}
    assert case_flags(case, result, TOOL, ordinary, Likeness(0.9, False, False, "its colors")) == before


def test_only_the_region_that_was_looked_at_counts() -> None:
    case = picture(texture(0))
    region = np.zeros(case.grid.shape, bool)
    region[50:150, 50:150] = True
    dark = replace(case, image=np.where(region, case.image, 0).astype(np.uint8))
    result = answered(dark, BOX, region=region)
    inside, whole = (case_figures(dark, replace(result, region=part), TOOL) for part in (region, None))
    assert inside["input", "clipped_low"] < 0.01 < 0.5 < whole["input", "clipped_low"]
    assert inside["tool", "share"] == pytest.approx(0.16, rel=0.05)
