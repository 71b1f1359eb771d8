"""A gate's memory: what it learns of clips, how it weighs neighbors, and when a frame is decided."""

import numpy as np
import pytest

from gracile.stages.memory import JudgedClip, Memory, Remembering, learned_memory, rows_by_clip

MEMORY = Memory(wander=1.0, sharpness=1.0, prior=0.0, delay_s=0.2)


def drawn_clips(people: int = 30, seed: int = 0, noise: float = 4.0) -> list[JudgedClip]:
    """Clips of 6 s at 20 frames/s; structures come once in half of them, and every frame has noise of its own."""
    random = np.random.default_rng(seed)
    clips = []
    for person in range(people):
        times = np.arange(0, 6, 0.05)
        present = (times > random.uniform(1, 5)) if person % 2 else np.full(times.size, person % 4 > 0)
        evidence = np.where(present, 2, -2) + noise * random.normal(size=times.size) + random.normal()
        clips.append(JudgedClip(evidence, present, times, str(person)))
    return clips


def wrong(clips: list[JudgedClip], memory: Memory | None) -> float:
    """Share of the frames on the wrong side of a half."""
    told = [clip.evidence > 0 if memory is None else memory.of_clip(clip.evidence, clip.times) > 0.5 for clip in clips]
    return float(np.mean(np.concatenate(told) != np.concatenate([clip.present for clip in clips])))


def test_memory_learned_of_some_people_halves_the_errors_of_noise_on_others():
    memory = learned_memory(drawn_clips(), prior=0.0, delay_s=0.2)
    assert memory is not None
    others = drawn_clips(seed=1)
    assert wrong(others, memory) < 0.5 * wrong(others, None)


def test_a_delay_tells_more_than_none():
    clips = drawn_clips(60, seed=2)
    now, later = (learned_memory(clips, 0.0, delay_s) for delay_s in (0.0, 0.25))
    assert wrong(clips, later) < wrong(clips, now)


def test_what_is_noisier_is_evened_more_and_what_is_sure_of_too_much_is_made_less_sure():
    noisy, plain = (learned_memory(drawn_clips(60, noise=noise), 0.0, 0.2) for noise in (6.0, 0.5))
    assert noisy.wander < plain.wander
    sure = [JudgedClip(5 * clip.evidence, clip.present, clip.times, clip.subject) for clip in drawn_clips(60)]
    assert learned_memory(sure, 0.0, 0.2).sharpness < learned_memory(drawn_clips(60), 0.0, 0.2).sharpness


@pytest.mark.parametrize("present", [False, True])
def test_clips_all_of_one_kind_teach_no_sharpness(present):
    times = np.arange(0, 4, 0.2)
    clip = JudgedClip(np.full(times.size, 1.0 if present else -1.0), np.full(times.size, present), times)
    memory = learned_memory([clip], prior=0.0, delay_s=0.2)
    assert memory is not None
    assert memory.sharpness == 1.0
    assert (memory.of_clip(clip.evidence, times) > 0.5).all() == present


def test_single_frames_teach_nothing():
    one = JudgedClip(np.ones(1), np.ones(1, bool), np.zeros(1))
    assert learned_memory([one, one], 0.0, 0.2) is None
    assert learned_memory([], 0.0, 0.2) is None


def test_a_flicker_is_overruled_and_a_lasting_change_is_not():
    times = np.arange(0, 4, 0.05)
    evidence = np.where(times < 2, 3.0, -3.0)
    evidence[20] = -3.0
    present = MEMORY.of_clip(evidence, times)
    assert present[20] > 0.5
    assert (present[times < 1.8] > 0.5).all()
    assert (present[times > 2.2] < 0.5).all()


def test_a_frame_is_decided_once_its_delay_is_over_and_no_sooner():
    following = Remembering(MEMORY)
    decided = [len(following.add(1.0, number * 0.05)) for number in range(10)]
    assert decided == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]  # 0.2 s are four frames
    assert len(following.rest()) == 4  # the end of the clip
    assert following.rest() == []


def test_without_a_delay_every_frame_is_decided_at_once():
    following = Remembering(Memory(1.0, 1.0, 0.0, 0.0))
    assert [len(following.add(0.5, time)) for time in (0.0, 0.05, 1.3)] == [1, 1, 1]


def test_what_comes_after_the_delay_changes_nothing():
    times = np.array([0.0, 0.1, 0.2, 0.35, 1.2])
    told = MEMORY.of_clip([1, 1, 1, 1, 1], times), MEMORY.of_clip([1, 1, 1, -9, -9], times)
    assert told[0][0] == told[1][0]
    assert told[0][2] > told[1][2]  # 0.35 s is within 0.2 s of 0.2 s


def test_without_a_delay_and_with_equal_steps_it_is_an_exponential_mean():
    levels = Memory(4.0, 1.0, 0.0, 0.0).levels(np.eye(1, 200, 100)[0], 0.05 * np.arange(200))
    decay = levels[101:120] / levels[100:119]
    np.testing.assert_allclose(decay, decay[0], rtol=1e-9)
    assert decay[0] == pytest.approx(1 - levels[100], rel=1e-9)


def test_irregular_times_are_taken_as_they_are():
    near, far = (MEMORY.levels([8, -0.5], [0.0, seconds])[1] for seconds in (0.1, 1000.0))
    assert near > 3  # it was there a moment ago
    assert far == pytest.approx(-0.5, abs=0.02)  # long ago: its own evidence alone


def test_equal_and_backward_times_and_extreme_evidence_break_nothing():
    present = MEMORY.of_clip([900.0, -900.0, 900.0, -9e9], [1.0, 1.0, 0.5, 0.5])
    assert np.isfinite(present).all()
    assert ((present >= 0) & (present <= 1)).all()


def test_a_frame_alone_is_told_by_its_own_evidence_and_the_prior():
    memory = Memory(1.0, 1.0, 0.7, 0.2)
    assert memory.of_clip([2.0], [5.0])[0] == pytest.approx(1 / (1 + np.exp(-2.7)), abs=1e-5)
    assert memory.of_clip([], []).size == 0


def test_as_many_answers_as_frames_in_their_order():
    random = np.random.default_rng(3)
    times = np.cumsum(random.uniform(0.01, 0.6, 50))
    present = MEMORY.of_clip(np.where(np.arange(50) < 25, 6.0, -6.0), times)
    assert present.shape == (50,)
    assert (present[:23] > 0.5).all()
    assert (present[28:] < 0.5).all()


def test_frames_are_gathered_by_clip_in_time_without_those_of_unknown_time():
    rows = rows_by_clip(["b", "a", "b", "a"], np.array([1.0, np.nan, 0.5, 2.0]))
    assert [list(own) for own in rows] == [[3], [2, 0]]
