"""A gate's memory on clips: what it says of one frame, weighed with what it said of those before and a few after.

The structures are there or not, and come and go as a Markov chain in continuous time, so that frames may be any time
apart. What the gate says of a frame is a log likelihood ratio of the two. Frames that look alike are misjudged alike:
errors are taken as a first-order autoregression in time, so that a frame whose errors correlate by ``r`` with those of
the one before it counts for ``(1 - r) / (1 + r)`` of a frame, the information that it adds about a mean (Priestley,
Spectral Analysis and Time Series, 1981, section 5.3). The probability of a frame is that given all frames until it and
those that come at most the stated delay after it (forward-backward with a fixed lag; Rabiner, A Tutorial on Hidden
Markov Models, Proc. IEEE 1989).
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

STRONGEST = 20.0
"""Log likelihood ratio beyond which a frame says no more."""

SAME_MOMENT = 1e-4
"""Seconds by which times may be rounded."""

USUALLY_S = 10.0
"""Seconds in which one change of either kind is taken as seen before any clip was: so few changes are in most clips."""

LASTING_S = (0.0, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0)
"""Among these it is chosen how long errors last."""


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
        appearing: Times a second that absent structures come into view.
        vanishing: Times a second that present ones go out of it.
        lasting_s: Time constant of the gate's errors in seconds; 0 takes those of each frame as new.
        delay_s: Seconds that an answer may wait for later frames.
    """

    appearing: float
    vanishing: float
    lasting_s: float
    delay_s: float

    @property
    def share(self) -> float:
        """Share of the time in which the structures are there."""
        return self.appearing / (self.appearing + self.vanishing)

    def later(self, present: float, seconds: float) -> float:
        """The probability that they are there some seconds after they were with another one, frames unseen."""
        kept = math.exp(-(self.appearing + self.vanishing) * seconds)
        return self.share + (present - self.share) * kept

    def of_clip(self, evidence: Sequence[float] | np.ndarray, times: Sequence[float] | np.ndarray) -> np.ndarray:
        """``(frames,)`` probabilities of a whole clip, as they are decided while it runs."""
        following = Remembering(self)
        found: list[float] = []
        for own, time_s in zip(evidence, times, strict=True):
            found += following.add(float(own), float(time_s))
        return np.array([*found, *following.rest()])


@dataclass(frozen=True)
class _Frame:
    time_s: float
    news: float  # log likelihood ratio, as far as it counts beside that of the frame before
    present: float  # given the frames until it


class Remembering:
    """Follows one clip frame by frame, in order.

    Args:
        memory: Its numbers.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._waiting: deque[_Frame] = deque()
        self._last: _Frame | None = None

    def add(self, evidence: float, time_s: float) -> list[float]:
        """Take a frame; gives the probabilities of the frames that are decided now, in their order.

        A frame is decided once a frame of its time plus the delay, or later, was seen.
        """
        before, news = self.memory.share, min(max(evidence, -STRONGEST), STRONGEST)
        if self._last is not None:
            seconds = max(0.0, time_s - self._last.time_s)
            before = self.memory.later(self._last.present, seconds)
            alike = math.exp(-seconds / self.memory.lasting_s) if self.memory.lasting_s > 0 else 0.0
            news *= (1.0 - alike) / (1.0 + alike)
        self._last = _Frame(time_s, news, _updated(before, news))
        self._waiting.append(self._last)
        decided = []
        while self._waiting and time_s >= self._waiting[0].time_s + self.memory.delay_s - SAME_MOMENT:
            decided.append(self._decide())
        return decided

    def rest(self) -> list[float]:
        """The probabilities of the frames that still wait, at the end of the clip."""
        return [self._decide() for _ in range(len(self._waiting))]

    def _decide(self) -> float:
        """The probability of the first frame that waits, given those after it until the delay is over."""
        first = self._waiting.popleft()
        until = first.time_s + self.memory.delay_s + SAME_MOMENT
        later = [first, *(frame for frame in self._waiting if frame.time_s <= until)]
        there = absent = 1.0  # likelihoods of what later frames say
        for before, own in reversed(list(pairwise(later))):
            seconds = max(0.0, own.time_s - before.time_s)
            says, against = _likelihoods(own.news)
            stays, comes = self.memory.later(1.0, seconds), self.memory.later(0.0, seconds)
            there, absent = (
                stays * says * there + (1.0 - stays) * against * absent,
                comes * says * there + (1.0 - comes) * against * absent,
            )
        return first.present * there / (first.present * there + (1.0 - first.present) * absent)


def _likelihoods(news: float) -> tuple[float, float]:
    """Likelihoods of there and not there up to a factor, of which the larger is 1."""
    return (1.0, math.exp(-news)) if news > 0 else (math.exp(news), 1.0)


def _updated(present: float, news: float) -> float:
    says, against = _likelihoods(news)
    return present * says / (present * says + (1.0 - present) * against)


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


def learned_memory(clips: Iterable[JudgedClip], delay_s: float) -> Memory | None:
    """The memory that labeled clips teach; None where no clip has two frames of different times.

    How often structures come and go is counted between labeled frames, one change in `USUALLY_S` added to each, so that
    clips without one empty frame, or of nothing else, teach it too. How long errors last is what gives the smallest
    cross-entropy of the remembered probabilities, each person counted alike.
    """
    following = [clip for clip in clips if len(clip.times) > 1 and np.ptp(clip.times) > 0]
    if not following:
        return None
    changes, seconds = np.ones(2), np.full(2, USUALLY_S)
    for clip in following:
        steps = np.maximum(np.diff(clip.times), 0.0)
        before, after = clip.present[:-1], clip.present[1:]
        for number, was in enumerate((False, True)):
            changes[number] += np.count_nonzero((before == was) & (after != was))
            seconds[number] += np.where(before == after, 1.0, 0.5)[before == was] @ steps[before == was]
            seconds[number] += 0.5 * steps[(before != was) & (after == was)].sum()
    appearing, vanishing = map(float, changes / seconds)
    memory = Memory(appearing, vanishing, 0.0, delay_s)
    return min((replace(memory, lasting_s=lasting) for lasting in LASTING_S), key=lambda one: _entropy(one, following))


def _entropy(memory: Memory, clips: Sequence[JudgedClip]) -> float:
    """Mean cross-entropy of remembered probabilities, each person counted alike."""
    of_person: dict[str, list[float]] = {}
    for clip in clips:
        present = np.clip(memory.of_clip(clip.evidence, clip.times), 1e-6, 1.0 - 1e-6)
        of_person.setdefault(clip.subject, []).extend(-np.log(np.where(clip.present, present, 1.0 - present)))
    return float(np.mean([np.mean(entropies) for entropies in of_person.values()]))
