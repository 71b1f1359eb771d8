"""Clips through a pipeline whose gate has a memory: frames keep their order and are decided after their delay."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gracile.case import Case
from gracile.errors import DataError
from gracile.inference import VideoOptions
from gracile.inference.frames import FirstLooker, FrameAnswer, FrameRememberer
from gracile.inference.video import predict_video
from gracile.io.frames import Frame
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe
from tests.inference.clips import frame, measured, rows_of, write_clip

TINY = ["prepare.diameter=64", "prepare.intensity=unit", "stages.presence.size=[64,64]"]


def remembering(*settings: str, taught: bool = True) -> Pipeline:
    """A gate that is sure of a frame with a bright block, and a stage that takes what is bright."""
    recipe = read_recipe("brachial-plexus", [*TINY, *settings])
    learners = [build_learner(spec, recipe) for spec in recipe.stages]
    if taught and recipe.stages[0].memory != "none":
        learners[0].memory.copy_(learners[0].memory.new_tensor([2.0, 1.0]))
    gate, place = (learner.applied() for learner in learners)
    gate.run = lambda images: np.array([[0.0, 3.0 if images.max() > 0.6 else -3.0]])
    place.run = lambda images: np.concatenate([0.5 - images, images - 0.5], axis=1) * 10
    return Pipeline(recipe, [gate, place])


def shown(pattern: str) -> list[np.ndarray]:
    return [frame(letter == "#") for letter in pattern]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def classes(pipeline: Pipeline, pattern: str, out: Path, options: VideoOptions = VideoOptions()) -> str:  # noqa: B008
    """What a clip of 10 frames a second is answered with, frame by frame."""
    predict_video(pipeline, write_clip(out / "in" / "clip.avi", shown(pattern)), "clip", out, options)
    rows = rows_of(out / "clip.csv")
    assert [row["frame"] for row in rows] == [str(number) for number in range(len(pattern))]
    return "".join({"plexus": "#", "absent": "."}.get(row["class"], "?") for row in rows)


def opened(pipeline: Pipeline, pattern: str, out: Path) -> str:
    """The frames for which the gate was open."""
    classes(pipeline, pattern, out)
    return "".join("#" if float(row["p_plexus"]) >= 0.5 else "." for row in rows_of(out / "clip.csv"))


def test_a_flicker_is_overruled_by_the_frames_around_it(out):
    pattern = "######.#######.........#....."
    assert classes(remembering("stages.presence.memory=none"), pattern, out) == pattern
    assert opened(remembering(), pattern, out) == "##############..............."


def test_a_frame_that_the_memory_opens_shows_what_is_there_and_one_that_it_closes_shows_nothing(out):
    told = classes(remembering(), "........#.......", out)
    assert set(told) == {"."}
    assert {row["area_px_plexus"] for row in rows_of(out / "clip.csv")} == {"0"}


def test_the_threshold_of_the_memory_decides(out):
    pipeline = remembering()
    pipeline.stages[0].memory_threshold = 1.1
    assert classes(pipeline, "##########", out) == "." * 10


def test_a_clip_without_a_single_frame_of_the_structures_is_absent(out):
    record = predict_video(
        remembering(), write_clip(out / "in" / "clip.avi", shown("." * 12)), "clip", out, VideoOptions()
    )
    assert record["status"] == "absent"
    assert measured(record, "frames") == 12


def test_the_record_says_how_long_a_frame_waits_and_which_threshold_holds(out):
    clip = write_clip(out / "in" / "clip.avi", shown("####"))
    record = predict_video(remembering("stages.presence.memory_delay=0.25"), clip, "clip", out, VideoOptions())
    assert record["notes"] == ["the gate presence weighs frames of up to 0.25 s later, which it waits for"]
    (gate,) = record["clip"]["gates"]
    assert gate["delay_s"] == 0.25
    assert gate["threshold"] == 0.5


def test_pictures_know_nothing_of_a_memory():
    sure, none = remembering(), remembering("stages.presence.memory=none")
    case = Case.from_array(frame(True))
    assert sure(case).gates == none(case).gates
    assert not none.memories
    assert list(sure.memories) == ["presence"]


def test_a_gate_that_no_clip_taught_has_no_memory(out):
    pipeline = remembering(taught=False)
    assert not pipeline.memories
    assert classes(pipeline, "##.##", out) == "##.##"


def test_a_gate_that_is_off_has_none():
    assert not remembering("stages.presence.enabled=false").memories


def test_bundles_from_before_there_was_memory_load_and_one_that_lacks_it_is_named():
    recipe = read_recipe("brachial-plexus", [*TINY, "stages.presence.memory=none"])
    older = build_learner(recipe.stages[0], recipe)
    assert not {"memory", "memory_threshold"} & older.bundle_state().keys()
    older.applied()


def test_frames_are_given_on_once_their_delay_is_over_and_failed_ones_in_their_place():
    pipeline = remembering("stages.presence.memory_delay=0.2")
    looks, remembers = FirstLooker(pipeline, "clip"), FrameRememberer(pipeline)
    given = []
    for number in range(8):
        answer = FrameAnswer(number, Frame(frame(True), number, Fraction(1, 10)))
        if number == 2:
            answer.reason = "it is broken"
        else:
            answer = looks(answer)
        given.append([one.index for one in remembers(answer)])
    assert given == [[], [], [], [0, 1, 2], [], [3], [4], [5]]  # 0.2 s are two frames
    assert [one.index for one in remembers.rest()] == [6, 7]


def test_smoothing_beside_a_memory_evens_the_mask_and_leaves_presence_to_the_gate(out):
    pattern = "....##########...."
    told = classes(remembering(), pattern, out)
    assert classes(remembering(), pattern, out, VideoOptions(smooth=0.3)) == told


def test_a_clip_that_cannot_be_answered_is_refused_as_ever(out):
    pipeline = remembering()
    pipeline.look = lambda case: (_ for _ in ()).throw(DataError("No scan.", "Give one."))
    with pytest.raises(DataError, match="None of 3 frames could be answered"):
        predict_video(pipeline, write_clip(out / "in" / "clip.avi", shown("###")), "clip", out, VideoOptions())
