"""Frames whose label contradicts the frames before and after are found, and nothing else is."""

import numpy as np

from gracile.case import Moment
from gracile.data import check_data, find_cases
from gracile.data.contradictions import NEAR_S, Seen, box_around, contradictions, marked
from gracile.recipe import read_recipe
from tests.frames_on_disk import frame_folder

HERE, THERE = (10, 10, 30, 30), (10, 100, 30, 120)


def clip(shown: str, step: float | None = 0.2, name: str = "a") -> list[Seen]:
    """Frames one step apart: ``h`` and ``t`` show the structures here or there, ``.`` shows none."""
    frames = []
    for number, letter in enumerate(shown):
        moment = Moment(name, float(number), None if step is None else number * step)
        box = {"h": HERE, "t": THERE, ".": None}[letter]
        frames.append(Seen(f"{name}{number}", "p", moment, box is not None, box))
    return frames


def test_a_frame_that_differs_from_both_neighbors_in_presence_contradicts_them():
    assert list(contradictions(clip("hh.hh"))) == ["a2"]
    assert "lack the structures" in contradictions(clip("..h.."))["a2"]


def test_structures_elsewhere_than_in_both_neighbors_contradict_them():
    assert "elsewhere" in contradictions(clip("hhthh"))["a2"]
    assert not contradictions(clip("hhttt"))  # they moved


def test_one_change_and_the_ends_of_a_clip_contradict_nothing():
    assert not contradictions(clip("...hhh"))
    assert not contradictions(clip(".hhh."))
    assert not contradictions(clip("h."))


def test_neighbors_too_far_away_in_time_say_nothing():
    assert not contradictions(clip("hh.hh", step=NEAR_S + 0.1))
    assert list(contradictions(clip("hh.hh", step=None))) == ["a2"]  # times unknown: the order alone


def test_clips_are_judged_by_themselves_in_the_order_of_time():
    mixed = [frame for pair in zip(clip("hhhhh"), clip(".....", name="b"), strict=True) for frame in pair]
    assert not contradictions(mixed)
    assert list(contradictions(reversed(clip("hh.hh")))) == ["a2"]


def test_clips_without_a_single_frame_with_or_without_the_structures_contradict_nothing():
    assert not contradictions(clip("......"))
    assert not contradictions(clip("hhhhhh"))


def test_a_box_is_that_around_all_that_is_labeled():
    mask = np.zeros((20, 30), bool)
    assert box_around(mask) is None
    mask[3, 4] = mask[10, 20] = True
    assert box_around(mask) == (3, 4, 11, 21)


def test_a_check_of_the_data_says_which_and_learning_knows_them(tmp_path):
    rows = [f"p_{n},p,{n},{n / 5},{int(n != 2)}" for n in range(5)]
    boxes = {f"p_{n}": (5, 5) for n in (0, 1, 3, 4)}
    data = frame_folder(tmp_path, rows, "name,subject,frame,time_s,present", boxes)
    recipe = read_recipe("brachial-plexus")
    (problem,) = [p for p in check_data(data, recipe).problems if "contradicts" in p.message]
    assert problem.severity == "warning"
    assert problem.file.endswith("p_2.jpg")
    assert "p_1 and p_3" in problem.message
    cases = marked(find_cases(data, recipe), recipe)
    assert [bool(case.moment.contradicts) for case in cases] == [False, False, True, False, False]
