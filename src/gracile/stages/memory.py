"""A gate's memory on clips: what it says of one frame, evened out with what it says of those before and a few after.

What a gate says of a frame, a log likelihood ratio of there and not there, is taken as a level that wanders and is seen
through noise. A Kalman filter follows the level through frames that may be any time apart, and a fixed lag lets those
of a stated delay count that come after a frame (local level model with fixed-lag smoothing; Anderson and Moore, Optimal
Filtering, 1979, chapter 7; with equal steps and no delay it is an exponential mean, Muth, JASA 1960). Only noise is
taken out. A chain of states that adds up evidence over frames does worse with gates that err for seconds in the same
way; see `benchmarks/brachial_plexus.py`.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

SAME_MOMENT = 1e-4
"""Seconds by which times may be rounded."""

UNKNOWN = 1e6
"""Variance of the level before the first frame, in those of a frame's noise: that frame is taken as it is."""

WANDERS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
"""Among these it is chosen how much the level wanders: its variance a second, in those of a frame's noise."""

SHARPNESS = tuple(float(factor) for factor in np.geomspace(0.25, 4.0, 33))
"""Among these, by how much the evened evidence is to be multiplied to be calibrated."""


@dataclass(frozen=True)
class JudgedClip:
    """The labeled frames of a clip in the order of time, and what a gate that did not learn from them said of each.

    Args:
        evidence: ``(frames,)`` log likelihood ratios of there and not there.
        present: ``(frames,)`` bool, whether the structures are there.
        times: ``(frames,)`` seconds.
        subject: Whose clip it is.
    """

    evidence: np.ndarray
    present: np.ndarray
    times: np.ndarray
    subject: str = ""


@dataclass(frozen=True)
class Memory:
    """The numbers of a memory.

    Args:
        wander: Variance of the level's change in a second, in those of a frame's noise; the larger, the less is evened.
        sharpness: By which evened evidence is multiplied to be calibrated.
        prior: Log odds that the structures are there, before anything is seen.
        delay_s: Seconds that an answer may wait for later frames.
    """

    wander: float
    sharpness: float
    prior: float
    delay_s: float

    def probability(self, level: float | np.ndarray) -> np.ndarray:
        """``(...,)`` probabilities that the structures are there, of levels."""
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(self.sharpness * np.asarray(level) + self.prior, -500, 500))))

    def levels(self, evidence: Sequence[float] | np.ndarray, times: Sequence[float] | np.ndarray) -> np.ndarray:
        """``(frames,)`` levels of a whole clip, as they are decided while it runs."""
        following = Remembering(self)
        found: list[float] = []
        for own, time_s in zip(evidence, times, strict=True):
            found += following.add(float(own), float(time_s))
        return np.array([*found, *following.rest()])

    def of_clip(self, evidence: Sequence[float] | np.ndarray, times: Sequence[float] | np.ndarray) -> np.ndarray:
        """``(frames,)`` probabilities of a whole clip, as they are decided while it runs."""
        return self.probability(self.levels(evidence, times))


@dataclass(frozen=True)
class _Frame:
    """The level at a frame, as foreseen from the frames before and with what it says itself, with their variances."""

    time_s: float
    foreseen: float
    foreseen_variance: float
    level: float
    variance: float


class Remembering:
    """Follows the level of one clip frame by frame, in order.

    Args:
        memory: Its numbers.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._waiting: deque[_Frame] = deque()
        self._last: _Frame | None = None

    def add(self, evidence: float, time_s: float) -> list[float]:
        """Take a frame; gives the levels of the frames that are decided now, in their order.

        A frame is decided once a frame of its time plus the delay, or later, was seen.
        """
        foreseen, variance = 0.0, UNKNOWN
        if self._last is not None:
            foreseen = self._last.level
            variance = self._last.variance + self.memory.wander * max(0.0, time_s - self._last.time_s)
        gain = variance / (variance + 1.0)
        level = foreseen + gain * (evidence - foreseen)
        self._last = _Frame(time_s, foreseen, variance, level, (1.0 - gain) * variance)
        self._waiting.append(self._last)
        decided = []
        while self._waiting and time_s >= self._waiting[0].time_s + self.memory.delay_s - SAME_MOMENT:
            decided.append(self._decide())
        return decided

    def rest(self) -> list[float]:
        """The levels of the frames that still wait, at the end of the clip."""
        return [self._decide() for _ in range(len(self._waiting))]

    def _decide(self) -> float:
        """The level at the first frame that waits, given those after it until the delay is over."""
        first = self._waiting.popleft()
        until = first.time_s + self.memory.delay_s + SAME_MOMENT
        later = [first, *(frame for frame in self._waiting if frame.time_s <= until)]
        level = later[-1].level
        for own, after in reversed(list(pairwise(later))):
            level = own.level + own.variance / after.foreseen_variance * (level - after.foreseen)
        return level


def rows_by_clip(clips: Sequence[str] | np.ndarray, times: np.ndarray) -> list[np.ndarray]:
    """Indices of the frames of each clip in the order of their times; frames whose time is not known are in none.

    Args:
        clips: ``(frames,)`` names of clips, no two people's alike.
        times: ``(frames,)`` seconds; NaN where not known.
    """
    names = np.asarray(clips)
    known = np.flatnonzero(np.isfinite(times))
    ordered = known[np.argsort(times[known], kind="stable")]
    return [ordered[names[ordered] == name] for name in np.unique(names[known])]


def learned_memory(clips: Iterable[JudgedClip], prior: float, delay_s: float) -> Memory | None:
    """The memory that labeled clips teach; None where no clip has two frames of different times.

    Both numbers are those of the smallest cross-entropy of what is then remembered, each person counted alike. Of clips
    all of one kind the sharpness stays 1, as anything would be right.

    Args:
        clips: Of people whom the gate did not learn from.
        prior: Log odds of the structures before anything is seen.
        delay_s: Seconds that an answer may wait.
    """
    following = [clip for clip in clips if len(clip.times) > 1 and np.ptp(clip.times) > 0]
    if not following:
        return None
    present = np.concatenate([clip.present for clip in following])
    factors = np.array(SHARPNESS if 0 < np.count_nonzero(present) < present.size else (1.0,))
    people = np.concatenate([np.full(len(clip.times), clip.subject) for clip in following])
    _, number, counts = np.unique(people, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[number]
    best, least = None, math.inf
    for wander in WANDERS:
        memory = Memory(wander, 1.0, prior, delay_s)
        level = np.concatenate([memory.levels(clip.evidence, clip.times) for clip in following])
        odds = factors[:, None] * level + prior
        entropies = np.logaddexp(0.0, np.where(present, -odds, odds)) @ weights
        if entropies.min() < least:
            best, least = replace(memory, sharpness=float(factors[entropies.argmin()])), float(entropies.min())
    return best
